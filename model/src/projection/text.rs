//! A hash's fields as their texts.

use std::collections::BTreeMap;
use std::fmt;

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
