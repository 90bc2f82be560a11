//! A slowdown put in on purpose, to see that the gate finds it.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use claimlab::stopwatch::Stopwatch;

use crate::operation::Operation;

/// By how many millionths operations take longer than they do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plant(BTreeMap<Operation, u32>);

impl Plant {
    /// Adds another's.
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Keeps the thread busy for the planted share of what an operation took.
    pub fn slow(&self, operation: Operation, took: Duration) {
        let Some(ppm) = self.0.get(&operation) else { return };
        let longer = took.mul_f64(f64::from(*ppm) / 1e6);
        let began = Stopwatch::start();
        while began.elapsed() < longer {
            std::hint::spin_loop();
        }
    }

    /// As the flag is written.
    pub fn as_flags(&self) -> Vec<String> {
        self.0.iter().map(|(operation, ppm)| format!("{}={ppm}", operation.name())).collect()
    }
}

impl FromStr for Plant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let accepted = "accepted is OPERATION=PPM, such as renew=100000 for ten per cent";
        let (name, ppm) = text.split_once('=').ok_or_else(|| accepted.to_owned())?;
        let operation = name.parse()?;
        let ppm = ppm.parse().map_err(|_| accepted.to_owned())?;
        Ok(Self(BTreeMap::from([(operation, ppm)])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plant_is_read_as_it_is_written() {
        let plant: Plant = "renew=100000".parse().unwrap();
        assert_eq!(plant.as_flags(), ["renew=100000"]);
        assert_eq!(plant.0[&Operation::Renew], 100_000);
    }

    #[test]
    fn anything_else_is_refused_with_what_is_accepted() {
        assert!("renew".parse::<Plant>().unwrap_err().contains("OPERATION=PPM"));
        assert!("renew=much".parse::<Plant>().unwrap_err().contains("OPERATION=PPM"));
        assert!("grow=1".parse::<Plant>().unwrap_err().contains("issue_claim_grant"));
    }
}
