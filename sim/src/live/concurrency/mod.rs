//! Many clients at once on the real server: the shipped backend is called from many tasks at the same
//! time, and the model repeats what came of it in the order in which the server performed the commands.
//!
//! Each task has a client, and so a connection, of its own; `MONITOR` says which command came from which
//! ([`feed`]). The model's calls wait with their next message (`staging::crowd`) and exactly the one is advanced
//! whose command the server performed next ([`replay`]), so that another call slips between a read and
//! the script that relies on it just where it did on the server. The clock stands still in a round.

pub mod feed;
pub mod replay;

use std::sync::{Arc, Mutex, PoisonError};

use claimlab_model::backend::ModelBackend;
use claimlab_model::deviation::Deviations;
use claimlab_model::projection;
use claimlab_model::time::ServerTime;
use claimlab_valkey::{Clock, Server, connect, own_clock};
use ff_backend_valkey::ValkeyBackend;
use ff_core::engine_backend::EngineBackend;
use ff_core::partition::PartitionConfig;
use ff_core::types::LaneId;
use proptest::test_runner::{Config, TestRunner};

use super::client::{self, Deployment};
use super::lockstep::{SECRET, fresh_store};
use super::sequence;
use super::twin::Error;
use super::{keyspace, minted};
use crate::call::{Answer, Call};
use crate::staging::chance::{bytes_of, runner};
use crate::staging::crowd::{Deed, Port, Storm, Table};
use crate::staging::scanning::due;
use crate::staging::sequence::{LANES, Memory, PARTITIONS, START_MS, Step, approach};
use feed::{Feed, Line};
use replay::{Made, Replay, Tally};

/// Calls of each client between two standstills: few, so that they meet before all is over.
const CALLS_IN_A_ROUND: usize = 8;
/// Rounds until both sides start from empty again.
const ROUNDS: u64 = 12;
/// Executions that everybody calls about.
const EXECUTIONS: u8 = 4;

/// The real server with its clients, and the model.
pub struct Crowd {
    // The runtime ends, and with it the clients, before the server stops.
    clients: Vec<Client>,
    runtime: tokio::runtime::Runtime,
    feed: Feed,
    reads: redis::Connection,
    server: Server,
    own: Clock,
    deployment: Deployment,
    deviations: Deviations,
    table: Arc<Table>,
    backends: Vec<Arc<ModelBackend<Port>>>,
    tally: Tally,
}

/// One real client.
struct Client {
    client: ferriskey::Client,
    backend: Arc<ValkeyBackend>,
    /// Its connection's address.
    address: String,
}

impl Crowd {
    /// So many clients on an empty server.
    ///
    /// # Errors
    /// When the server cannot be used.
    pub fn start(server: Server, count: u16, deviations: Deviations) -> Result<Self, Error> {
        let own = own_clock()?.ok_or(Error::OwnClock)?;
        let partitions = PartitionConfig { num_flow_partitions: PARTITIONS, ..PartitionConfig::default() };
        let lanes = LANES.map(LaneId::new).to_vec();
        let deployment = Deployment { secret: SECRET, lanes, partitions };
        let now = ServerTime::from_ms(START_MS);
        let mut reads = connect(server.address())?;
        redis::cmd("FLUSHALL").exec(&mut reads)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let address = server.address();
        let failed = |why: String| client::Error::SetUp { address: address.clone(), why };
        let set_up = async {
            let mut clients = Vec::with_capacity(usize::from(count));
            for _ in 0..count {
                let client =
                    client::connect(address, client::REQUEST_TIMEOUT).await.map_err(|error| client::said(&error))?;
                let backend = client::backend(&client, partitions).map_err(|error| client::said(&error))?;
                let info = client.cmd("CLIENT").arg("INFO").execute::<String>().await;
                let info = info.map_err(|error| client::said(&error))?;
                let own = info.split(' ').find_map(|field| field.strip_prefix("addr="));
                let address = own.ok_or_else(|| format!("CLIENT INFO names no address: {info}"))?.to_owned();
                clients.push(Client { client, backend, address });
            }
            Ok(clients)
        };
        let clients = runtime.block_on(set_up).map_err(failed)?;
        let feed = Feed::start(server.address())?;
        let table = Table::new(fresh_store(&deployment, deviations), now, clients.len());
        let tally = Tally::default();
        let backends = Vec::new();
        let mut crowd =
            Self { clients, runtime, feed, reads, server, own, deployment, deviations, table, backends, tally };
        crowd.reset()?;
        Ok(crowd)
    }

    /// What was compared so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Both sides empty, at the beginning of time; the clients' schedulers anew.
    fn reset(&mut self) -> Result<(), Error> {
        let now = ServerTime::from_ms(START_MS);
        self.table = Table::new(fresh_store(&self.deployment, self.deviations), now, self.clients.len());
        self.set_now(now)?;
        redis::cmd("FLUSHALL").exec(&mut self.reads)?;
        let partitions = self.deployment.partitions;
        let address = self.server.address().clone();
        let failed = |why: String| client::Error::SetUp { address: address.clone(), why };
        if let Some(first) = self.clients.first() {
            let set_up = client::set_up(&first.client, &self.deployment);
            self.runtime.block_on(set_up).map_err(|error| failed(client::said(&error)))?;
        }
        for one in &mut self.clients {
            one.backend = client::backend(&one.client, partitions).map_err(|error| failed(client::said(&error)))?;
        }
        self.backends = (0..self.clients.len()).map(|seat| replay::backend(&self.table, seat, partitions)).collect();
        // What setting up has sent is no part of any round.
        self.feed.take()?;
        Ok(())
    }

    fn set_now(&mut self, now: ServerTime) -> Result<(), Error> {
        self.table.set_now(now);
        self.server.clock().set(now.ms())?;
        self.own.set(now.ms())?;
        Ok(())
    }

    /// Runs rounds until so many calls were made; gives the first difference.
    ///
    /// # Errors
    /// When the server cannot be used any more: no verdict.
    pub fn search(&mut self, seed: u64, calls: u64, mut told: impl FnMut(u64)) -> Result<Option<String>, Error> {
        let mut runner = runner(bytes_of(seed), Config::default());
        let storm = Storm::default();
        let mut memory = Arc::default();
        let mut rounds = 0_u64;
        while self.tally.compared < calls {
            if rounds.is_multiple_of(ROUNDS) {
                self.reset()?;
                memory = Arc::new(Mutex::new(Memory::default()));
            }
            rounds += 1;
            if let Some(text) = self.prepare(&storm, &mut runner, &memory, rounds)? {
                return Ok(Some(text));
            }
            let deeds: Vec<Vec<Deed>> =
                self.clients.iter().map(|_| storm.deeds(&mut runner, CALLS_IN_A_ROUND)).collect();
            if let Some(text) = self.round(deeds, &memory)? {
                return Ok(Some(text));
            }
            told(self.tally.compared);
        }
        Ok(None)
    }

    /// Moves the clock on and takes each execution to some state, by one client's right calls.
    fn prepare(
        &mut self,
        storm: &Storm,
        runner: &mut TestRunner,
        memory: &Arc<Mutex<Memory>>,
        round: u64,
    ) -> Result<Option<String>, Error> {
        let now = self.table.now();
        // Every other time to where something falls due.
        let pick = (round % 7) as u8;
        let due = self.table.look(|store| due::ahead(store, now, pick)).filter(|_| round.is_multiple_of(2));
        self.set_now(due.map_or(now.plus_ms(10), ServerTime::from_ms))?;
        for execution in 0..EXECUTIONS {
            let Some(goal) = storm.goal(runner) else { continue };
            for _ in 0..approach::LONGEST {
                let now = self.table.now();
                let number = self.table.ids().execution(&sequence::execution(execution));
                let next =
                    self.table.look(|store| approach::next(store, store.execution(number), now, execution, goal));
                match next {
                    None => break,
                    Some(Step::Wait { ms }) => self.set_now(now.plus_ms(u64::from(ms)))?,
                    Some(step) => {
                        if let Some(text) = self.round(vec![vec![Deed::Step(step)]], memory)? {
                            return Ok(Some(text));
                        }
                    }
                }
            }
        }
        Ok(None)
    }

    /// Lets the clients do these deeds, all at once, then repeats what came of it on the model and
    /// compares all keys.
    fn round(&mut self, deeds: Vec<Vec<Deed>>, memory: &Arc<Mutex<Memory>>) -> Result<Option<String>, Error> {
        let now = self.table.now();
        let alone = deeds.len() == 1;
        let tasks: Vec<_> = self
            .clients
            .iter()
            .zip(deeds)
            .map(|(one, deeds)| {
                let (backend, memory) = (Arc::clone(&one.backend), Arc::clone(memory));
                self.runtime.spawn(async move { labour(&*backend, &memory, &deeds, now).await })
            })
            .collect();
        let mut answers = Vec::with_capacity(self.clients.len());
        for task in tasks {
            let done = self.runtime.block_on(task);
            answers.push(done.map_err(|ended| Error::Read(std::io::Error::other(ended).into()))?);
        }
        answers.resize_with(self.clients.len(), Vec::new);
        let mut made = Vec::with_capacity(answers.len());
        for answers in answers {
            made.push(answers.into_iter().map(|(call, answer)| self.made(call, answer)).collect::<Result<_, _>>()?);
        }
        let lines = self.lines()?;
        let replay = Replay::new(&self.table, &self.backends, made, &mut self.tally);
        if let Some(text) = replay.run(&lines) {
            return Ok(Some(text));
        }
        // Calls one by one are followed by others before anything else is looked at.
        if alone {
            return Ok(None);
        }
        let ids = self.table.ids();
        let expected = self.table.look(|store| projection::everything(store, &ids, PARTITIONS));
        drop(ids);
        let differences = keyspace::compare_all(&mut self.reads, now, expected)?;
        if differences.is_empty() {
            return Ok(None);
        }
        let listed: String = differences.iter().map(|one| format!("    {one}\n")).collect();
        let order: String = lines.iter().map(|(seat, line)| format!("  client {seat:<3} {line}\n")).collect();
        Ok(Some(format!(
            "all answers are the same, but not the keys\n{listed}\nthe server's order of commands in this round:\n{order}"
        )))
    }

    fn made(&mut self, call: Call, answer: Answer) -> Result<Made, Error> {
        if let Some(said) = answer.error().and_then(minted::lost_connection) {
            return Err(Error::NoAnswer { method: call.method(), said });
        }
        let minted = minted::ids(&call, &answer, &mut self.reads)?;
        Ok(Made { call, answer, minted })
    }

    /// The clients' commands of this round in the server's order; greetings and heartbeats left out.
    fn lines(&mut self) -> Result<Vec<(usize, Line)>, Error> {
        let mut lines = Vec::new();
        for line in self.feed.take()? {
            let seat = self.clients.iter().position(|client| client.address == line.client);
            match seat {
                Some(seat) if line.name() != "PING" => lines.push((seat, line)),
                // A client that came back over another connection.
                None if line.function().is_some() => return Err(Error::Stranger { client: line.client }),
                _ => {}
            }
        }
        Ok(lines)
    }
}

/// What one client does in a round: each call with its answer. What is learnt is shared.
async fn labour(
    backend: &dyn EngineBackend,
    memory: &Mutex<Memory>,
    deeds: &[Deed],
    now: ServerTime,
) -> Vec<(Call, Answer)> {
    let mut done = Vec::with_capacity(deeds.len());
    for deed in deeds {
        let call = deed.call(&mut memory.lock().unwrap_or_else(PoisonError::into_inner), now);
        let Some(call) = call else { continue };
        let answer = call.perform(backend).await;
        memory.lock().unwrap_or_else(PoisonError::into_inner).learn(&call, &answer);
        done.push((call, answer));
    }
    done
}
