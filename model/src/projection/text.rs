//! How the scripts spell values.

use std::collections::BTreeMap;
use std::fmt;

/// An enum variant as its wire text: the snake case of its name.
pub(super) fn snake(variant: impl fmt::Debug) -> String {
    let name = format!("{variant:?}");
    let mut text = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

/// A hash under construction; what is none is written as an empty field.
#[derive(Default)]
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// A field with a value.
    pub fn set(&mut self, field: &str, value: impl fmt::Display) -> &mut Self {
        self.0.insert(field.to_owned(), value.to_string());
        self
    }

    /// A field that is empty while it has no value.
    pub fn or_empty(&mut self, field: &str, value: Option<impl fmt::Display>) -> &mut Self {
        let text = value.map_or_else(String::new, |value| value.to_string());
        self.set(field, text)
    }

    /// A field that does not exist while it has no value.
    pub fn if_some(&mut self, field: &str, value: Option<impl fmt::Display>) -> &mut Self {
        if let Some(value) = value {
            self.set(field, value);
        }
        self
    }

    /// The hash.
    pub fn done(self) -> BTreeMap<String, String> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ff_core::state::EligibilityState;

    #[test]
    fn a_variant_is_spelled_as_it_travels() {
        assert_eq!(snake(EligibilityState::NotEligibleUntilTime), "not_eligible_until_time");
    }
}
