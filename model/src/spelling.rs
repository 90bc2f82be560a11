//! How `ff-core`'s states are spelled in keys and on the wire: as serde spells them.
//!
//! The shipped client reads these texts back with serde, so its own derive is the one list of them.

use std::fmt;

use serde::ser::{Impossible, Serialize, Serializer};

/// The word of an enum's variant; panics for a variant that carries anything.
pub(crate) fn word(variant: impl Serialize) -> &'static str {
    variant.serialize(Word).expect("a variant without fields has one word")
}

/// Takes the name of a variant and nothing else.
struct Word;

macro_rules! wordless {
    ($($method:ident($($argument:ty),*) -> $answer:ident;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<Self::$answer, fmt::Error> { Err(fmt::Error) })*
    };
}

type Nothing = Impossible<&'static str, fmt::Error>;

impl Serializer for Word {
    type Ok = &'static str;
    type Error = fmt::Error;
    type SerializeSeq = Nothing;
    type SerializeTuple = Nothing;
    type SerializeTupleStruct = Nothing;
    type SerializeTupleVariant = Nothing;
    type SerializeMap = Nothing;
    type SerializeStruct = Nothing;
    type SerializeStructVariant = Nothing;

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<&'static str, fmt::Error> {
        Ok(name)
    }

    wordless! {
        serialize_bool(bool) -> Ok;
        serialize_i8(i8) -> Ok;
        serialize_i16(i16) -> Ok;
        serialize_i32(i32) -> Ok;
        serialize_i64(i64) -> Ok;
        serialize_u8(u8) -> Ok;
        serialize_u16(u16) -> Ok;
        serialize_u32(u32) -> Ok;
        serialize_u64(u64) -> Ok;
        serialize_f32(f32) -> Ok;
        serialize_f64(f64) -> Ok;
        serialize_char(char) -> Ok;
        serialize_str(&str) -> Ok;
        serialize_bytes(&[u8]) -> Ok;
        serialize_none() -> Ok;
        serialize_unit() -> Ok;
        serialize_unit_struct(&'static str) -> Ok;
        serialize_seq(Option<usize>) -> SerializeSeq;
        serialize_tuple(usize) -> SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant;
        serialize_map(Option<usize>) -> SerializeMap;
        serialize_struct(&'static str, usize) -> SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<&'static str, fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<Self::Ok, fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<&'static str, fmt::Error> {
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ff_core::state::{AttemptLifecycle, BlockingReason, EligibilityState, TerminalOutcome};

    #[test]
    fn a_variant_is_spelled_as_the_scripts_spell_it() {
        assert_eq!(word(EligibilityState::NotEligibleUntilTime), "not_eligible_until_time");
        assert_eq!(word(BlockingReason::PausedByFlowCancel), "paused_by_flow_cancel");
        assert_eq!(word(TerminalOutcome::None), "none");
        assert_eq!(word(AttemptLifecycle::InterruptedReclaimed), "interrupted_reclaimed");
    }

    #[test]
    fn nothing_but_a_variant_has_a_word() {
        assert!(5_u8.serialize(Word).is_err());
        assert!(Some(TerminalOutcome::None).serialize(Word).is_err());
    }
}
