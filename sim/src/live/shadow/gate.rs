//! A gate on loopback: shipped clients on one side, the real server on the other, and nothing passes by
//! itself.
//!
//! Each line is one shipped client with a connection of its own, and carries one call at a time. A call
//! is started, or gets a reply, and then runs until it waits for the server again: what it sent is
//! caught here and handed out, with no clock but the caller's having moved. When and whether it reaches
//! the server, and when and whether the reply comes back, is the caller's to say. All lines live on one
//! thread, which runs only while it is asked something.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, TcpStream as Plain};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use claimlab_valkey::Address;
use ff_backend_valkey::ValkeyBackend;
use ff_core::engine_backend::EngineBackend;
use ff_core::partition::PartitionConfig;
use tokio::net::{TcpListener, TcpStream};

use super::resp::{self, Command, ServerSide};
use crate::call::{Answer, Call};
use crate::live::client;

/// Longer than any world runs: a client never gives up by itself, the world tells it that it has.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(86_400);
/// How long a client may need to send what the model has sent.
const PATIENCE: Duration = Duration::from_secs(20);

const PONG: &[u8] = b"+PONG\r\n";

/// What a call did until it waited again.
#[derive(Debug)]
pub enum Heard {
    /// It sent these, none if it waits for other replies still.
    Sent(Vec<Command>),
    /// It is over.
    Done(Box<Answer>),
    /// It neither sent nor ended.
    Silent,
}

enum Request {
    Open(PartitionConfig, mpsc::SyncSender<io::Result<ServerSide>>),
    Start(usize, Box<Call>, mpsc::SyncSender<io::Result<Heard>>),
    Reply { line: usize, bytes: Vec<u8>, answered: usize, commands: usize, reply: mpsc::SyncSender<io::Result<Heard>> },
    More(usize, usize, mpsc::SyncSender<io::Result<Heard>>),
    Forget(usize, Vec<u8>, usize),
}

/// The gate.
#[derive(Debug)]
pub struct Gate {
    requests: mpsc::Sender<Request>,
}

impl Gate {
    /// A gate before a server.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub fn start(address: &Address) -> io::Result<Self> {
        let (requests, inbox) = mpsc::channel();
        let (started, outcome) = mpsc::sync_channel(1);
        let address = address.clone();
        // This thread is no part of any run.
        #[allow(clippy::disallowed_methods)]
        thread::spawn(move || serve(address, &inbox, &started));
        outcome.recv().map_err(|_| gone())??;
        Ok(Self { requests })
    }

    fn ask<T>(&self, request: impl FnOnce(mpsc::SyncSender<io::Result<T>>) -> Request) -> io::Result<T> {
        let (reply, outcome) = mpsc::sync_channel(1);
        self.requests.send(request(reply)).map_err(|_| gone())?;
        outcome.recv().map_err(|_| gone())?
    }

    /// Connects one more client, whose line has the next number; gives its way to the server.
    ///
    /// # Errors
    /// When the client refuses the server.
    pub fn open(&self, partitions: PartitionConfig) -> io::Result<ServerSide> {
        self.ask(|reply| Request::Open(partitions, reply))
    }

    /// Starts a call on a line that carries none.
    ///
    /// # Errors
    /// When what the client sends cannot be read.
    pub fn begin(&self, line: usize, call: Call) -> io::Result<Heard> {
        self.ask(|reply| Request::Start(line, Box::new(call), reply))
    }

    /// Answers so many commands of a line, after which it sends so many more or is over.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn reply(&self, line: usize, bytes: Vec<u8>, answered: usize, commands: usize) -> io::Result<Heard> {
        self.ask(|reply| Request::Reply { line, bytes, answered, commands, reply })
    }

    /// Waits until a line has sent so many more commands, or is over.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn more(&self, line: usize, commands: usize) -> io::Result<Heard> {
        self.ask(|reply| Request::More(line, commands, reply))
    }

    /// Drops the call of a line, as a process that dies does; so many commands that its client still waits
    /// for are answered with these bytes, which nobody reads.
    pub fn forget(&self, line: usize, bytes: Vec<u8>, answered: usize) {
        // Without the thread there is nothing left to forget.
        let _ = self.requests.send(Request::Forget(line, bytes, answered));
    }
}

fn gone() -> io::Error {
    io::Error::other("the gate before the server has ended")
}

type Running = Pin<Box<dyn Future<Output = Answer>>>;

/// One client and its side of the gate.
struct Line {
    _client: ferriskey::Client,
    backend: Arc<ValkeyBackend>,
    wire: ClientSide,
    call: Option<Running>,
}

/// The gate's end of a client's connection.
struct ClientSide {
    stream: TcpStream,
    heard: Vec<u8>,
    /// What the client waits for, in its order: the reply to a command, or to a heartbeat.
    owed: VecDeque<Owed>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    Reply,
    /// The client asks now and then, in real time, whether the server is there. The gate says so.
    Pong,
}

impl ClientSide {
    fn poll_command(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Command>> {
        loop {
            if let Some(command) = resp::command(&self.heard)? {
                self.heard.drain(..command.bytes.len());
                if command.words.first().is_some_and(|name| name == "PING") {
                    self.owed.push_back(Owed::Pong);
                    let pongs = self.pongs();
                    self.try_write(&pongs)?;
                    continue;
                }
                self.owed.push_back(Owed::Reply);
                return Poll::Ready(Ok(command));
            }
            ready!(self.stream.poll_read_ready(context))?;
            let mut bytes = [0; 16 * 1_024];
            match self.stream.try_read(&mut bytes) {
                Ok(0) => return Poll::Ready(Err(io::Error::other("the shipped client closed its connection"))),
                Ok(count) => self.heard.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Replies to the heartbeats whose turn it is.
    fn pongs(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.owed.pop_front_if(|owed| *owed == Owed::Pong).is_some() {
            bytes.extend_from_slice(PONG);
        }
        bytes
    }

    /// A few bytes, for which a connection always has room.
    fn try_write(&self, bytes: &[u8]) -> io::Result<()> {
        match self.stream.try_write(bytes)? {
            count if count == bytes.len() => Ok(()),
            _ => Err(io::Error::other("the shipped client does not read")),
        }
    }

    /// Gives the replies to the next so many commands.
    async fn reply(&mut self, bytes: &[u8], commands: usize) -> io::Result<()> {
        let mut all = self.pongs();
        self.owed.drain(..commands.min(self.owed.len()));
        all.extend_from_slice(bytes);
        all.extend(self.pongs());
        self.write(&all).await
    }

    async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Line {
    /// Runs until the call has sent so many commands, or is over.
    async fn run(&mut self, commands: usize) -> io::Result<Heard> {
        let mut sent = Vec::new();
        let next = poll_fn(|context| {
            if let Some(Poll::Ready(answer)) = self.call.as_mut().map(|call| call.as_mut().poll(context)) {
                self.call = None;
                return Poll::Ready(Ok(Some(answer)));
            }
            loop {
                match self.wire.poll_command(context) {
                    Poll::Ready(Ok(command)) => sent.push(command),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending if sent.len() >= commands => return Poll::Ready(Ok(None)),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        match tokio::time::timeout(PATIENCE, next).await {
            Ok(Ok(Some(answer))) => Ok(Heard::Done(Box::new(answer))),
            Ok(Ok(None)) => Ok(Heard::Sent(sent)),
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(Heard::Silent),
        }
    }
}

/// The thread: listens, then does what it is asked until nobody can ask any more.
fn serve(address: Address, inbox: &mpsc::Receiver<Request>, started: &mpsc::SyncSender<io::Result<()>>) {
    let listen = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let own = Address { host: Ipv4Addr::LOCALHOST.to_string(), port: listener.local_addr()?.port() };
        Ok((runtime, listener, own))
    };
    let (runtime, listener, own) = match listen() {
        Ok(ready) => ready,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let _ = started.send(Ok(()));
    let mut lines: Vec<Line> = Vec::new();
    for request in inbox {
        match request {
            Request::Open(partitions, reply) => {
                let opened = runtime.block_on(open(&address, &own, &listener, partitions)).map(|(line, server)| {
                    lines.push(line);
                    server
                });
                let _ = reply.send(opened);
            }
            Request::Start(line, call, reply) => {
                let line = &mut lines[line];
                let backend = Arc::clone(&line.backend);
                line.call = Some(Box::pin(async move { call.perform(&*backend as &dyn EngineBackend).await }));
                let _ = reply.send(runtime.block_on(line.run(1)));
            }
            Request::Reply { line, bytes, answered, commands, reply } => {
                let line = &mut lines[line];
                let outcome = runtime.block_on(async {
                    line.wire.reply(&bytes, answered).await?;
                    line.run(commands).await
                });
                let _ = reply.send(outcome);
            }
            Request::More(line, commands, reply) => {
                let _ = reply.send(runtime.block_on(lines[line].run(commands)));
            }
            Request::Forget(line, bytes, answered) => {
                let line = &mut lines[line];
                line.call = None;
                // A line that cannot be written to shows that with its next call.
                let _ = runtime.block_on(line.wire.reply(&bytes, answered));
            }
        }
    }
}

/// Connects a client through the gate; until it is connected, everything passes.
async fn open(
    server: &Address,
    own: &Address,
    listener: &TcpListener,
    partitions: PartitionConfig,
) -> io::Result<(Line, ServerSide)> {
    let mut way = ServerSide::new(Plain::connect((server.host.as_str(), server.port))?);
    let mut connecting = Box::pin(client::connect(own, REQUEST_TIMEOUT));
    let mut wire: Option<ClientSide> = None;
    loop {
        let next = poll_fn(|context| {
            if let Poll::Ready(connected) = connecting.as_mut().poll(context) {
                return Poll::Ready(Ok(Err(connected)));
            }
            match &mut wire {
                None => match ready!(listener.poll_accept(context)) {
                    Ok((stream, _)) => {
                        // Replies are small and many; held back until the one before is acknowledged, each costs 40 ms.
                        stream.set_nodelay(true)?;
                        wire = Some(ClientSide { stream, heard: Vec::new(), owed: VecDeque::new() });
                        context.waker().wake_by_ref();
                        Poll::Pending
                    }
                    Err(error) => Poll::Ready(Err(error)),
                },
                Some(wire) => wire.poll_command(context).map(|command| command.map(Ok)),
            }
        });
        match next.await? {
            Ok(command) => {
                let reply = way.perform(&command.bytes, 1)?;
                if let Some(wire) = &mut wire {
                    wire.reply(&reply, 1).await?;
                }
            }
            Err(connected) => {
                let client = connected.map_err(|error| io::Error::other(client::said(&error)))?;
                let backend = client::backend(&client, partitions);
                let backend = backend.map_err(|error| io::Error::other(client::said(&error)))?;
                let wire = wire.ok_or_else(|| io::Error::other("the shipped client did not connect"))?;
                return Ok((Line { _client: client, backend, wire, call: None }, way));
            }
        }
    }
}
