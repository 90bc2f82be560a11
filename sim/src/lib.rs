#[allow(missing_docs)]
pub mod clock;
pub mod stream;
