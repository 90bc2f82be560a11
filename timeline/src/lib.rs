//! Draws how one promise was broken.
//!
//! In goes a [`Timeline`]: who took part, who held which lease, which messages
//! were sent and lost, and when the promise broke. Out comes, from [`page`], one
//! HTML file as a string. The file needs no network and no script to be read or
//! printed; a small script inside it only adds pointing, clicking and stepping.

mod chart;
mod draw;
mod geometry;
mod index;
mod labels;
mod leases;
mod marks;
mod messages;
mod model;
mod page;
mod scale;
mod shapes;
mod words;

pub use index::{Entry, index};
pub use model::{Arrow, Band, BandKind, Column, Lease, Lost, Note, NoteKind, Timeline};
pub use page::page;
