//! Times as people say them.

use chrono::{DateTime, TimeDelta, Utc};

/// Such as: Tuesday, 4 March 2025, 14:05:00 UTC.
pub(crate) fn in_full(date: DateTime<Utc>) -> String {
    date.format("%A, %-d %B %Y, %H:%M:%S UTC").to_string()
}

/// The two largest units: 13 days and 23 hours.
pub(crate) fn in_words(age: TimeDelta) -> String {
    let parts = parts(age);
    if parts.is_empty() {
        return "no time".to_owned();
    }
    parts[..parts.len().min(2)].join(" and ")
}

/// The largest unit: 13 days ago. Less than two minutes are just now: sessions are noted once a minute.
pub(crate) fn ago(age: TimeDelta) -> String {
    match parts(age).first() {
        Some(part) if age >= TimeDelta::minutes(2) => format!("{part} ago"),
        _ => "just now".to_owned(),
    }
}

fn parts(age: TimeDelta) -> Vec<String> {
    const UNITS: [(i64, &str); 5] = [
        (7 * 24 * 60 * 60, "week"),
        (24 * 60 * 60, "day"),
        (60 * 60, "hour"),
        (60, "minute"),
        (1, "second"),
    ];
    let mut rest = age.num_seconds().max(0);
    let mut parts = Vec::new();
    for (seconds, name) in UNITS {
        let count = rest / seconds;
        rest %= seconds;
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            parts.push(format!("{count} {name}{plural}"));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_two_units() {
        assert_eq!(in_words(TimeDelta::weeks(2)), "2 weeks");
        assert_eq!(in_words(TimeDelta::seconds(61)), "1 minute and 1 second");
        assert_eq!(in_words(TimeDelta::seconds(90_061)), "1 day and 1 hour");
        assert_eq!(in_words(TimeDelta::seconds(-5)), "no time");
    }

    #[test]
    fn what_was_is_told_in_one_unit() {
        assert_eq!(ago(TimeDelta::seconds(90)), "just now");
        assert_eq!(ago(TimeDelta::seconds(-90)), "just now");
        assert_eq!(ago(TimeDelta::seconds(7_300)), "2 hours ago");
        assert_eq!(ago(TimeDelta::days(8)), "1 week ago");
    }
}
