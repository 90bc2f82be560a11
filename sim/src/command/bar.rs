//! How far something is, on a terminal; whoever asked for JSON sees nothing of it.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Format;

/// A bar of this template, over so many steps or over nobody knows how many.
pub(super) fn bar(count: Option<u64>, template: &str, format: Format) -> ProgressBar {
    let bar = ProgressBar::new(count.unwrap_or(0));
    bar.set_draw_target(match format {
        Format::Text => ProgressDrawTarget::stderr(),
        Format::Json => ProgressDrawTarget::hidden(),
    });
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
