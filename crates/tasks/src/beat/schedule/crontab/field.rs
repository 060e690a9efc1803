//! One field of a crontab, in the syntax of `celery.schedules.crontab_parser`.

use std::fmt;

use super::CrontabError;

/// What a field counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Minute,
    Hour,
    DayOfMonth,
    MonthOfYear,
    DayOfWeek,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day_of_month",
            Self::MonthOfYear => "month_of_year",
            Self::DayOfWeek => "day_of_week",
        }
    }

    /// The first and the last number.
    fn bounds(self) -> (u32, u32) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::MonthOfYear => (1, 12),
            Self::DayOfWeek => (0, 6),
        }
    }
}

/// The numbers that match, as bits, and the text that said so.
#[derive(Clone, Debug)]
pub(super) struct Field {
    unit: Unit,
    spec: String,
    numbers: u64,
}

impl PartialEq for Field {
    /// As in Celery, what counts is the numbers: `*/30` is `0,30`.
    fn eq(&self, other: &Self) -> bool {
        (self.unit, self.numbers) == (other.unit, other.numbers)
    }
}

impl Eq for Field {}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spec)
    }
}

impl Field {
    pub(super) fn all(unit: Unit) -> Self {
        let (first, last) = unit.bounds();
        Self {
            unit,
            spec: "*".to_owned(),
            numbers: bits(first..=last),
        }
    }

    pub(super) fn parse(unit: Unit, spec: &str) -> Result<Self, CrontabError> {
        let mut field = Self {
            unit,
            spec: spec.to_owned(),
            numbers: 0,
        };
        for part in spec.split(',') {
            let numbers = part_numbers(unit, part).map_err(|reason| field.error(reason))?;
            field.numbers |= bits(numbers);
        }
        Ok(field)
    }

    #[cfg(feature = "database")]
    pub(super) fn written(&self) -> (&'static str, &str) {
        (self.unit.name(), &self.spec)
    }

    pub(super) fn error(&self, reason: String) -> CrontabError {
        CrontabError {
            field: self.unit.name(),
            spec: self.spec.clone(),
            reason,
        }
    }

    pub(super) fn contains(&self, number: u32) -> bool {
        self.numbers >> number & 1 == 1
    }

    /// The first number that matches; a field without any is never made.
    pub(super) fn first(&self) -> u32 {
        self.numbers.trailing_zeros()
    }

    /// The first number above `number` that matches.
    pub(super) fn after(&self, number: u32) -> Option<u32> {
        let above = self.numbers & (u64::MAX << number << 1);
        (above != 0).then(|| above.trailing_zeros())
    }
}

fn bits(numbers: impl IntoIterator<Item = u32>) -> u64 {
    numbers
        .into_iter()
        .fold(0, |bits, number| bits | 1 << number)
}

/// Celery matches the beginning of a part only, so that `*/5/2` is `*/5` and `1-5-9` is `1-5`; schedules that rely on
/// it run the same here.
fn part_numbers(unit: Unit, part: &str) -> Result<Vec<u32>, String> {
    let (first, last) = unit.bounds();
    let all = || (first..=last).collect();
    if part.is_empty() {
        return Err("a part between commas is empty".to_owned());
    }
    if part == "*" {
        return Ok(all());
    }
    if let Some(step) = part.strip_prefix("*/") {
        return every(all(), word(step));
    }
    match range(part) {
        Some((from, to, None)) => expand(unit, from, to),
        Some((from, to, Some(step))) => every(expand(unit, from, to)?, step),
        None => Ok(vec![number(unit, part)?]),
    }
}

/// `from-to` and, after a slash, the step.
fn range(part: &str) -> Option<(&str, &str, Option<&str>)> {
    let (from, rest) = part.split_once('-')?;
    let to = word(rest);
    if from.is_empty() || word(from) != from || to.is_empty() {
        return None;
    }
    let step = rest[to.len()..].strip_prefix('/').map(word);
    Some((from, to, step))
}

/// The word at the beginning of the text.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

fn expand(unit: Unit, from: &str, to: &str) -> Result<Vec<u32>, String> {
    let (from, to) = (number(unit, from)?, number(unit, to)?);
    let (first, last) = unit.bounds();
    Ok(if to < from {
        (from..=last).chain(first..=to).collect()
    } else {
        (from..=to).collect()
    })
}

fn every(numbers: Vec<u32>, step: &str) -> Result<Vec<u32>, String> {
    if step.is_empty() {
        return Err("there is no step after the slash".to_owned());
    }
    match integer(step) {
        Some(0) | None => Err(format!("a step is a number from 1, not \"{step}\"")),
        Some(step) => Ok(numbers
            .into_iter()
            .step_by(usize::try_from(step).unwrap_or(usize::MAX))
            .collect()),
    }
}

fn number(unit: Unit, text: &str) -> Result<u32, String> {
    let (first, last) = unit.bounds();
    let number = integer(text)
        .or_else(|| named(text).map(u64::from))
        .ok_or_else(|| format!("\"{text}\" is no number, no range and no name"))?;
    match u32::try_from(number) {
        Ok(number) if (first..=last).contains(&number) => Ok(number),
        _ if unit == Unit::DayOfWeek && number == 7 => {
            Err("Celery's days go from 0 to 6; Sunday is 0".to_owned())
        }
        _ => Err(format!("{text} is not from {first} to {last}")),
    }
}

/// A number as Python's `int()` reads it, of those that a field could hold.
fn integer(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.strip_prefix('+').unwrap_or(text);
    let of_digits = !digits.is_empty()
        && digits
            .split('_')
            .all(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
    let digits = digits.replace('_', "");
    // More digits than fit are a number all the same: a step beyond the end, or one out of bounds.
    of_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// A month or a day of the week by its first three letters. Celery tries both in any field, months first.
fn named(text: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let name = text.get(..3)?.to_ascii_lowercase();
    (1..)
        .zip(MONTHS)
        .chain((0..).zip(DAYS))
        .find_map(|(number, known)| (known == name).then_some(number))
}
