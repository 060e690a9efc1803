//! JSON for a person's eyes: indented, with letters instead of escapes. Numbers and all else stay as they are stored.

use quintette::json::RawJson;

use crate::output::is_printable;

/// The one control character that JSON does not make anybody escape.
const DELETE: char = '\u{7f}';

/// The value over several lines; `depth` is how deep the first of them stands.
pub(crate) fn pretty(raw: &RawJson, depth: usize) -> String {
    // Valid JSON in ASCII, without white space: the one thing to know is whether a character is within a string.
    let text = raw.as_str();
    let mut printer = Printer {
        out: String::with_capacity(text.len() * 2),
        depth,
    };
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = match character {
            '"' => printer.string(rest),
            '[' | '{' => printer.open(character, &rest[1..]),
            _ => {
                printer.token(character);
                &rest[1..]
            }
        };
    }
    printer.out
}

struct Printer {
    out: String,
    depth: usize,
}

impl Printer {
    /// Prints the string that `rest` begins with, and gives what follows it.
    fn string<'a>(&mut self, rest: &'a str) -> &'a str {
        self.out.push('"');
        let mut rest = &rest[1..];
        loop {
            let end = rest.find(['"', '\\', DELETE]).unwrap_or(rest.len());
            self.out.push_str(&rest[..end]);
            rest = &rest[end..];
            if rest.starts_with('\\') {
                rest = self.escape(rest);
            } else if let Some(behind) = rest.strip_prefix(DELETE) {
                self.out.push_str("\\u007f");
                rest = behind;
            } else {
                self.out.push('"');
                return rest.get(1..).unwrap_or_default();
            }
        }
    }

    /// Prints one escape: as a letter where it is one, else as it came, so that no stored byte commands the terminal.
    fn escape<'a>(&mut self, rest: &'a str) -> &'a str {
        let (character, length) = match unit(rest) {
            Some(high @ 0xD800..0xDC00) => {
                let low = rest.get(6..).and_then(unit);
                let pair = low.and_then(|low| char::decode_utf16([high, low]).next()?.ok());
                (pair, if pair.is_some() { 12 } else { 6 })
            }
            Some(unit) => (char::from_u32(u32::from(unit)), 6),
            None => (None, 2),
        };
        let (escape, rest) = rest.split_at_checked(length).unwrap_or((rest, ""));
        match character.filter(|character| !character.is_ascii() && is_printable(*character)) {
            Some(character) => self.out.push(character),
            None => self.out.push_str(escape),
        }
        rest
    }

    fn open<'a>(&mut self, bracket: char, rest: &'a str) -> &'a str {
        self.out.push(bracket);
        let close = if bracket == '[' { ']' } else { '}' };
        if let Some(rest) = rest.strip_prefix(close) {
            self.out.push(close);
            return rest;
        }
        self.depth += 1;
        self.new_line();
        rest
    }

    fn token(&mut self, character: char) {
        match character {
            ']' | '}' => {
                self.depth = self.depth.saturating_sub(1);
                self.new_line();
                self.out.push(character);
            }
            ',' => {
                self.out.push(',');
                self.new_line();
            }
            ':' => self.out.push_str(": "),
            _ => self.out.push(character),
        }
    }

    fn new_line(&mut self) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n("  ", self.depth));
    }
}

/// The UTF-16 unit of the `\uXXXX` that `text` begins with.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str) -> String {
        pretty(&RawJson::parse(json).unwrap(), 0)
    }

    #[test]
    fn values_are_indented_and_empty_ones_are_not() {
        assert_eq!(
            shown(r#"{"a":[1,{"b":[]}],"c":{}}"#),
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": {}\n}"
        );
    }

    #[test]
    fn numbers_keep_their_text() {
        assert_eq!(shown("1e400"), "1e400");
        assert_eq!(shown("1180591620717411303424"), "1180591620717411303424");
        assert_eq!(shown("NaN"), "NaN");
    }

    #[test]
    fn brackets_and_quotes_within_a_string_are_text() {
        assert_eq!(shown(r#"["a[{,:\"\\"]"#), "[\n  \"a[{,:\\\"\\\\\"\n]");
    }

    #[test]
    fn letters_are_letters_and_commands_stay_escapes() {
        assert_eq!(shown(r#""\ud55c\uad6d \ud83d\ude00""#), "\"한국 😀\"");
        assert_eq!(
            shown(r#""\u001b[2J\u202e\ud83d\n""#),
            r#""\u001b[2J\u202e\ud83d\n""#
        );
        assert_eq!(shown(r#""\ud83d\ud83d\ude00""#), r#""\ud83d😀""#);
        assert_eq!(shown(r#""\u007f\u0022""#), r#""\u007f\u0022""#);
        assert_eq!(shown("\"\u{7f}\""), r#""\u007f""#);
    }
}
