//! Reading a stored plan, and finding what no plan can have.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use super::{PartyKey, Plan, Strikes, VERSION};
use crate::address::AddressKey;
use crate::input::{InputError, line_of, read_text};
use crate::stream::Range;

/// Reads a plan.
///
/// # Errors
/// When the file is missing, no JSON, of another version or not a plan.
pub fn read(file: &Path) -> Result<Plan, InputError> {
    parse(file, &read_text(file, "plan", "a plan in JSON")?)
}

/// Reads a plan from its text; errors name the file.
///
/// # Errors
/// When the text is no JSON, of another version or not a plan.
pub fn parse(file: &Path, text: &str) -> Result<Plan, InputError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let malformed = |line: usize, why: String| InputError::Malformed { file: file.to_owned(), line, why };
    let from_json =
        |error: serde_json::Error| malformed(error.line().max(1), format!("{error}; accepted is a plan in JSON"));
    let line_of_key = |key: &str| {
        // One element a line follows the line of its list.
        let (list, rest) = key.split_once(['[', '.']).unwrap_or((key, ""));
        let first = line_of(text, text.find(&format!("\"{list}\"")).unwrap_or(0));
        let position = rest.split_once(']').and_then(|(position, _)| position.parse::<usize>().ok());
        position.map_or(first, |position| first + 1 + position)
    };
    let Versioned { version } = serde_json::from_str(text).map_err(from_json)?;
    if version != VERSION {
        let why = format!(
            "version: found {version}, accepted is {VERSION}; draw the plan again: claimlab replay SCENARIO --seed N --out FOLDER"
        );
        return Err(malformed(line_of_key("version"), why));
    }
    let plan: Plan = serde_json::from_str(text).map_err(from_json)?;
    plan.check().map_err(|(key, found, accepted)| {
        malformed(line_of_key(&key), format!("{key}: found {found}, accepted is {accepted}"))
    })?;
    Ok(plan)
}

const DAY_MS: u64 = 86_400_000;

impl Plan {
    /// Whether a plan as it is could have been read.
    pub fn is_possible(&self) -> bool {
        self.check().is_ok()
    }

    /// Finds a value that no drawn plan has: its key, what was found, what is accepted.
    fn check(&self) -> Result<(), (String, String, &'static str)> {
        let require = |holds: bool, key: String, found: String, accepted: &'static str| {
            if holds { Ok(()) } else { Err((key, found, accepted)) }
        };
        let world = &self.world;
        let of_world = |name: &str| format!("world.{name}");
        let require_lanes = |lanes: &[String], key: String| {
            let unknown = lanes.iter().find(|lane| !world.lanes.contains(lane));
            unknown.map_or(Ok(()), |lane| Err((key, format!("{lane:?}"), "one of world.lanes")))
        };
        require(world.partitions > 0, of_world("partitions"), "0".into(), "1 to 65535")?;
        require(!world.lanes.is_empty(), of_world("lanes"), "no lanes".into(), "at least one lane")?;
        let of_engine = world.engine.as_ref().map_or(&[][..], |engine| &engine.lanes);
        require_lanes(of_engine, of_world("engine.lanes"))?;
        let durations = [
            ("for_ms", world.for_ms, 1),
            ("liveness_ms", world.liveness_ms, 0),
            ("lease_ttl_ms", world.lease_ttl_ms, 3),
            ("request_timeout_ms", world.request_timeout_ms, 1),
        ];
        for (name, value, least) in durations {
            require(
                (least..=DAY_MS).contains(&value),
                of_world(name),
                value.to_string(),
                "up to a day, and long enough",
            )?;
        }
        let counts = [("engines", world.engines), ("schedulers", world.schedulers)];
        for (name, count) in counts {
            let possible = (1..=crate::scenario::MOST_OF_A_ROLE).contains(&count);
            require(possible, of_world(name), count.to_string(), "1 to 9")?;
        }
        let Range { low, high } = world.service_us;
        let possible = low >= 0 && high <= 60_000_000;
        require(possible, of_world("service_us"), format!("[{low}, {high}]"), "0 to 60000000")?;
        let Range { low, high } = world.latency_us;
        require(low >= 1 && high <= 60_000_000, of_world("latency_us"), format!("[{low}, {high}]"), "1 to 60000000")?;
        let (mut workers, mut items) = (BTreeSet::new(), BTreeSet::new());
        for (position, worker) in self.workers.iter().enumerate() {
            let key = |name: &str| format!("workers[{position}].{name}");
            let drift = worker.clock.drift_ppm;
            require(
                (-500_000..=500_000).contains(&drift),
                key("clock.drift_ppm"),
                drift.to_string(),
                "-500000 to 500000",
            )?;
            require(
                (1..=DAY_MS).contains(&worker.poll_ms),
                key("poll_ms"),
                worker.poll_ms.to_string(),
                "1 to 86400000",
            )?;
            let is_worker = worker.key.0 >= PartyKey::RECLAIMERS && workers.insert(worker.key);
            require(worker.concurrency > 0, key("concurrency"), "0".into(), "1 or more")?;
            require(!worker.lanes.is_empty(), key("lanes"), "no lanes".into(), "at least one lane")?;
            require_lanes(&worker.lanes, key("lanes"))?;
            require(is_worker, key("key"), worker.key.0.to_string(), "100 or more, each once")?;
        }
        for (position, item) in self.work.iter().enumerate() {
            let id = ff_core::types::ExecutionId::parse(&item.execution);
            let accepted = "{fp:N}:UUID with N below world.partitions";
            let known = id.is_ok_and(|id| id.partition() < world.partitions);
            require(known, format!("work[{position}].execution"), item.execution.clone(), accepted)?;
            let fresh = items.insert(item.key);
            require(fresh, format!("work[{position}].key"), item.key.to_string(), "each key once")?;
            require_lanes(std::slice::from_ref(&item.lane), format!("work[{position}].lane"))?;
        }
        for (position, flow) in self.flows.iter().enumerate() {
            let key = |name: &str| format!("flows[{position}].{name}");
            let ends = flow.edges.iter().flat_map(|edge| [edge.from, edge.to]);
            let named = flow.members.iter().copied().chain(ends).chain(flow.groups.iter().map(|group| group.to));
            for work in named {
                let known = items.contains(&work) && flow.members.contains(&work);
                require(known, key("members"), work.to_string(), "keys of work items of this plan and flow")?;
            }
        }
        let mut actions = BTreeSet::new();
        for (position, action) in self.operators.iter().enumerate() {
            let key = |name: &str| format!("operators[{position}].{name}");
            let known = items.contains(&action.work);
            require(known, key("work"), action.work.to_string(), "the key of a work item of this plan")?;
            require(actions.insert(&action.key), key("key"), format!("{:?} again", action.key), "each key once")?;
        }
        let mut faults = BTreeSet::new();
        for (position, fault) in self.faults.iter().enumerate() {
            let key = |name: &str| format!("faults[{position}].{name}");
            require(faults.insert(&fault.key), key("key"), format!("{:?} again", fault.key), "each key once")?;
            if let Some(accepted) = fault.what.cannot_strike(&fault.strikes) {
                return Err((key("strikes"), format!("a {} of something else", fault.what.name()), accepted));
            }
            if let Some(party) = fault.strikes.party() {
                let known = workers.contains(&party) || self.world.others().any(|other| other == party);
                require(known, key("strikes"), party.to_string(), "a party of this plan")?;
            }
            if let Strikes::Holder { work, .. } = fault.strikes {
                let known = items.contains(&work);
                require(known, key("strikes"), work.to_string(), "the key of a work item of this plan")?;
            }
            if let Strikes::Message(address) = &fault.strikes
                && let Err(accepted) = AddressKey::parse(address)
            {
                return Err((key("strikes"), format!("{address:?}"), accepted));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::draw;

    fn refused(text: &str) -> String {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("claimlab-plan-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("plan.json");
        std::fs::write(&file, text).unwrap();
        let error = read(&file).unwrap_err().to_string();
        std::fs::remove_dir_all(&folder).unwrap();
        error
    }

    fn plan() -> Plan {
        let text = "[world]\npartitions = 4\nfor_ms = 20000\n[workers]\ncount = 3\n[work]\nat_start = 5\nrun_ms = \
                    [100, 900]\n[operators]\ncancel = \"1/1\"\n[faults.pause]\nworkers = \"1/1\"\nfor_ms = [1, 5000]\n";
        draw(&crate::scenario::parse(Path::new("s.toml"), text).unwrap(), 4)
    }

    #[test]
    fn a_plan_of_another_version_is_refused_with_the_command_that_draws_it_again() {
        let error = refused("{\"version\": 1, \"anything\": true}");
        assert!(error.contains("plan.json:1: version: found 1, accepted is 2; draw the plan again"), "{error}");
    }

    #[test]
    fn a_plan_is_one_element_a_line_and_is_read_back() {
        let plan = plan();
        let text = plan.text();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
        let elements = plan.workers.len() + plan.work.len() + plan.operators.len() + plan.faults.len();
        assert!(text.lines().count() <= elements + 20, "{text}");
    }

    #[test]
    fn references_to_nothing_are_refused_with_their_line() {
        let mut strange = plan();
        strange.operators[1].work = 99;
        let line = 1 + strange.text().lines().position(|line| line.contains("\"work\":99")).unwrap();
        let error = refused(&strange.text());
        assert!(error.contains(&format!("plan.json:{line}: operators[1].work: found 99")), "{error}");
        let mut stranger = plan();
        stranger.workers.pop();
        let error = refused(&stranger.text());
        assert!(error.contains("strikes: found worker-2, accepted is a party of this plan"), "{error}");
    }

    #[test]
    fn lanes_that_the_world_does_not_have_are_refused() {
        let mut strange = plan();
        strange.work[2].lane = "nowhere".to_owned();
        let error = refused(&strange.text());
        assert!(error.contains("work[2].lane: found \"nowhere\", accepted is one of world.lanes"), "{error}");
        let mut strange = plan();
        strange.workers[0].lanes = vec!["nowhere".to_owned()];
        let error = refused(&strange.text());
        assert!(error.contains("workers[0].lanes: found \"nowhere\""), "{error}");
    }
}
