//! What one look at an invariant came to.

/// What one look at an invariant came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// There was nothing to look at: what the invariant speaks of is not there.
    Vacuous,
    /// It holds.
    Holds,
    /// It is broken, in this way: one of the invariant's own cases.
    Broken(&'static str),
}

impl Look {
    /// A look that was not vacuous: it holds, or it is broken in this way.
    pub const fn at(holds: bool, case: &'static str) -> Self {
        if holds { Self::Holds } else { Self::Broken(case) }
    }
}
