//! Writes example pages into the directory given as the first argument: one told
//! story, one without any event, and crowds of messages.

use std::path::Path;
use std::{env, fs, io};

use claimlab_timeline::{Arrow, Band, BandKind, Column, Lease, Lost, Note, NoteKind, Timeline, page};

fn main() -> io::Result<()> {
    let target = env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let target = Path::new(&target);
    fs::create_dir_all(target)?;
    for (name, timeline) in [
        ("story.html", story()),
        ("events-200.html", crowd(200, 5)),
        ("events-500.html", crowd(500, 10)),
        (
            "empty.html",
            Timeline {
                columns: Vec::new(),
                leases: Vec::new(),
                bands: Vec::new(),
                messages: Vec::new(),
                notes: Vec::new(),
                curve: Vec::new(),
                story: Vec::new(),
                ..story()
            },
        ),
    ] {
        let page = page(&timeline);
        println!("{name}: {} bytes", page.len());
        fs::write(target.join(name), page)?;
    }
    Ok(())
}

fn column(name: &str, role: &str, clock: &[(u64, i64)]) -> Column {
    Column { name: name.to_owned(), role: role.to_owned(), clock: clock.to_vec() }
}

fn message(column: usize, times: (u64, Option<u64>, Option<u64>), lost: Option<Lost>, words: [&str; 3]) -> Arrow {
    let [name, outcome, text] = words.map(str::to_owned);
    Arrow { column, sent_us: times.0, arrived_us: times.1, answered_us: times.2, lost, name, outcome, text }
}

fn note(column: usize, at_us: u64, kind: NoteKind, text: &str) -> Note {
    Note { column, at_us, kind, text: text.to_owned() }
}

fn story() -> Timeline {
    let sentences = [
        "submitter submits the execution at 0.2 s; its first reply is lost, so it submits again.",
        "worker-3 claims it at 1.512 s and gets epoch 1 under a lease of 4 s.",
        "worker-3 renews once at 2.8 s, then stands still for 9.8 s, 6 s longer than its lease lasts.",
        "engine finds the lease expired at 6.9 s and marks it so.",
        "worker-7 reclaims the execution at 7.1 s and gets epoch 2.",
        "worker-3 goes on, believes in epoch 1 still, and completes the execution.",
        "The server takes the completion: an ended lease has written.",
    ];
    Timeline {
        title: "A lease that was marked expired completes its execution".to_owned(),
        promise: "S04  an ended lease writes nothing".to_owned(),
        cause: "S04 marked worker:complete_execution=done".to_owned(),
        execution: "{fp:1}:12540b3e-77aa-4c1f-9d5b-0d6c7e1f2a34".to_owned(),
        replay: "flowproof replay --world lease-expiry --seed 0x5f3a91c2 --until 43.1s --execution '{fp:1}:12540b3e'"
            .to_owned(),
        story: sentences.map(str::to_owned).to_vec(),
        columns: columns(),
        leases: leases(),
        bands: bands(),
        messages: messages(),
        notes: notes(),
        curve: vec![
            (0, 1_200),
            (2_803_000, 40_000),
            (5_000_000, 61_000),
            (6_901_200, 310_000),
            (7_101_300, 420_000),
            (9_000_000, 455_000),
            (12_600_000, 900_000),
            (12_611_300, 1_000_000),
        ],
    }
}

fn columns() -> Vec<Column> {
    vec![
        column("server", "keeps the truth", &[]),
        column("engine", "scans for expired leases", &[(0, -12)]),
        column("scheduler", "grants", &[]),
        column("submitter", "submits", &[(0, 4_000)]),
        column("worker-3", "works", &[(0, -120), (3_400_000, -6_000)]),
        column("worker-7", "works", &[(0, 0), (12_960_000, 4_000)]),
    ]
}

fn leases() -> Vec<Lease> {
    vec![
        Lease {
            column: 4,
            epoch: 1,
            attempt: 1,
            from_us: 1_513_100,
            until_us: 6_901_200,
            ended: "marked expired by engine".to_owned(),
            believed_until_us: 12_921_000,
        },
        Lease {
            column: 5,
            epoch: 2,
            attempt: 1,
            from_us: 7_101_300,
            until_us: 12_611_300,
            ended: "the execution was completed by worker-3".to_owned(),
            believed_until_us: 43_002_500,
        },
    ]
}

fn bands() -> Vec<Band> {
    vec![
        Band {
            column: 4,
            from_us: 2_803_000,
            until_us: 12_600_000,
            kind: BandKind::Stall,
            text: "worker-3 stands still, 6 s longer than its lease lasts".to_owned(),
        },
        Band {
            column: 3,
            from_us: 195_000,
            until_us: 1_000_000,
            kind: BandKind::Cut,
            text: "no answers come through".to_owned(),
        },
        Band {
            column: 1,
            from_us: 12_700_000,
            until_us: 12_980_000,
            kind: BandKind::Down,
            text: "engine is restarted".to_owned(),
        },
    ]
}

fn notes() -> Vec<Note> {
    vec![
        note(3, 195_000, NoteKind::Fault, "answers to submitter are cut off"),
        note(4, 1_516_000, NoteKind::Run, "worker-3 begins to work"),
        note(4, 3_400_000, NoteKind::Clock, "worker-3's clock falls back while it stands still"),
        note(5, 7_104_000, NoteKind::Run, "worker-7 begins to work"),
        note(4, 12_601_000, NoteKind::Life, "worker-3 wakes up"),
        note(
            4,
            12_611_300,
            NoteKind::Violation,
            "S04: worker-3 wrote complete_execution with epoch 1, which had been marked expired 5.7 s before; worker-7 held epoch 2.",
        ),
    ]
}

// One message after the other is easier to follow than any division of them.
#[allow(clippy::too_many_lines)]
fn messages() -> Vec<Arrow> {
    vec![
        message(
            3,
            (200_000, Some(201_400), None),
            Some(Lost::Reply),
            [
                "submit_execution",
                "created",
                "submitter submits the execution. The server creates it, but the reply is lost.",
            ],
        ),
        message(
            3,
            (1_200_000, Some(1_201_100), Some(1_203_000)),
            None,
            [
                "submit_execution",
                "already there",
                "submitter submits the execution again and learns that it is already there.",
            ],
        ),
        message(
            2,
            (1_400_000, Some(1_400_700), Some(1_401_500)),
            None,
            ["issue_grant", "granted to worker-3", "scheduler grants the execution to worker-3."],
        ),
        message(
            4,
            (1_512_000, Some(1_513_100), Some(1_515_000)),
            None,
            [
                "claim_execution",
                "claimed, epoch 1",
                "worker-3 claims the execution under the grant and gets epoch 1 until 5.513 s.",
            ],
        ),
        message(
            4,
            (2_800_000, Some(2_801_000), Some(2_802_400)),
            None,
            ["renew_lease", "renewed until 6.801 s", "worker-3 renews its lease of epoch 1."],
        ),
        message(
            5,
            (2_801_200, None, None),
            Some(Lost::Request),
            ["claim_execution", "", "worker-7 asks for the execution, but the request never reaches the server."],
        ),
        message(
            1,
            (6_900_000, Some(6_901_200), Some(6_902_000)),
            None,
            [
                "mark_lease_expired",
                "marked expired",
                "engine finds that the lease of epoch 1 has run out and marks it expired.",
            ],
        ),
        message(
            2,
            (7_050_000, Some(7_050_600), Some(7_051_300)),
            None,
            ["issue_reclaim_grant", "granted to worker-7", "scheduler grants a reclaim to worker-7."],
        ),
        message(
            5,
            (7_100_000, Some(7_101_300), Some(7_103_000)),
            None,
            ["claim_execution", "reclaimed, epoch 2", "worker-7 reclaims the execution and gets epoch 2."],
        ),
        message(
            5,
            (9_000_000, Some(9_001_000), Some(9_002_000)),
            None,
            ["renew_lease", "renewed until 13.001 s", "worker-7 renews its lease of epoch 2."],
        ),
        message(
            5,
            (11_400_000, Some(11_401_000), None),
            Some(Lost::Reply),
            ["renew_lease", "renewed", "worker-7 renews its lease; the answer is lost."],
        ),
        message(
            4,
            (12_610_000, Some(12_611_300), Some(12_613_000)),
            None,
            [
                "complete_execution",
                "done",
                "worker-3 completes the execution with epoch 1, and the server answers that it is done.",
            ],
        ),
        message(
            5,
            (43_000_000, Some(43_001_000), Some(43_002_500)),
            None,
            [
                "complete_execution",
                "refused: already terminal",
                "worker-7 completes the execution and learns that it is already terminal.",
            ],
        ),
    ]
}

/// Many messages of many parties, a few milliseconds apart, with pauses between.
fn crowd(messages: usize, parties: usize) -> Timeline {
    let mut state: u64 = 1;
    let mut draw = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let names = [
        "server",
        "engine",
        "scheduler",
        "submitter",
        "worker-1",
        "worker-2",
        "worker-3",
        "worker-4",
        "worker-5",
        "worker-6",
    ];
    let calls = ["claim_execution", "renew_lease", "complete_execution", "append_frame", "mark_lease_expired"];
    let outcomes = ["done", "renewed", "stale_lease", "already terminal", "no eligible execution"];
    let mut timeline = story();
    timeline.title = format!("{messages} messages of {parties} parties");
    timeline.columns = names.iter().take(parties).map(|name| column(name, "party", &[])).collect();
    timeline.columns[parties - 1].clock = vec![(0, 4_000)];
    timeline.messages.clear();
    timeline.bands.clear();
    timeline.leases.clear();
    timeline.notes.clear();
    let mut at_us = 0;
    for number in 0..messages {
        at_us += match number % 40 {
            0 => 1_000_000 + draw(20_000_000),
            _ => 500 + draw(40_000),
        };
        let party = 1 + usize::try_from(draw(parties as u64 - 1)).unwrap_or(0);
        let choice = usize::try_from(draw(5)).unwrap_or(0);
        let (arrived, answered) = (at_us + 700 + draw(900), at_us + 1_700 + draw(1_500));
        let (times, lost) = match draw(20) {
            0 => ((at_us, None, None), Some(Lost::Request)),
            1 => ((at_us, Some(arrived), None), Some(Lost::Reply)),
            _ => ((at_us, Some(arrived), Some(answered)), None),
        };
        let text = format!(
            "{} calls {} for execution {{fp:1}}:{number:04x} and the server answers: {}.",
            names[party], calls[choice], outcomes[choice]
        );
        timeline.messages.push(message(party, times, lost, [calls[choice], outcomes[choice], &text]));
        if number % 25 == 3 {
            let column = parties - 1 - (number / 25) % 3;
            let length = 200_000 + draw(400_000);
            timeline.leases.push(Lease {
                column,
                epoch: number as u64 / 25 + 1,
                attempt: 1,
                from_us: at_us,
                until_us: at_us + length,
                ended: "released".to_owned(),
                believed_until_us: at_us + length + draw(3) * 90_000,
            });
        }
        if number % 60 == 10 {
            timeline.bands.push(Band {
                column: party,
                from_us: at_us,
                until_us: at_us + 150_000,
                kind: BandKind::Stall,
                text: format!("{} stands still", names[party]),
            });
        }
    }
    timeline.notes.push(note(parties - 1, at_us + 5_000, NoteKind::Violation, "S04: an ended lease wrote."));
    timeline
}
