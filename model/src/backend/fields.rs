//! The fields of a core hash as a client reads them.

use crate::intern::Interner;
use crate::message::CoreHash;
use crate::projection::{CoreParts, core_fields};

/// The text of one field; none is one that was never written.
pub(super) fn text(ids: &Interner, hash: &CoreHash, field: &str) -> Option<String> {
    let CoreHash { name, submission, core, reasons, attached, blocking_detail } = hash;
    core_fields(ids, &CoreParts { name, submission, core, reasons, attached, blocking_detail }).remove(field)
}
