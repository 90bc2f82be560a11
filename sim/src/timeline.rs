//! The timeline of a violation: a second run of its plan is watched, and what touched the execution becomes a page.
//!
//! In go a plan and the violation that it shows; out comes the data of [`claimlab_timeline::page`]: columns for the
//! server and whoever touched the execution, leases as the server has them and as their holders believe, stalls, cuts,
//! messages with their fates, clocks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use claimlab_timeline::{Arrow, Band, BandKind, Column, Lease, Lost, Note, NoteKind, Timeline};

use crate::clock::EPOCH_MS;
use crate::history::{Event, Happening, Observer};
use crate::inevitable::Moment;
use crate::outcome::{Violation, Wanted};
use crate::plan::{PartyKey, Plan, What};
use crate::run;
use crate::story::{self, Story};
use crate::world::Options;

/// A clock that runs away by less than this is not told again, in milliseconds.
const CLOCK_MS: i64 = 20;

/// What was seen, before parties have columns.
#[derive(Default)]
struct Seen {
    /// The execution's messages; each with its sender.
    arrows: Vec<(PartyKey, u64, Arrow)>,
    leases: Vec<(PartyKey, Lease)>,
    bands: Vec<(PartyKey, Band)>,
    notes: Vec<(PartyKey, Note)>,
    clocks: BTreeMap<PartyKey, Vec<(u64, i64)>>,
    /// Which lease is live, if one is.
    live: Option<usize>,
    over: bool,
    /// The server's clock less true time at the violation, in milliseconds.
    server_ms: i64,
}

#[derive(Clone)]
struct Watcher {
    violation: Violation,
    seen: Arc<Mutex<Seen>>,
}

impl Observer for Watcher {
    fn observe(&mut self, event: &Event<'_>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.over {
            seen.clocks(event);
            seen.happening(event, &self.violation);
        }
    }
}

impl Seen {
    fn clocks(&mut self, event: &Event<'_>) {
        let true_ms = EPOCH_MS.saturating_add_unsigned(event.at.ms());
        let clocks = [(PartyKey::SERVER, event.server.ms()), (event.party, event.wall.ms())];
        for (party, ms) in clocks.into_iter().take(if event.party == PartyKey::SERVER { 1 } else { 2 }) {
            let known = self.clocks.entry(party).or_default();
            let before = known.last().map_or(0, |(_, before)| *before);
            if (ms - true_ms - before).abs() > CLOCK_MS {
                known.push((event.at.us(), ms - true_ms));
            }
        }
    }

    fn note(&mut self, event: &Event<'_>, kind: NoteKind, text: String) {
        self.notes.push((event.party, Note { column: 0, at_us: event.at.us(), kind, text }));
    }

    fn arrow(&mut self, party: PartyKey, message: u64) -> Option<&mut Arrow> {
        let mut own = self.arrows.iter_mut().rev();
        own.find(|(who, number, _)| *who == party && *number == message).map(|(_, _, arrow)| arrow)
    }

    fn end_band(&mut self, party: PartyKey, kinds: &[BandKind], at_us: u64) {
        let mut open = self.bands.iter_mut().rev();
        if let Some((_, band)) = open.find(|(who, band)| *who == party && kinds.contains(&band.kind)) {
            band.until_us = band.until_us.min(at_us);
        }
    }

    fn happening(&mut self, event: &Event<'_>, violation: &Violation) {
        let (party, at_us) = (event.party, event.at.us());
        let is_own = event.kind.execution() == Some(violation.execution.as_str());
        match &event.kind {
            Happening::Sent { message, name, .. } if is_own => {
                let (name, text) = ((*name).to_owned(), String::new());
                let arrow = Arrow {
                    column: 0,
                    sent_us: at_us,
                    arrived_us: None,
                    answered_us: None,
                    lost: None,
                    name,
                    outcome: String::new(),
                    text,
                };
                self.arrows.push((party, *message, arrow));
            }
            Happening::Performed { message, outcome, change, lease, .. } if is_own => {
                self.performed(event, *message, outcome);
                if let Some(change) = change {
                    self.follow(event, change, lease.as_ref());
                } else if let (Some(until_ms), Some(live)) =
                    (lease.as_ref().and_then(|lease| lease.until_ms), self.live)
                {
                    self.leases[live].1.until_us = true_us(until_ms, event);
                }
            }
            Happening::Answered { message, .. } => {
                if let Some(arrow) = self.arrow(party, *message) {
                    arrow.answered_us = Some(at_us);
                }
            }
            Happening::Dropped { message, why } => {
                if let Some(arrow) = self.arrow(party, *message) {
                    arrow.lost = Some(if arrow.arrived_us.is_some() { Lost::Reply } else { Lost::Request });
                    arrow.text = format!("lost: {why}");
                }
            }
            Happening::Struck { what: What::Spare, .. } => {}
            Happening::Struck { what, message: Some((message, _)), .. } => {
                if let Some(arrow) = self.arrow(party, *message) {
                    arrow.text = what.describe();
                }
            }
            Happening::Struck { what, message: None, .. } => self.struck(event, *what),
            Happening::Resumed => self.end_band(party, &[BandKind::Stall], at_us),
            Happening::Reconnected => self.end_band(party, &[BandKind::Cut], at_us),
            Happening::Started { life } if *life > 0 => {
                self.end_band(party, &[BandKind::Down], at_us);
                self.note(event, NoteKind::Life, format!("starts again, life {life}"));
            }
            Happening::RunStarted { .. } if is_own => {
                self.note(event, NoteKind::Run, "begins to run the work".to_owned());
                let mut held = self.leases.iter_mut().rev();
                if let Some((_, lease)) = held.find(|(holder, _)| *holder == party) {
                    // As long as it runs; what has not ended when the promise breaks goes on until then.
                    lease.believed_until_us = violation.at_us;
                }
            }
            Happening::RunEnded { .. } if is_own => {
                self.note(event, NoteKind::Run, "stops running it".to_owned());
                let mut held = self.leases.iter_mut().rev();
                if let Some((_, lease)) = held.find(|(holder, lease)| *holder == party && lease.from_us <= at_us) {
                    lease.believed_until_us = at_us;
                }
            }
            Happening::Healed => self.note(event, NoteKind::Life, "all faults stop and all clocks agree".to_owned()),
            Happening::Violated { violation: found } if **found == *violation => {
                self.over = true;
                self.server_ms = event.server.ms() - EPOCH_MS.saturating_add_unsigned(event.at.ms());
                self.note(event, NoteKind::Violation, violation.detail.clone());
            }
            _ => {}
        }
    }

    fn performed(&mut self, event: &Event<'_>, message: u64, outcome: &str) {
        let (party, at_us) = (event.party, event.at.us());
        let outcome = outcome.replace('_', " ");
        let again = match self.arrow(party, message) {
            Some(arrow) if arrow.arrived_us.is_none() => {
                (arrow.arrived_us, arrow.outcome) = (Some(at_us), outcome.clone());
                None
            }
            Some(arrow) => Some(Arrow {
                arrived_us: Some(at_us),
                answered_us: None,
                outcome: outcome.clone(),
                text: "the same request, applied again".to_owned(),
                ..arrow.clone()
            }),
            None => None,
        };
        if let Some(arrow) = again {
            self.arrows.push((party, message, arrow));
        }
    }

    /// Leases from what became of the core.
    fn follow(
        &mut self,
        event: &Event<'_>,
        change: &crate::history::Transition,
        lease: Option<&crate::history::LeaseSeen>,
    ) {
        const HELD: &str = "active leased";
        let at_us = event.at.us();
        let is_new = change.epoch[1] > change.epoch[0];
        if let Some(live) = self.live.filter(|_| is_new || change.from == HELD && change.to != HELD) {
            let lease = &mut self.leases[live].1;
            lease.until_us = lease.until_us.min(at_us);
            lease.ended = format!("now {} by {}", change.to, event.party);
            self.live = None;
        }
        let until_us = lease.and_then(|lease| lease.until_ms).map(|until_ms| true_us(until_ms, event));
        match (is_new, self.live, until_us) {
            (true, _, Some(until_us)) if change.to == HELD => {
                let attempt = lease.map_or(0, |lease| lease.attempt);
                self.live = Some(self.leases.len());
                let lease = Lease {
                    column: 0,
                    epoch: change.epoch[1],
                    attempt,
                    from_us: at_us,
                    until_us,
                    ended: "expired by the server's clock".to_owned(),
                    believed_until_us: 0,
                };
                self.leases.push((event.party, lease));
            }
            (false, Some(live), Some(until_us)) => self.leases[live].1.until_us = until_us,
            _ => {}
        }
    }

    fn struck(&mut self, event: &Event<'_>, what: What) {
        let band = match what {
            What::Pause { for_ms } => Some((BandKind::Stall, for_ms)),
            What::Cut { for_ms, .. } => Some((BandKind::Cut, for_ms)),
            What::Crash { restart_ms, .. } => Some((BandKind::Down, restart_ms)),
            What::ServerRestart { down_ms } | What::FailOver { down_ms, .. } => Some((BandKind::Down, down_ms)),
            _ => None,
        };
        let text = what.describe();
        match band {
            Some((kind, for_ms)) => {
                let from_us = event.at.us();
                let band = Band { column: 0, from_us, until_us: from_us + for_ms * 1_000, kind, text };
                self.bands.push((event.party, band));
            }
            None => match what {
                What::ServerStep { by_ms } | What::WorkerStep { by_ms } => {
                    let known = self.clocks.entry(event.party).or_default();
                    let before = known.last().map_or(0, |(_, before)| *before);
                    known.push((event.at.us(), before + by_ms));
                    self.note(event, NoteKind::Clock, text);
                }
                _ => self.note(event, NoteKind::Fault, text),
            },
        }
    }
}

/// True time of a time that the server's clock shows, as that clock goes now.
fn true_us(server_ms: i64, event: &Event<'_>) -> u64 {
    let ahead_ms = server_ms - event.server.ms();
    event.at.us().saturating_add_signed(ahead_ms.saturating_mul(1_000))
}

/// What a page needs besides what a run shows.
pub struct Words {
    /// What happened, in one sentence.
    pub title: String,
    /// The story, whose times the page's count from the same event as.
    pub story: Story,
    /// The command that replays the plan.
    pub replay: String,
    /// How likely the violation was to come.
    pub curve: Vec<Moment>,
}

/// The timeline of a violation that a plan shows.
pub fn of(plan: &Arc<Plan>, violation: &Violation, words: Words) -> Timeline {
    let watcher = Watcher { violation: violation.clone(), seen: Arc::default() };
    let observers: Vec<Box<dyn Observer>> = vec![Box::new(watcher.clone())];
    let ends_with = Some(Wanted::of(&violation.cause()));
    run::run(plan, Options { observers, ends_with, ..Options::default() });
    let seen = std::mem::take(&mut *watcher.seen.lock().unwrap_or_else(PoisonError::into_inner));
    lay_out(counted_from(words.story.zero_us, seen), violation, words)
}

/// What was seen, with times that count from an event; what came before it came with it.
fn counted_from(zero_us: u64, mut seen: Seen) -> Seen {
    let less = |us: &mut u64| *us = us.saturating_sub(zero_us);
    for (_, _, arrow) in &mut seen.arrows {
        less(&mut arrow.sent_us);
        arrow.arrived_us.iter_mut().chain(&mut arrow.answered_us).for_each(less);
    }
    for (_, lease) in &mut seen.leases {
        [&mut lease.from_us, &mut lease.until_us, &mut lease.believed_until_us].into_iter().for_each(less);
    }
    for (_, band) in &mut seen.bands {
        [&mut band.from_us, &mut band.until_us].into_iter().for_each(less);
    }
    for (_, note) in &mut seen.notes {
        less(&mut note.at_us);
        if note.kind == NoteKind::Violation {
            note.text = story::plain(&note.text, seen.server_ms, zero_us);
        }
    }
    seen.clocks.values_mut().flatten().for_each(|(from_us, _)| less(from_us));
    seen
}

/// A read that nothing befell says nothing.
fn is_telling(arrow: &Arrow) -> bool {
    arrow.outcome != "read" || arrow.lost.is_some() || !arrow.text.is_empty()
}

fn lay_out(mut seen: Seen, violation: &Violation, words: Words) -> Timeline {
    seen.arrows.retain(|(_, _, arrow)| is_telling(arrow));
    let mut parties: Vec<PartyKey> = seen.arrows.iter().map(|(party, _, _)| *party).collect();
    parties.extend(seen.leases.iter().map(|(party, _)| *party));
    parties.push(PartyKey::SERVER);
    parties.sort_unstable();
    parties.dedup();
    let column = |party: PartyKey| parties.binary_search(&party).ok();
    let columns = parties.iter().map(|party| Column {
        name: party.to_string(),
        role: party.role().to_owned(),
        clock: seen.clocks.remove(party).unwrap_or_default(),
    });
    let columns: Vec<Column> = columns.collect();
    let leases = seen.leases.into_iter().filter_map(|(party, lease)| {
        // Who never ran under a lease believes in it no longer than the server does.
        let believed_until_us = if lease.believed_until_us == 0 { lease.until_us } else { lease.believed_until_us };
        Some(Lease { column: column(party)?, believed_until_us, ..lease })
    });
    let leases: Vec<Lease> = leases.collect();
    let sentence = |arrow: &Arrow| match arrow.text.is_empty() {
        true => format!("{}: {}", arrow.name, arrow.outcome),
        false => format!("{}: {}; {}", arrow.name, arrow.outcome, arrow.text),
    };
    let messages = seen
        .arrows
        .into_iter()
        .filter_map(|(party, _, arrow)| Some(Arrow { column: column(party)?, text: sentence(&arrow), ..arrow }));
    let zero_us = words.story.zero_us;
    let curve = words.curve.iter().map(|moment| (moment.at_us.saturating_sub(zero_us), moment.ppm()));
    Timeline {
        title: words.title,
        promise: format!("{}  {}", violation.invariant.id(), violation.invariant.statement()),
        cause: violation.cause().to_string(),
        execution: violation.execution.clone(),
        replay: words.replay,
        story: words.story.sentences,
        columns,
        leases,
        bands: seen
            .bands
            .into_iter()
            .filter_map(|(party, band)| Some(Band { column: column(party)?, ..band }))
            .collect(),
        messages: messages.collect(),
        notes: seen
            .notes
            .into_iter()
            .filter_map(|(party, note)| Some(Note { column: column(party)?, ..note }))
            .collect(),
        curve: curve.collect(),
    }
}
