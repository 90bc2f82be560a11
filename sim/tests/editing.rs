//! Plans can be edited: taking one element out changes what it touches, and never a draw.

#[path = "common/history.rs"]
mod history;
#[path = "common/scenarios.rs"]
mod scenarios;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use claimlab::campaign::replay;
use claimlab::history::{Event, Happening, Observer};
use claimlab::outcome::Outcome;
use claimlab::plan::{Element, Fault, PartyKey, Plan, Strikes, What, draw, read};
use claimlab::run::run;
use claimlab::scenario;
use claimlab::world::Options;
use history::history;

/// What a run drew and did, by address and by party.
#[derive(Default)]
struct Seen {
    /// Latencies of both ways, and whether faults could still strike then.
    latencies: BTreeMap<String, (u64, u64)>,
    before_healing: BTreeSet<String>,
    is_healed: bool,
    /// What befell the message.
    fates: BTreeMap<String, Vec<String>>,
    /// Lease ids by the address of the claim that minted them.
    leases: BTreeMap<String, String>,
    /// What each party did and heard: true time, text, and whether it heard it.
    streams: BTreeMap<PartyKey, Vec<(u64, String, bool)>>,
    /// What the server performed: true time and text.
    server: Vec<(u64, String)>,
    /// When the server performed a party's message first.
    performed: BTreeMap<(PartyKey, u64), u64>,
    /// When each party heard a reply, and when the server had performed it.
    heard: BTreeMap<PartyKey, Vec<(u64, u64)>>,
    addresses: BTreeMap<(PartyKey, u64), String>,
}

#[derive(Clone, Default)]
struct Watcher(Arc<Mutex<Seen>>);

impl Observer for Watcher {
    fn observe(&mut self, event: &Event<'_>) {
        let mut guard = self.0.lock().unwrap();
        let seen = &mut *guard;
        let (at, party) = (event.at.us(), event.party);
        let (text, is_heard) = match &event.kind {
            Happening::Sent { message, address, out_us, back_us, .. } => {
                seen.latencies.insert((*address).to_owned(), (*out_us, *back_us));
                if !seen.is_healed {
                    seen.before_healing.insert((*address).to_owned());
                }
                seen.addresses.insert((party, *message), (*address).to_owned());
                (format!("sends {address}"), false)
            }
            Happening::Struck { message: Some((message, _)), what, .. } => {
                let address = seen.addresses[&(party, *message)].clone();
                seen.fates.entry(address).or_default().push(what.describe());
                return;
            }
            Happening::Performed { message, name, outcome, lease, .. } => {
                seen.performed.entry((party, *message)).or_insert(at);
                let address = seen.addresses.get(&(party, *message)).cloned().unwrap_or_default();
                if let (Some(lease), "leased") = (lease, *outcome) {
                    seen.leases.insert(address.clone(), lease.id.clone());
                }
                seen.server.push((at, format!("{address} {name} {outcome}")));
                return;
            }
            Happening::Answered { message, .. } => {
                let performed = seen.performed.get(&(party, *message)).copied().unwrap_or_default();
                seen.heard.entry(party).or_default().push((at, performed));
                (format!("hears {}", seen.addresses[&(party, *message)]), true)
            }
            Happening::GaveUp { .. } => ("gives up".to_owned(), true),
            Happening::Asked { request } => (format!("is asked {request}"), true),
            Happening::Responded => ("hears another party".to_owned(), true),
            Happening::Struck { key, .. } => (format!("is struck by {key}"), true),
            Happening::Resumed | Happening::Reconnected => ("goes on".to_owned(), true),
            Happening::Healed => {
                seen.is_healed = true;
                return;
            }
            _ => return,
        };
        seen.streams.entry(party).or_default().push((at, text, is_heard));
    }
}

fn seen(plan: &Plan) -> Seen {
    let watcher = Watcher::default();
    replay(&Arc::new(plan.clone()), vec![Box::new(watcher.clone())]);
    std::mem::take(&mut *watcher.0.lock().unwrap())
}

fn struck(plan: &Plan) -> Outcome {
    run(&Arc::new(plan.clone()), Options { keep_struck: true, ..Options::default() })
}

/// A small world in which all kinds of faults strike, and everything that a plan can hold is there.
fn small(seed: u64) -> Plan {
    let text = "[world]\npartitions = 4\nfor_ms = 30000\n[lease]\nttl_ms = 4000\n[workers]\ncount = 6\nconcurrency = \
                2\nreclaimers = 1\nkinds = [{ weight = 2 }, { weight = 1, entry = \"claim_via_server\" }]\n[work]\nat_start = \
                8\nper_second = 1\nrun_ms = [500, 5000]\nsuspend = \"1/4\"\nsignal_after_ms = [100, 2000]\n[work.endings]\ncomplete \
                = 6\nfail = 1\ncancel = 1\n[clocks]\nworker_offset_ms = [-500, 500]\nworker_drift_ppm = [-200, \
                200]\n[operators]\ncancel = \"1/10\"\nrevoke = \"1/5\"\nreprioritise = \"1/10\"\nafter_ms = [500, \
                9000]\n[faults.crash]\nworkers = \"1/3\"\nat_message = \"1/2\"\nrestart_ms = [500, 3000]\n[faults.pause]\nworkers = \
                \"1/2\"\nfor_ms = [500, 8000]\n[faults.lost_request]\nmessages = \"1/60\"\n[faults.lost_reply]\nmessages = \
                \"1/60\"\n[faults.delay]\nmessages = \"1/60\"\nby_ms = [1, 2000]\n[faults.duplicate]\nmessages = \
                \"1/60\"\n[faults.cut]\nworkers = \"1/3\"\nfor_ms = [500, 5000]\n[liveness]\nwithin_ms = 120000\n";
    draw(&scenario::parse(Path::new("small.toml"), text).unwrap(), seed)
}

#[test]
fn a_concretised_plan_replays_to_the_same_bytes() {
    for file in scenarios::all() {
        let scenario = scenario::read(&file).unwrap().with_workers(24);
        for seed in 0..2 {
            let plan = draw(&scenario, seed);
            let explicit = plan.concretise(&struck(&plan).struck);
            assert!(explicit.rates.is_empty());
            assert_eq!(read_back(&explicit, "explicit"), explicit);
            let (drawn, named) = (history(&Arc::new(plan)), history(&Arc::new(explicit)));
            assert!(drawn == named, "{} with seed {seed} differs", file.display());
        }
    }
}

#[test]
fn a_plan_of_the_main_scenario_is_small_and_read_back() {
    let file = scenarios::all().into_iter().find(|file| file.ends_with("crash-and-skew.toml")).unwrap();
    let text = draw(&scenario::read(&file).unwrap(), 0).text();
    // Some 90 thousand work items and 2,000 workers, a line each.
    assert!(text.len() < 40_000_000 && text.lines().count() > 90_000, "{} bytes", text.len());
    let plan = small(1);
    assert_eq!(read_back(&plan, "small"), plan);
}

/// What a plan's file says.
fn read_back(plan: &Plan, name: &str) -> Plan {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-plan.json"));
    std::fs::write(&path, plan.text()).unwrap();
    read(&path).unwrap()
}

/// The property that shrinking rests on.
#[test]
fn one_element_less_changes_no_draw_and_nobody_before_it_hears_of_it() {
    let mut addresses_in_both = 0;
    for seed in 0..4 {
        let plan = small(seed);
        let plan = plan.concretise(&struck(&plan).struck);
        let whole = seen(&plan);
        for element in plan.elements() {
            let less = seen(&plan.without(&element));
            addresses_in_both += assert_unmoved(&plan, &element, &whole, &less, seed);
        }
    }
    assert!(addresses_in_both > 100_000, "{addresses_in_both}");
}

fn assert_unmoved(plan: &Plan, element: &Element, whole: &Seen, less: &Seen, seed: u64) -> usize {
    let what = format!("seed {seed} without {element}");
    let removed = match element {
        Element::Fault(key) => plan.faults.iter().find(|fault| fault.key == *key),
        _ => None,
    };
    let mut in_both = 0;
    for (address, latency) in &less.latencies {
        let Some(before) = whole.latencies.get(address) else { continue };
        in_both += 1;
        assert_eq!(before, latency, "{what}: another latency at {address}");
        let is_removed = |fault: &Fault| matches!(&fault.strikes, Strikes::Message(own) if own == address);
        // Once the faults have stopped nothing strikes, wherever the message would have been struck before.
        let both_in_time = whole.before_healing.contains(address) && less.before_healing.contains(address);
        if both_in_time && !removed.is_some_and(is_removed) {
            assert_eq!(whole.fates.get(address), less.fates.get(address), "{what}: another fate at {address}");
        }
    }
    for (address, lease) in &less.leases {
        assert!(whole.leases.get(address).is_none_or(|before| before == lease), "{what}: another id at {address}");
    }
    // From when on the server's own course differs.
    let same = whole.server.iter().zip(&less.server).take_while(|(one, other)| one == other).count();
    let differs_at = [whole.server.get(same), less.server.get(same)].into_iter().flatten().map(|(at, _)| *at).min();
    let empty = Vec::new();
    for (party, before) in &whole.streams {
        let is_own = match element {
            Element::Worker(key) => key == party,
            Element::Fault(_) => removed.is_some_and(|fault| match &fault.strikes {
                // A crash right after a message is its sender's own.
                Strikes::Message(address) => {
                    whole.addresses.iter().any(|((own, _), sent)| own == party && sent == address)
                }
                strikes => strikes.party() == Some(*party),
            }),
            // The submitter and the operator no longer have it to do, and a reclaimer no longer to look after.
            Element::Work(_) => matches!(party.role(), "submitter" | "operator" | "reclaimer"),
            Element::Action(_) => *party == PartyKey::OPERATOR,
        };
        if is_own {
            continue;
        }
        let after = less.streams.get(party).unwrap_or(&empty);
        let same = before.iter().zip(after).take_while(|(one, other)| one == other).count();
        let Some((at, text, is_heard)) = [before.get(same), after.get(same)].into_iter().flatten().min() else {
            continue;
        };
        if *is_heard {
            continue;
        }
        // What it does differs: it must have heard of the difference before.
        let heard = whole.heard.get(party).into_iter().chain(less.heard.get(party)).flatten();
        let has_heard = differs_at
            .is_some_and(|from| heard.into_iter().any(|(heard_at, performed)| heard_at <= at && *performed >= from));
        let was_told = before[..same].iter().any(|(at, text, _)| {
            (text.contains("another party") || text.contains("is asked")) && differs_at.is_some_and(|from| *at >= from)
        });
        assert!(has_heard || was_told, "{what}: {party} at {at} us {text}, and had heard nothing new");
    }
    in_both
}

#[test]
fn a_fault_that_meets_nothing_is_listed() {
    let mut plan = small(3);
    let strikes = Strikes::Message("holder / work-0 attempt 9 epoch 99 / renew_lease #1".to_owned());
    plan.faults.push(Fault { key: "nobody".to_owned(), strikes, what: What::LostReply });
    let outcome = struck(&plan);
    assert!(outcome.unstruck.contains(&"nobody".to_owned()), "{:?}", outcome.unstruck);
    let met = outcome.struck.iter().find(|struck| struck.address.is_some()).expect("something was struck");
    let mut spared = plan.clone();
    let strikes = Strikes::Message(met.address.clone().unwrap());
    spared.faults.push(Fault { key: "spared".to_owned(), strikes, what: What::Spare });
    let outcome = struck(&spared);
    assert!(outcome.struck.iter().all(|struck| struck.key == "spared" || struck.address != met.address));
}
