//! How far a long work is, on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line that moves while nobody knows how much there is to do. It shows nothing where standard error is no terminal.
pub(crate) fn spinner(message: &'static str, template: &str) -> ProgressBar {
    let bar = ProgressBar::no_length().with_message(message);
    bar.set_style(style(template));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

pub(crate) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
