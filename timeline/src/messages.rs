//! The arrows of the messages.
//!
//! A message and the scale go in; out come the lines of its request and its
//! answer. What was lost ends in a cross.

use maud::{Markup, html};

use crate::geometry::{CROSS, HALF_BAR, life};
use crate::leases;
use crate::model::{Arrow, Lost};
use crate::shapes::Picture;

/// How far a message falls on its way if its arrival is not known.
const FALL: i64 = 9;
/// The radius of the dot where a message begins or arrives.
const DOT: i64 = 3;

/// The head of the arrows.
pub fn arrow_head() -> Markup {
    html! {
        marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto" markerUnits="userSpaceOnUse" {
            path d="M0 0L8 4L0 8z" {}
        }
    }
}

/// A request to the server's lane and the answer back. What was lost ends in a
/// cross just before the sender's life line, so that it can be seen beside its
/// label however far away the server is.
pub fn legs(picture: &Picture, message: &Arrow, column: usize) -> Markup {
    let y = |at_us: u64| picture.scale.y(at_us);
    // A message begins and ends at the edge of a bar, so that it does not cover
    // the epoch; where there is no bar it does so at the life line.
    let sender = |at_us: u64| {
        let bar = leases::stands(picture, column, at_us);
        life(column) - if bar { HALF_BAR } else { 0 }
    };
    let server = life(0) + DOT;
    let (start, sent) = (sender(message.sent_us), y(message.sent_us));
    // A lost request never arrived, whatever else is said about it.
    let arrived = message.arrived_us.filter(|_| message.lost != Some(Lost::Request)).map(y);
    let stop = life(column) - CROSS;
    html! {
        @if column > 0 {
            @if let Some(arrived) = arrived {
                (way("request", (start, sent), (server, arrived)))
                circle.dot cx=(life(0)) cy=(arrived) r=(DOT) {}
                @if message.lost == Some(Lost::Reply) {
                    (way("reply torn", (server, arrived), (stop, arrived + FALL)))
                    (cross(stop, arrived + FALL))
                } @else if let Some(answered_us) = message.answered_us {
                    (way("reply", (server, arrived), (sender(answered_us), y(answered_us))))
                }
            } @else {
                (way("request torn", (start, sent), (stop, sent + FALL)))
                @if message.lost.is_some() { (cross(stop, sent + FALL)) }
            }
        } @else if message.lost.is_some() {
            (cross(stop, sent))
        }
        circle.dot cx=(start) cy=(sent) r=(DOT) {}
    }
}

/// One leg of a message. The second, invisible path is wide enough to be pointed at.
fn way(class: &str, from: (i64, i64), to: (i64, i64)) -> Markup {
    let line = format!("M{} {}L{} {}", from.0, from.1, to.0, to.1);
    html! {
        path class={ "way " (class) } d=(line) {}
        path.hit d=(line) {}
    }
}

fn cross(x: i64, y: i64) -> Markup {
    html! {
        path.cross d={ "M" (x - 5) " " (y - 5) "l10 10m0 -10l-10 10" } {}
    }
}
