//! The whole page around the drawing.
//!
//! The timeline goes in; out comes one HTML file as a string, with its style sheet
//! and its script inside.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::chart::chart;
use crate::draw::draw;
use crate::geometry::{AXIS, HEAD};
use crate::model::{NoteKind, Timeline};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Renders one broken promise as a self-contained HTML page.
///
/// The page depends on nothing but its input: the same timeline always gives the
/// same bytes.
#[must_use]
pub fn page(timeline: &Timeline) -> String {
    let drawing = draw(timeline);
    let broken = timeline.notes.iter().any(|note| note.kind == NoteKind::Violation);
    // On the screen the widths are pixels. On paper they are shares of a line, and
    // the room for the heads is a share of the width, in hundredths of a per cent.
    let lanes = drawing.width;
    let [axis_head, lanes_head] = [AXIS, lanes].map(|width| HEAD * 10_000 / width);
    let widths = format!(
        "--axis:{AXIS}px;--lanes:{lanes}px;--axis-share:{AXIS}fr;--lanes-share:{lanes}fr;\
         --axis-head:calc({axis_head}% / 100);--lanes-head:calc({lanes_head}% / 100)"
    );
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            (head(&timeline.title, STYLE))
            body {
                main {
                    h1 { (timeline.title) }
                    div.top {
                        (facts(timeline))
                        (chart(timeline))
                    }
                    @if !timeline.story.is_empty() {
                        h2 { "What happened" }
                        ol.story { @for sentence in &timeline.story { li { (sentence) } } }
                    }
                    h2 { "How to read the timeline" }
                    (legend())
                    h2 id="timeline" { "The timeline" }
                    div.tools {
                        @if broken { button #jump type="button" { "Jump to the violation " kbd { "v" } } }
                        span.keys { kbd { "j" } " next, " kbd { "k" } " previous, " kbd { "Esc" } " closes the details. The arrow keys do the same once an event is chosen." }
                    }
                    div.stage {
                        div #scroller .scroller tabindex="0" role="region" aria-label="Timeline, scrolls in both directions" style=(widths) {
                            div.corner { "true time" br; "in seconds" }
                            (drawing.heads)
                            (drawing.axis)
                            (drawing.lanes)
                        }
                        (panel())
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    markup.into_string()
}

/// What every page begins with: it asks no server for anything, and is light or dark as its reader is.
pub(crate) fn head(title: &str, style: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            // An empty icon keeps the browser from asking a server for one.
            link rel="icon" href="data:,";
            title { (title) }
            style { (PreEscaped(style)) }
        }
    }
}

fn facts(timeline: &Timeline) -> Markup {
    html! {
        dl.facts {
            dt { "Promise" } dd { (timeline.promise) }
            dt { "Cause" } dd { (timeline.cause) }
            dt { "Execution" } dd { code { (timeline.execution) } }
            dt { "Replay" }
            dd.replay {
                code #replay {
                    // Each word is kept whole where the line is broken, so that no
                    // option loses its dashes.
                    @for (number, word) in timeline.replay.split(' ').enumerate() {
                        @if number > 0 { " " }
                        span.word { (word) }
                    }
                }
                button #copy type="button" { "Copy" }
            }
        }
    }
}

/// The details of the chosen event. Without the script it stays hidden.
fn panel() -> Markup {
    html! {
        aside #panel .panel aria-label="Details of the chosen event" {
            div.bar {
                button #previous type="button" aria-label="Previous event" { "↑" }
                button #next type="button" aria-label="Next event" { "↓" }
                span #count {}
                button #close type="button" aria-label="Close the details" { "✕" }
            }
            h3 #kind { "No event chosen" }
            p #text { "Point at a mark, or press j to step through the events." }
            table #times {}
        }
    }
}

fn legend() -> Markup {
    let entry = |sample: Markup, words: &str| {
        html! { li { svg.sample width="34" height="24" viewBox="0 0 34 24" aria-hidden="true" { (sample) } span { (words) } } }
    };
    html! {
        ul.legend {
            (entry(html! { g.e1 { rect.real x="8" y="2" width="18" height="20" {} } },
                "Solid bar: the server really has this lease, under the epoch written on it."))
            (entry(html! { g.e1 { rect.believed x="8" y="2" width="18" height="20" style="fill:url(#hatch1)" {} } },
                "Hatched bar: the lease has ended, but its holder still takes it for its own."))
            (entry(html! { g.e1 { rect.given-up x="8" y="2" width="18" height="20" {} } },
                "Empty bar: the server still has the lease, but its holder no longer counts on it."))
            (entry(html! { g.both { rect.strip x="1" y="4" width="32" height="16" {} } },
                "Shaded strip between two lanes: two parties take the execution for their own at once."))
            (entry(html! { line.way.request x1="32" x2="3" y1="8" y2="16" {} },
                "Solid arrow to the left: a request to the server."))
            (entry(html! { line.way.reply x1="2" x2="31" y1="8" y2="16" {} },
                "Dashed arrow to the right: the server's answer."))
            (entry(html! { g.lost { line.way.torn x1="2" x2="22" y1="12" y2="12" {} path.cross d="M19 7l10 10m0 -10l-10 10" {} } },
                "Dotted line that ends in a cross: the request or the answer was lost."))
            (entry(html! { g.stall { rect.stretch x="2" y="3" width="30" height="18" rx="3" {} } },
                "Filled frame over a lane: the party stood still (dashed edge), was cut off (dotted edge) or was down (full edge)."))
            (entry(html! { g.fault { path.sign d="M17 4l8 14h-16z" {} } },
                "Triangle: something was made to go wrong."))
            (entry(html! { g.clock { circle.sign cx="17" cy="12" r="7" {} path.hands d="M17 7v5h4" {} } },
                "Dial: a clock was changed. Each lane's head says how far its clock is off."))
            (entry(html! { g.life { rect.sign x="11" y="6" width="12" height="12" {} } },
                "Square: a party started, stopped or came back."))
            (entry(html! { g.run { path.sign d="M17 5l7 7l-7 7l-7 -7z" {} } },
                "Diamond: the work itself went a step further."))
            (entry(html! { line.broken x1="0" x2="34" y1="12" y2="12" {} path.spike d="M9 12l8 -8l8 8l-8 8z" {} },
                "Thick red line with spikes and a flag: here the promise broke."))
            (entry(html! { path.gap d="M2 10l6 -5l12 10l12 -10M2 16l6 -5l12 10l12 -10" {} },
                "Zigzag: a long pause without any event, shortened. Heights are not to scale: the longer a pause, the less room each second of it gets."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::page;
    use crate::model::{Arrow, Column, Lease, Lost, Note, NoteKind, Timeline};

    fn timeline() -> Timeline {
        let column = |name: &str| Column { name: name.to_owned(), role: String::new(), clock: vec![(0, 4_000)] };
        Timeline {
            title: "A lease <that> ended & wrote".to_owned(),
            promise: "S04".to_owned(),
            cause: "cause".to_owned(),
            execution: "{fp:1}:1254".to_owned(),
            replay: "replay --seed <7>".to_owned(),
            story: Vec::new(),
            columns: vec![column("server"), column("worker-3")],
            leases: Vec::new(),
            bands: Vec::new(),
            messages: Vec::new(),
            notes: Vec::new(),
            curve: Vec::new(),
        }
    }

    fn message(lost: Option<Lost>) -> Arrow {
        Arrow {
            column: 1,
            sent_us: 1_000,
            arrived_us: (lost != Some(Lost::Request)).then_some(2_000),
            answered_us: lost.is_none().then_some(3_000),
            lost,
            name: "renew_lease".to_owned(),
            outcome: "ok".to_owned(),
            text: "worker-3 renews".to_owned(),
        }
    }

    fn crosses(page: &str) -> usize {
        // One cross stands in the legend.
        page.matches("class=\"cross\"").count() - 1
    }

    #[test]
    fn every_text_is_escaped() {
        let page = page(&timeline());
        assert!(page.contains("A lease &lt;that&gt; ended &amp; wrote"));
        assert!(!page.contains("<that>"));
        assert!(page.contains("&lt;7&gt;"));
    }

    #[test]
    fn a_lost_request_and_a_lost_answer_each_end_in_a_cross_and_a_whole_message_does_not() {
        let mut story = timeline();
        for (lost, expected) in [(None, 0), (Some(Lost::Request), 1), (Some(Lost::Reply), 1)] {
            story.messages = vec![message(lost)];
            assert_eq!(crosses(&page(&story)), expected, "{lost:?}");
        }
    }

    #[test]
    fn the_violation_is_marked_and_can_be_jumped_to() {
        let mut story = timeline();
        assert!(!page(&story).contains("id=\"jump\""));
        story.notes.push(Note { column: 1, at_us: 5_000, kind: NoteKind::Violation, text: "it wrote".to_owned() });
        let page = page(&story);
        assert!(page.contains("class=\"mark violation\""));
        assert!(page.contains("class=\"flag\""));
        assert!(page.contains("id=\"jump\""));
    }

    #[test]
    fn what_the_holder_believes_beyond_the_real_end_is_hatched() {
        let mut story = timeline();
        story.leases.push(Lease {
            column: 1,
            epoch: 1,
            attempt: 1,
            from_us: 0,
            until_us: 4_000_000,
            ended: "marked expired by engine".to_owned(),
            believed_until_us: 6_000_000,
        });
        let page = page(&story);
        // One hatched bar stands in the legend.
        assert_eq!(page.matches("class=\"believed\"").count(), 2);
        assert!(page.contains("went on taking it for its own for 2.0 s"));
    }

    #[test]
    fn the_details_show_each_clock() {
        let mut story = timeline();
        story.messages = vec![message(None)];
        assert!(page(&story).contains("sent|0.001000|4.001000|4.001000"));
    }

    #[test]
    fn an_empty_timeline_and_unknown_columns_still_give_a_page() {
        let mut story = timeline();
        story.columns.clear();
        story.messages = vec![message(None)];
        assert!(page(&story).contains("</html>"));
    }

    #[test]
    fn the_same_timeline_gives_the_same_page() {
        assert_eq!(page(&timeline()), page(&timeline()));
    }
}
