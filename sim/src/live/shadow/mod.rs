//! Worlds message by message: a shipped client stands behind every call of the model, and does what the
//! model's client does when the world says so.
//!
//! A call begins on both sides at once. What the shipped client sends is held at a gate on loopback; it must
//! be what the model sends, and reaches the server when the world delivers the model's message: never,
//! once or twice. The reply waits until the world brings the model's. So other calls slip between a read
//! and the script that relies on it on both sides alike, and a reply that is lost is lost for both: the
//! shipped client then reads an error in its place, since its own timeout is real time. After each
//! message the state is compared, at the end of a call its answer.

mod gate;
mod resp;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use claimlab_model::intern::{ExecutionNo, Interner};
use claimlab_model::message::{Answered, Kept, Message, Reply};
use claimlab_model::store::Store;
use claimlab_model::time::ServerTime;
use ff_core::partition::PartitionConfig;
use ff_core::types::{ExecutionId, TimestampMs};
use uuid::Uuid;

use super::client::Deployment;
use super::record::{End, Record};
use super::twin::{Disagreement, Error, Twin};
use super::wire;
use crate::call::{Answer, Call};
use gate::{Gate, Heard};
use resp::{Command, ServerSide};

/// What a client reads where a reply was lost.
const LOST: &[u8] = b"-LOST the reply was lost on its way\r\n";

/// Methods whose client mints ids, which the model takes over.
const MINTING: &[&str] =
    &["claim", "claim_from_resume_grant", "create_waitpoint", "deliver_approval_signal", "issue_grant_and_claim"];

/// A message of a shipped client that was let out of the gate, or is held there.
#[derive(Debug)]
pub struct HeldBack {
    line: usize,
    bytes: Vec<u8>,
    commands: usize,
    reply: OnceLock<Vec<u8>>,
}

/// One call under way on a shipped client.
#[derive(Debug)]
struct Conversation {
    line: usize,
    call: Call,
    /// The call's text, where its client mints ids.
    minting: Option<String>,
    /// What the client has sent and the model has not yet.
    ahead: VecDeque<Command>,
    /// Whether the client sent several messages at once which the model sends one by one.
    fans_out: bool,
    /// Commands of the model's present message.
    out: usize,
    over: Over,
    runs_script: bool,
    /// The messages so far.
    said: Vec<&'static str>,
}

/// Every shipped client of one world after the other.
pub struct Shadow {
    gate: Gate,
    /// Each line's way to the server.
    ways: Vec<ServerSide>,
    free: Vec<usize>,
    twin: Twin,
    record: Record,
    partitions: PartitionConfig,
    conversations: BTreeMap<u64, Conversation>,
    begun: u64,
    fanned_out: u64,
    /// The server's time of the last message.
    now: ServerTime,
}

/// Whether a client's call goes on.
#[derive(Debug)]
enum Over {
    No,
    Answered(Box<Answer>),
    /// It waits for nothing and does not end.
    Silent,
}

impl Shadow {
    /// Writes the admission fields of an execution, as [`Twin::attach`] does.
    ///
    /// # Errors
    /// When the server cannot be used any more.
    pub fn attach(&mut self, id: &ExecutionId, budgets: Option<&str>, quota: Option<&str>) -> Result<(), Error> {
        self.twin.attach(id, budgets, quota)
    }

    /// Over a real server; each world ends after so many compared calls that ran a script, if a limit is
    /// given.
    ///
    /// # Errors
    /// When no gate can be opened.
    pub fn new(twin: Twin, limit: Option<u64>) -> Result<Self, Error> {
        let gate = Gate::start(twin.address()).map_err(Error::Gate)?;
        Ok(Self {
            gate,
            ways: Vec::new(),
            free: Vec::new(),
            twin,
            record: Record::new(limit),
            partitions: PartitionConfig::default(),
            conversations: BTreeMap::new(),
            begun: 0,
            fanned_out: 0,
            now: ServerTime::default(),
        })
    }

    /// What was counted.
    pub fn record(&mut self) -> &mut Record {
        &mut self.record
    }

    /// Calls in which the client sent several messages at once, which the model sends one by one.
    pub fn fanned_out(&self) -> u64 {
        self.fanned_out
    }

    /// An empty server for the next world, in which somebody asks the scheduler or nobody does.
    ///
    /// # Errors
    /// When the server cannot be used, or when the model's schedulers cannot be kept in step with the
    /// shipped ones.
    pub fn next_world(&mut self, deployment: &Deployment, now: ServerTime, asks_scheduler: bool) -> Result<(), Error> {
        let left: Vec<u64> = self.conversations.keys().copied().collect();
        left.into_iter().for_each(|number| self.forget(number));
        self.record.next_world();
        // Each line has a backend for the partitions that it was opened with.
        if self.partitions.num_flow_partitions != deployment.partitions.num_flow_partitions {
            self.gate = Gate::start(self.twin.address()).map_err(Error::Gate)?;
            self.ways.clear();
            self.free.clear();
        }
        self.partitions = deployment.partitions;
        // Each call has a scheduler of its own here, whose rotation would not move on with the others'.
        let step = ff_scheduler::SchedulerConfig::DEFAULT_MAX_PARTITIONS_PER_SCAN;
        if asks_scheduler && !step.is_multiple_of(self.partitions.num_flow_partitions) {
            return Err(Error::Rotation { partitions: self.partitions.num_flow_partitions, step });
        }
        self.twin.reset(deployment, now)
    }

    /// Begins a call on a free client, whose clock shows this; gives its number and the ids that its
    /// client mints.
    pub(crate) fn begin(&mut self, wall: TimestampMs, call: &Call) -> (u64, Vec<Uuid>) {
        self.begun += 1;
        let number = self.begun;
        if self.record.is_over() {
            return (number, Vec::new());
        }
        match self.try_begin(wall, call) {
            Ok(conversation) => {
                let minted = minted(&conversation);
                self.conversations.insert(number, conversation);
                (number, minted)
            }
            Err(error) => {
                self.record.end(Err(error));
                (number, Vec::new())
            }
        }
    }

    fn try_begin(&mut self, wall: TimestampMs, call: &Call) -> Result<Conversation, Error> {
        self.twin.set_client_clock(wall)?;
        let line = match self.free.pop() {
            Some(line) => line,
            None => {
                self.ways.push(self.gate.open(self.partitions).map_err(Error::Gate)?);
                self.ways.len() - 1
            }
        };
        let heard = self.gate.begin(line, call.clone()).map_err(Error::Gate)?;
        let mut conversation = Conversation {
            line,
            call: call.clone(),
            minting: MINTING.contains(&call.method()).then(|| format!("{call:?}")),
            ahead: VecDeque::new(),
            fans_out: false,
            out: 0,
            over: Over::No,
            runs_script: false,
            said: Vec::new(),
        };
        conversation.hear(heard);
        Ok(conversation)
    }

    /// Lays what the model sends beside what the client sent; gives it to travel.
    pub(crate) fn sent(&mut self, number: u64, message: &Message, ids: &Interner) -> Option<Arc<HeldBack>> {
        if self.record.is_over() {
            return None;
        }
        let conversation = self.conversations.get_mut(&number)?;
        let expected = wire::expected(message, ids);
        let found = conversation.ahead.len();
        if found > 0 && found < expected.len() {
            match self.gate.more(conversation.line, expected.len() - found) {
                Ok(heard) => conversation.hear(heard),
                Err(error) => {
                    self.record.end(Err(Error::Gate(error)));
                    return None;
                }
            }
        }
        let alike = conversation.ahead.len() >= expected.len()
            && !expected.is_empty()
            && expected.iter().zip(&conversation.ahead).all(|(expected, command)| expected.is(&command.words));
        if !alike {
            let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
            let model = format!("{} ({})", message.name(), expected.join(", then "));
            let text = conversation.unlike(&model);
            self.record.end(Ok(End::Message { text, state: Vec::new() }));
            return None;
        }
        conversation.said.push(message.name());
        conversation.runs_script |= Record::is_script(message.name());
        let bytes = conversation.ahead.drain(..expected.len()).flat_map(|command| command.bytes).collect();
        conversation.out = expected.len();
        conversation.fans_out |= !conversation.ahead.is_empty();
        Some(Arc::new(HeldBack { line: conversation.line, bytes, commands: expected.len(), reply: OnceLock::new() }))
    }

    /// The server performs a message at its time, after the model did; the state is compared. Of a message
    /// that arrives twice, the first reply is the one that travels back.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn deliver(
        &mut self,
        now: ServerTime,
        held: &HeldBack,
        message: &Message,
        model: &Reply,
        store: &Store,
        ids: &Interner,
        touched: &BTreeSet<ExecutionNo>,
    ) {
        if self.record.is_over() {
            return;
        }
        let outcome = model.label();
        self.record.message(message.name(), outcome);
        match self.try_deliver(now, held, model, store, ids, touched) {
            Ok(state) if state.is_empty() => {}
            Ok(state) => {
                let text = format!("after {} at server time {now}: {outcome} on the model", message.name());
                self.record.end(Ok(End::Message { text, state }));
            }
            Err(error) => self.record.end(Err(error)),
        }
    }

    fn try_deliver(
        &mut self,
        now: ServerTime,
        held: &HeldBack,
        model: &Reply,
        store: &Store,
        ids: &Interner,
        touched: &BTreeSet<ExecutionNo>,
    ) -> Result<Vec<super::keyspace::Difference>, Error> {
        self.now = now;
        self.twin.set_server_clock(now)?;
        let mut reply = self.ways[held.line].perform(&held.bytes, held.commands).map_err(Error::Gate)?;
        // A set has no order; its client asks about each member in the order in which it heard of them.
        let names: Vec<String> = match model {
            Reply::Answered(Answered::Executions(members)) => {
                members.iter().map(|number| ids.execution_name(*number).to_string()).collect()
            }
            Reply::Kept(Kept::Members(members)) => {
                members.iter().map(|number| ids.execution_name(*number).to_string()).collect()
            }
            Reply::Answered(Answered::Ids(members)) => members.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        if !names.is_empty() {
            reply = resp::in_order(reply, &names);
        }
        // A second delivery's reply goes nowhere.
        let _ = held.reply.set(reply);
        self.twin.differences(now, store, ids, touched)
    }

    /// The reply reaches its client; gives the ids that the client mints next.
    pub(crate) fn answered(&mut self, number: u64, wall: TimestampMs, held: &HeldBack) -> Vec<Uuid> {
        match held.reply.get() {
            Some(reply) => self.go_on(number, wall, reply.clone()),
            None => Vec::new(),
        }
    }

    /// The client gives up waiting.
    pub(crate) fn lost(&mut self, number: u64, wall: TimestampMs) -> Vec<Uuid> {
        let out = self.conversations.get(&number).map_or(0, |conversation| conversation.out);
        self.go_on(number, wall, LOST.repeat(out))
    }

    fn go_on(&mut self, number: u64, wall: TimestampMs, reply: Vec<u8>) -> Vec<Uuid> {
        if self.record.is_over() {
            return Vec::new();
        }
        let Some(conversation) = self.conversations.get_mut(&number) else { return Vec::new() };
        if let Some(known) = &mut conversation.minting {
            known.push_str(&String::from_utf8_lossy(&reply));
        }
        let set = self.twin.set_client_clock(wall).map_err(Error::Clock);
        let answered = std::mem::take(&mut conversation.out);
        // A call that fans out goes on with what it has sent already; one that is over sends nothing.
        let waits = conversation.ahead.is_empty() && matches!(conversation.over, Over::No);
        let more = usize::from(waits);
        match set.and_then(|()| self.gate.reply(conversation.line, reply, answered, more).map_err(Error::Gate)) {
            Ok(heard) => {
                conversation.hear(heard);
                minted(conversation)
            }
            Err(error) => {
                self.record.end(Err(error));
                Vec::new()
            }
        }
    }

    /// The call is over on the model: its answer is compared, and its line free again.
    pub(crate) fn end(&mut self, number: u64, model: &Answer) {
        if self.record.is_over() {
            return;
        }
        let Some(mut conversation) = self.conversations.remove(&number) else { return };
        // One lost reply ends a call of which others are still under way.
        if conversation.fans_out && !matches!(conversation.over, Over::Answered(_)) {
            match self.gate.more(conversation.line, usize::MAX) {
                Ok(heard) => conversation.hear(heard),
                Err(error) => {
                    self.record.end(Err(Error::Gate(error)));
                    return;
                }
            }
        }
        let extra = !conversation.fans_out && !conversation.ahead.is_empty();
        let server = match &conversation.over {
            Over::Answered(server) if !extra => server,
            _ => {
                let text = conversation.unlike(&format!("nothing more: {}", model.text()));
                self.record.end(Ok(End::Message { text, state: Vec::new() }));
                return;
            }
        };
        self.hang_up(&conversation);
        let Conversation { call, runs_script, fans_out, .. } = &conversation;
        self.fanned_out += u64::from(*fans_out);
        self.record.call(call.method(), &model.label(), *runs_script);
        let (model, server) = (model.text(), server.text());
        if model != server {
            let (call, now) = (call.clone(), self.now);
            let disagreement = Disagreement { call, now, model, server, state: Vec::new() };
            self.record.end(Ok(End::Call(Box::new(disagreement))));
        }
    }

    /// Frees a line; what its client still waits for is lost.
    fn hang_up(&mut self, conversation: &Conversation) {
        let waits = conversation.out + conversation.ahead.len();
        self.gate.forget(conversation.line, LOST.repeat(waits), waits);
        self.free.push(conversation.line);
    }

    /// The call ends with the process that made it.
    pub(crate) fn forget(&mut self, number: u64) {
        let Some(conversation) = self.conversations.remove(&number) else { return };
        self.hang_up(&conversation);
    }

    /// Lays every key of both sides beside each other, unless the world ended early.
    pub(crate) fn finish(&mut self, now: ServerTime, store: &Store, ids: &Interner) {
        if self.record.has_ended() {
            return;
        }
        match self.twin.compare_all(now, store, ids) {
            Ok(differences) if differences.is_empty() => {}
            Ok(differences) => self.record.end(Ok(End::Keys(differences))),
            Err(error) => self.record.end(Err(error)),
        }
    }
}

impl Conversation {
    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Sent(commands) => self.ahead.extend(commands),
            Heard::Done(answer) => self.over = Over::Answered(answer),
            Heard::Silent => self.over = Over::Silent,
        }
    }

    /// Both sides' next messages where they differ, after those that were the same.
    fn unlike(&self, model: &str) -> String {
        let mut text = format!("{:?}\n", self.call);
        if !self.said.is_empty() {
            let _ = writeln!(text, "  after {}", self.said.join(", "));
        }
        let _ = write!(text, "  model   sends {model}\n  client  ");
        let _ = match &self.over {
            _ if !self.ahead.is_empty() => {
                let commands: Vec<String> = self.ahead.iter().map(ToString::to_string).collect();
                write!(text, "sends {}", commands.join(", then "))
            }
            Over::Answered(answer) => write!(text, "is done: {answer}"),
            Over::Silent | Over::No => write!(text, "sends nothing"),
        };
        text
    }
}

/// The ids in what a client is about to send that neither its call nor any reply named: it has minted
/// them.
fn minted(conversation: &Conversation) -> Vec<Uuid> {
    let Some(known) = &conversation.minting else { return Vec::new() };
    let words = conversation.ahead.iter().flat_map(|command| &command.words);
    words.filter(|word| !known.contains(word.as_str())).filter_map(|word| Uuid::parse_str(word).ok()).collect()
}
