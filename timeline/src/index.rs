//! The page that leads to all others.
//!
//! What is known goes in, one entry for each finding; out comes one HTML file as a
//! string, without any script.

use maud::{DOCTYPE, html};

use crate::page::head;

/// One finding that has a page.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// The promise, and the way in which it is broken.
    pub promise: String,
    /// What happens, in one sentence.
    pub title: String,
    /// Why, and where in the program.
    pub reason: String,
    /// How large the smallest plan is that shows it.
    pub size: String,
    /// What a real server said of it, with where and when; empty where none was asked.
    pub confirmed: String,
    /// Its page, relative to this one.
    pub page: String,
}

const STYLE: &str = "\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
li{margin:1rem 0}\
ol{list-style:none;padding:0}\
h2{font-size:1.1rem;margin:0}\
p{margin:.2rem 0}\
.small{opacity:.8;font-size:.9rem}";

/// Renders the list of findings, each with a link to its page.
#[must_use]
pub fn index(entries: &[Entry]) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            (head("Findings", STYLE))
            body {
                h1 { "Findings" }
                p { (entries.len()) " ways in which a promise is broken, each with the smallest run that shows it." }
                ol {
                    @for entry in entries {
                        li id=(entry.id) {
                            h2 { (entry.id) " · " a href=(entry.page) { (entry.title) } }
                            p.small {
                                (entry.promise) " · " (entry.size)
                                @if !entry.confirmed.is_empty() { " · " (entry.confirmed) }
                            }
                            p { (entry.reason) }
                        }
                    }
                }
            }
        }
    };
    markup.into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_has_a_link_to_its_page_and_text_is_escaped() {
        let entry = Entry {
            id: "F1".into(),
            promise: "S04 expired".into(),
            title: "a < b".into(),
            reason: "r".into(),
            size: "1 worker".into(),
            confirmed: "confirmed on Valkey 8.0.1".into(),
            page: "F1/timeline.html".into(),
        };
        let page = index(&[entry]);
        assert!(page.contains("<a href=\"F1/timeline.html\">a &lt; b</a>"), "{page}");
    }
}
