//! Strings as Python's encoder writes them, and texts rewritten to ASCII.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text that stands between the quotes when Python writes `key`.
///
/// ```
/// use quintette_core::json::escape_key;
///
/// assert_eq!(escape_key("_auth_user_id"), "_auth_user_id");
/// assert_eq!(escape_key("장바구니"), r"\uc7a5\ubc14\uad6c\ub2c8");
/// ```
pub fn escape_key(key: &str) -> Cow<'_, str> {
    // Without a branch for each byte, so that the compiler looks at many at once.
    if key.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        return Cow::Borrowed(key);
    }
    let mut escaped = String::with_capacity(key.len() + 16);
    push_units(&mut escaped, key.encode_utf16());
    Cow::Owned(escaped)
}

/// The string that an escaped key stands for.
///
/// A lone surrogate, which Python's strings can hold and Rust's cannot, becomes U+FFFD. A backslash that
/// starts no escape stands for itself.
///
/// ```
/// use quintette_core::json::unescape_key;
///
/// assert_eq!(unescape_key(r"\uc7a5\ubc14\uad6c\ub2c8"), "장바구니");
/// ```
pub fn unescape_key(escaped: &str) -> Cow<'_, str> {
    if !escaped.contains('\\') {
        return Cow::Borrowed(escaped);
    }
    let units = units(escaped.chars());
    Cow::Owned(
        char::decode_utf16(units)
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect(),
    )
}

/// The canonical form of an escaped string: what Python would write after reading it.
pub(super) fn canonical(escaped: impl Iterator<Item = char>) -> Box<str> {
    let mut text = String::new();
    push_units(&mut text, units(escaped));
    text.into_boxed_str()
}

/// Whether a byte stands for itself in a string that Python writes.
pub(super) fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// The UTF-16 units of an escaped string.
pub(crate) fn units(mut chars: impl Iterator<Item = char>) -> Vec<u16> {
    let mut units = Vec::new();
    while let Some(char) = chars.next() {
        if char == '\\' {
            push_escape(&mut units, &mut chars);
        } else {
            units.extend_from_slice(char.encode_utf16(&mut [0; 2]));
        }
    }
    units
}

fn push_escape(units: &mut Vec<u16>, chars: &mut impl Iterator<Item = char>) {
    let unit = match chars.next() {
        Some('b') => 0x08,
        Some('f') => 0x0c,
        Some('n') => 0x0a,
        Some('r') => 0x0d,
        Some('t') => 0x09,
        Some('u') => {
            let digits: String = chars.take(4).collect();
            match u16::from_str_radix(&digits, 16) {
                Ok(unit) if digits.len() == 4 => unit,
                _ => {
                    units.extend("\\u".encode_utf16().chain(digits.encode_utf16()));
                    return;
                }
            }
        }
        Some(char @ ('"' | '\\' | '/')) => char as u16,
        other => {
            units.push(u16::from(b'\\'));
            units.extend(other.iter().flat_map(|char| {
                let mut pair = [0; 2];
                char.encode_utf16(&mut pair).to_vec()
            }));
            return;
        }
    };
    units.push(unit);
}

/// Writes UTF-16 units as Python's encoder does, surrogates and all.
pub(crate) fn push_units(out: &mut String, units: impl IntoIterator<Item = u16>) {
    for unit in units {
        match unit {
            0x08 => out.push_str("\\b"),
            0x09 => out.push_str("\\t"),
            0x0a => out.push_str("\\n"),
            0x0c => out.push_str("\\f"),
            0x0d => out.push_str("\\r"),
            0x22 => out.push_str("\\\""),
            0x5c => out.push_str("\\\\"),
            _ => match u8::try_from(unit) {
                Ok(byte) if is_plain(byte) => out.push(char::from(byte)),
                _ => push_hex(out, unit),
            },
        }
    }
}

fn push_hex(out: &mut String, unit: u16) {
    write!(out, "\\u{unit:04x}").expect("a String takes whatever is written to it");
}

/// A valid JSON text in ASCII, with or without the white space between its tokens.
///
/// What Django reads is decoded as Latin-1, where each byte is the character of the same number; what
/// Rust reads is UTF-8. The characters say which it was.
pub(super) fn to_ascii(
    chars: impl Iterator<Item = char>,
    keep_spaces: bool,
    capacity: usize,
) -> String {
    let mut out = String::with_capacity(capacity);
    let mut in_string = false;
    let mut escaped = false;
    for char in chars {
        if in_string {
            if escaped {
                escaped = false;
            } else {
                escaped = char == '\\';
                in_string = char != '"';
            }
        } else if char == '"' {
            in_string = true;
        } else if !keep_spaces && matches!(char, ' ' | '\t' | '\n' | '\r') {
            continue;
        }
        if char.is_ascii() {
            out.push(char);
        } else {
            for unit in char.encode_utf16(&mut [0; 2]) {
                push_hex(&mut out, *unit);
            }
        }
    }
    out
}

/// Replaces Python's `Infinity` by a number that overflows to it in any reader of JSON.
///
/// `None` if the text holds a `NaN`, for which standard JSON has nothing.
pub(super) fn to_standard(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains("NaN") && !text.contains("Infinity") {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut in_string = false;
    // Every second piece of a text split at its quotes is a string; an escaped quote does not end one.
    let mut rest = text;
    while let Some(at) = rest.find(if in_string {
        &['"', '\\'][..]
    } else {
        &['"', 'N', 'I']
    }) {
        out.push_str(&rest[..at]);
        let (token, replacement) = match rest.as_bytes()[at] {
            b'"' => {
                in_string = !in_string;
                ("\"", "\"")
            }
            b'\\' => {
                let pair = rest.get(at..at + 2)?;
                (pair, pair)
            }
            b'I' => ("Infinity", "1e999"),
            _ => return None,
        };
        out.push_str(replacement);
        rest = rest.get(at + token.len()..)?;
    }
    out.push_str(rest);
    Some(Cow::Owned(out))
}
