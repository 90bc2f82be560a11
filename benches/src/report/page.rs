//! The page's frame and its tables.

use std::fmt::Write as _;

/// A page that grows from above.
#[derive(Debug, Default)]
pub(super) struct Page(String);

const HEAD: &str = "<!doctype html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><title>claimlab: what the claim protocol costs</title>
<meta name=\"viewport\" content=\"width=device-width\">
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 0.9rem; }
th, td { padding: 0.15rem 0.7rem; text-align: left; border-bottom: 1px solid #ddd; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
summary { cursor: pointer; font-weight: bold; }
svg { max-width: 100%; height: auto; display: block; margin: 1rem 0; }
</style></head><body>
<h1>What the claim protocol costs</h1>
";

impl Page {
    pub(super) fn section(&mut self, title: &str, text: &str) {
        let _ = writeln!(self.0, "<h2>{}</h2>", escaped(title));
        self.paragraph(text);
    }

    pub(super) fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.0, "<p>{}</p>", escaped(text));
    }

    pub(super) fn small(&mut self, text: &str) {
        let _ = writeln!(self.0, "<p><small>{}</small></p>", escaped(text));
    }

    /// Adds HTML under a line that unfolds it.
    pub(super) fn folded(&mut self, title: &str, html: &str, is_open: bool) {
        let open = if is_open { " open" } else { "" };
        let _ = writeln!(self.0, "<details{open}><summary>{}</summary>{html}</details>", escaped(title));
    }

    /// Adds what is HTML already.
    pub(super) fn add(&mut self, html: &str) {
        self.0.push_str(html);
        self.0.push('\n');
    }

    pub(super) fn finish(self) -> String {
        format!("{HEAD}{}</body></html>\n", self.0)
    }
}

/// One field of a table.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    is_number: bool,
}

impl Cell {
    pub(super) fn text(text: &str) -> Self {
        Self { text: text.to_owned(), is_number: false }
    }

    pub(super) fn number(number: f64, decimals: usize) -> Self {
        Self { text: format!("{number:.decimals$}"), is_number: true }
    }
}

/// A table with a line of heads.
pub(super) fn table(heads: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    let mut html = String::from("<table><tr>");
    for head in heads {
        let _ = write!(html, "<th>{}</th>", escaped(head));
    }
    html.push_str("</tr>\n");
    for row in rows {
        html.push_str("<tr>");
        for cell in row {
            let class = if cell.is_number { " class=\"number\"" } else { "" };
            let _ = write!(html, "<td{class}>{}</td>", escaped(&cell.text));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table>");
    html
}

/// Nanoseconds in microseconds.
pub(super) fn micros(nanos: u64) -> String {
    format!("{:.1} µs", nanos as f64 / 1e3)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_cannot_break_the_page() {
        let html = table(&["a"], [vec![Cell::text("<b>&"), Cell::number(1.0, 1)]]);
        assert!(html.contains("&lt;b&gt;&amp;") && html.contains("<td class=\"number\">1.0</td>"), "{html}");
    }
}
