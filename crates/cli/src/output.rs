//! How things look: colours on a terminal alone, times, sizes, lines that end where the terminal does.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};

use chrono::{DateTime, TimeDelta, Utc};
use clap::builder::styling::{AnsiColor, Style};

pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const HEADING: Style = Style::new().bold();
pub(crate) const FAINT: Style = Style::new().dimmed();

/// How wide running text is on a terminal, in columns.
const WIDTH: usize = 80;

/// A text in a style; `anstream` takes the style out again where it is not wanted.
pub(crate) fn styled(style: Style, text: impl fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

pub(crate) fn print_error(error: &impl fmt::Display) {
    let _ = writeln!(anstream::stderr(), "{} {error}", styled(BAD, "error:"));
}

pub(crate) fn print_warning(text: &str) {
    // A full or closed error stream is no reason to fail.
    let _ = writeln!(anstream::stderr(), "{} {text}", styled(WARNING, "warning:"));
}

pub(crate) fn print_note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{} {text}", styled(FAINT, "note:"));
}

/// Running text behind `indent` columns: broken between words on a terminal, on one line in a pipe or a file.
pub(crate) fn paragraph(text: &str, indent: usize) -> String {
    if io::stdout().is_terminal() {
        wrap(text, indent, WIDTH)
    } else {
        text.to_owned()
    }
}

/// Breaks lines between words; the first line is taken to stand behind the indent already.
fn wrap(text: &str, indent: usize, width: usize) -> String {
    let mut wrapped = String::with_capacity(text.len() + 16);
    let mut column = indent;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > indent && column + 1 + length > width {
            wrapped.push('\n');
            wrapped.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if column > indent {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped
}

/// `2027-01-02 03:04 UTC`
pub(crate) fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// `in 13 days`, `3 minutes ago`: the largest unit of which there are at least two, as people say it.
pub(crate) fn relative(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let delta = time - now;
    let span = span(delta.abs());
    if delta < TimeDelta::zero() {
        format!("{span} ago")
    } else {
        format!("in {span}")
    }
}

fn span(delta: TimeDelta) -> String {
    let seconds = delta.num_seconds();
    let units = [
        (365 * 24 * 60 * 60, "years"),
        (24 * 60 * 60, "days"),
        (60 * 60, "hours"),
        (60, "minutes"),
    ];
    for (unit, name) in units {
        if seconds >= 2 * unit {
            return format!("{} {name}", seconds / unit);
        }
    }
    match seconds {
        1 => "1 second".to_owned(),
        _ => format!("{seconds} seconds"),
    }
}

/// `312 B`, `4.1 kB`
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

/// `1 session`, `2,500 sessions`
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", indicatif::HumanCount(number))
}

/// What came from a visitor, without what would move a terminal's cursor or turn its direction.
pub(crate) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_printable(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
    }
    shown
}

/// Whether a terminal shows `character` and does nothing else.
pub(crate) fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_control();
    }
    // Behind a letter, `escape_debug` leaves combining marks as they are, and escapes controls, directions and the unassigned.
    let behind_a_letter = String::from_iter(['a', character]);
    behind_a_letter.escape_debug().eq(behind_a_letter.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_tell_them() {
        let now = DateTime::UNIX_EPOCH;
        let after = |seconds| relative(now + TimeDelta::seconds(seconds), now);
        assert_eq!(after(1), "in 1 second");
        assert_eq!(after(119), "in 119 seconds");
        assert_eq!(after(120), "in 2 minutes");
        assert_eq!(after(47 * 60 * 60), "in 47 hours");
        assert_eq!(after(14 * 24 * 60 * 60 - 1), "in 13 days");
        assert_eq!(after(-7_200), "2 hours ago");
        assert_eq!(
            relative(DateTime::<Utc>::MAX_UTC, now),
            "in 260345 years",
            "what is stored may be any time"
        );
    }

    #[test]
    fn sizes_have_one_decimal_and_counts_a_plural() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(4_190), "4.1 kB");
        assert_eq!(size(12_345_678), "12.3 MB");
        assert_eq!(count(1, "session"), "1 session");
        assert_eq!(count(2_500, "session"), "2,500 sessions");
    }

    #[test]
    fn text_is_broken_between_words_and_hangs_behind_its_indent() {
        assert_eq!(wrap("one two three", 4, 11), "one two\n    three");
        assert_eq!(
            wrap("incomprehensibilities", 4, 11),
            "incomprehensibilities"
        );
        assert_eq!(wrap("", 4, 11), "");
    }

    #[test]
    fn a_terminal_gets_letters_and_no_commands() {
        assert_eq!(harmless("김 हिन्दी é"), "김 हिन्दी é");
        assert_eq!(harmless("\u{1b}[2J"), "\\u{1b}[2J");
        assert_eq!(harmless("a\u{202e}b"), "a\\u{202e}b");
    }
}
