//! The story to be drawn, as plain data.
//!
//! Nothing goes in; out come the types that the rest of the crate reads. Every
//! time is in microseconds of true time since the world began.

/// Everything the page shows about one broken promise.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// What happened, as one sentence.
    pub title: String,
    /// The promise that was broken, with its number.
    pub promise: String,
    /// The short form under which equal violations are counted together.
    pub cause: String,
    /// The execution that the story is about.
    pub execution: String,
    /// The command line that plays the same story again.
    pub replay: String,
    /// The story told in sentences; may be empty.
    pub story: Vec<String>,
    /// The parties, the server first. Messages go to the server and back.
    pub columns: Vec<Column>,
    /// Who held the execution, and who thought so.
    pub leases: Vec<Lease>,
    /// Stretches in which a party stood still, was cut off or was down.
    pub bands: Vec<Band>,
    /// The messages from a party to the server, with their answers.
    pub messages: Vec<Arrow>,
    /// Everything else worth a mark, the violation among it.
    pub notes: Vec<Note>,
    /// How probable the violation was, as (time, parts per million); may be empty.
    pub curve: Vec<(u64, u32)>,
}

/// One party and its clock.
#[derive(Clone, Debug)]
pub struct Column {
    /// The name of the party, for example `worker-3`.
    pub name: String,
    /// What the party does, in a word or two.
    pub role: String,
    /// The party's clock minus true time in milliseconds, valid from each time
    /// on. Sorted by time; before the first entry the clock is exact.
    pub clock: Vec<(u64, i64)>,
}

/// One lease, as the server had it and as its holder believed it.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The column of the holder.
    pub column: usize,
    /// The epoch under which the lease was given.
    pub epoch: u64,
    /// The attempt that the lease belongs to.
    pub attempt: u32,
    /// When the server gave the lease.
    pub from_us: u64,
    /// When the lease really ended on the server.
    pub until_us: u64,
    /// How it ended, for example "marked expired by engine".
    pub ended: String,
    /// Until when the holder takes the lease for its own.
    pub believed_until_us: u64,
}

/// A stretch of time in which a party could not do its work.
#[derive(Clone, Debug)]
pub struct Band {
    /// The column of the party.
    pub column: usize,
    /// When the stretch begins.
    pub from_us: u64,
    /// When it ends.
    pub until_us: u64,
    /// What kind of stretch it is.
    pub kind: BandKind,
    /// What happened, in words.
    pub text: String,
}

/// Why a party could not do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BandKind {
    /// It stood still and noticed nothing.
    Stall,
    /// It ran on but no message came through.
    Cut,
    /// It did not run at all.
    Down,
}

/// One message to the server and the answer to it.
#[derive(Clone, Debug)]
pub struct Arrow {
    /// The column of the sender.
    pub column: usize,
    /// When the sender sent it.
    pub sent_us: u64,
    /// When the server received it, unless it never did.
    pub arrived_us: Option<u64>,
    /// When the sender received the answer, unless it never did.
    pub answered_us: Option<u64>,
    /// Which half was lost, if one was.
    pub lost: Option<Lost>,
    /// The name of the call, for example `claim_execution`.
    pub name: String,
    /// What came of it, in a word or two.
    pub outcome: String,
    /// The whole story of the message, as a sentence.
    pub text: String,
}

/// The half of a message that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The request never reached the server.
    Request,
    /// The server acted, but its answer never came back.
    Reply,
}

/// A single moment worth a mark.
#[derive(Clone, Debug)]
pub struct Note {
    /// The column that the note belongs to.
    pub column: usize,
    /// When it happened.
    pub at_us: u64,
    /// What kind of moment it is.
    pub kind: NoteKind,
    /// What happened, in words.
    pub text: String,
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// Something was made to go wrong.
    Fault,
    /// A clock was changed.
    Clock,
    /// A party started, stopped or came back.
    Life,
    /// The work itself went a step further.
    Run,
    /// The promise broke here.
    Violation,
}

impl Column {
    /// The difference of the party's clock from true time, in milliseconds.
    #[must_use]
    pub fn clock_at(&self, at_us: u64) -> i64 {
        self.clock
            .iter()
            .take_while(|(from_us, _)| *from_us <= at_us)
            .last()
            .map_or(0, |(_, difference_ms)| *difference_ms)
    }
}

impl Timeline {
    /// The name of a column, or a dash if there is no such column.
    #[must_use]
    pub fn name(&self, column: usize) -> &str {
        self.columns.get(column).map_or("–", |column| &column.name)
    }
}
