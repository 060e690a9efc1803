//! New prices from a list, a line each: `sencha,9.80`.

use quintette_tasks::{SendError, Signature, TaskError};
use serde::{Deserialize, Serialize};

use super::IMPORT_PRICES;
use crate::store::{PriceChange, Store};

/// How many lines one task takes.
const PART: usize = 50;
/// In cents: what a price is below.
const TOO_DEAR: i64 = 10_000_000;

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Counted from 1.
    pub(crate) number: usize,
    pub(crate) text: String,
}

/// What came of a part of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Imported {
    pub(crate) lines: usize,
    pub(crate) changed: usize,
    pub(crate) wrong: Vec<Wrong>,
}

/// A line that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wrong {
    pub(crate) line: Line,
    pub(crate) reason: String,
}

/// The lines that say something: neither empty nor a heading.
pub(crate) fn lines(text: &str) -> Vec<Line> {
    let numbered = text.lines().enumerate();
    let lines = numbered.map(|(index, text)| Line {
        number: index + 1,
        text: text.trim().to_owned(),
    });
    lines
        .filter(|line| !line.text.is_empty() && !line.text.starts_with('#'))
        .filter(|line| !(line.number == 1 && line.text.replace(' ', "") == "slug,price"))
        .collect()
}

/// A call for each part of the list. Its id says which lines it has, for [`range`].
pub(super) fn parts(lines: &[Line]) -> Result<Vec<Signature>, SendError> {
    let import = uuid();
    lines
        .chunks(PART)
        .map(|part| {
            let [first, last] =
                [part.first(), part.last()].map(|line| line.map_or(0, |line| line.number));
            let id = format!("prices-{import}-{first}-{last}-{}", part.len());
            Ok(IMPORT_PRICES.s((part.to_vec(),))?.task_id(id))
        })
        .collect()
}

/// The first line, the last one, and how many of them are in a part, by its id.
pub(crate) fn range(id: &str) -> Option<(usize, usize, usize)> {
    let mut numbers = id.rsplit('-').map(str::parse);
    let (count, last, first) = (numbers.next()?, numbers.next()?, numbers.next()?);
    Some((first.ok()?, last.ok()?, count.ok()?))
}

/// Changes the prices of the lines that are right. It may be done twice.
pub(super) async fn import(store: &Store, lines: &[Line]) -> Result<Imported, TaskError> {
    let mut imported = Imported {
        lines: lines.len(),
        ..Imported::default()
    };
    for line in lines {
        let reason = match parse(&line.text) {
            Ok((slug, cents)) => match store.set_price(slug, cents).await? {
                PriceChange::Changed => {
                    imported.changed += 1;
                    continue;
                }
                PriceChange::Same => continue,
                PriceChange::NoProduct => format!("there is no product “{slug}”"),
            },
            Err(reason) => reason.to_owned(),
        };
        imported.wrong.push(Wrong {
            line: line.clone(),
            reason,
        });
    }
    Ok(imported)
}

/// A product, and its price in cents.
fn parse(text: &str) -> Result<(&str, i64), &'static str> {
    let Some((slug, price)) = text.split_once(',') else {
        return Err("write a product, a comma and a price, such as sencha,9.80");
    };
    let price = price.trim().trim_start_matches('€').trim();
    let (euros, cents) = price.split_once('.').unwrap_or((price, "00"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(euros) || !is_number(cents) || cents.len() > 2 {
        return Err("write the price as euros with a point, such as 9.80");
    }
    let cents = format!("{euros}{cents:0<2}").parse().unwrap_or(i64::MAX);
    if cents >= TOO_DEAR {
        return Err("no price is as high as that");
    }
    Ok((slug.trim(), cents))
}

fn uuid() -> String {
    let mut bytes = [0_u8; 8];
    // Without randomness the time tells imports apart.
    if getrandom::fill(&mut bytes).is_err() {
        let now = chrono::Utc::now().timestamp_micros();
        bytes = now.to_le_bytes();
    }
    format!("{:016x}", u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_euros_and_cents() {
        for (text, cents) in [
            ("sencha,9.80", 980),
            ("sencha, 9.8", 980),
            ("sencha,€12", 1_200),
            ("sencha,0.05", 5),
        ] {
            assert_eq!(parse(text), Ok(("sencha", cents)), "{text}");
        }
        for text in [
            "sencha",
            "sencha,",
            "sencha,free",
            "sencha,-1",
            "sencha,9.805",
            "sencha,9,80",
            "sencha,.5",
            "sencha,99999999999999999999999",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn empty_lines_comments_and_the_heading_are_no_prices() {
        let lines = lines("slug, price\n\nsencha,9.80\r\n# old\ncups,1\n");
        let numbers: Vec<_> = lines.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [3, 5]);
        assert_eq!(lines[0].text, "sencha,9.80");
    }

    #[test]
    fn a_part_tells_its_lines_by_its_id() {
        let list: String = (0..120).map(|_| "sencha,9.80\n").collect();
        let parts = parts(&lines(&list)).unwrap();
        let ranges: Vec<_> = parts
            .iter()
            .map(|part| range(&part.options.read::<String>("task_id").unwrap().unwrap()).unwrap())
            .collect();
        assert_eq!(ranges, [(1, 50, 50), (51, 100, 50), (101, 120, 20)]);
        assert_eq!(range("of-somebody-else"), None);
    }
}
