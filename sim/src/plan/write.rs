//! A plan as text: JSON with one element a line, so that a person and `diff` can read it.

use std::fmt::Write as _;

use serde::Serialize;

use super::Plan;

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a plan's values have a text")
}

fn list<T: Serialize>(out: &mut String, name: &str, elements: &[T], last: bool) {
    let _ = write!(out, "\"{name}\": [");
    for (position, element) in elements.iter().enumerate() {
        let _ = write!(out, "{}\n  {}", if position == 0 { "" } else { "," }, line(element));
    }
    let _ = writeln!(out, "{}]{}", if elements.is_empty() { "" } else { "\n" }, if last { "" } else { "," });
}

impl Plan {
    /// The plan as text; [`super::read`] reads it back.
    pub fn text(&self) -> String {
        let Self { version, scenario, seed, later, world, rates, workers, work, flows, operators, faults } = self;
        let mut out = format!("{{\n\"version\": {version},\n\"scenario\": {},\n\"seed\": {seed},\n", line(scenario));
        if let Some(later) = later {
            let _ = writeln!(out, "\"later\": {},", line(later));
        }
        let _ = writeln!(out, "\"world\": {},", line(world));
        list(&mut out, "rates", rates, false);
        list(&mut out, "workers", workers, false);
        list(&mut out, "work", work, false);
        if !flows.is_empty() {
            list(&mut out, "flows", flows, false);
        }
        list(&mut out, "operators", operators, false);
        list(&mut out, "faults", faults, true);
        out.push_str("}\n");
        out
    }
}
