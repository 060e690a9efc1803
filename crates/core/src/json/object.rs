//! Objects member by member: what a session's data is.

use indexmap::IndexMap;

use super::scan::{JsonError, JsonErrorKind, Scanner};
use super::{RawJson, text};

/// The members of a JSON object, decoded as Latin-1 as Django does.
///
/// Keys are the text between the quotes as Python would write it (see [`escape_key`](super::escape_key)), so that equal keys
/// have equal text however they were escaped. Values keep their text byte for byte, but that bytes from 0x80 become escapes.
/// Of members with the same key the last value counts, at the place of the first.
///
/// ```
/// use quintette_core::json::parse_object;
///
/// let members = parse_object(br#"{"_auth_user_id": "1", "total": 1e400}"#)?;
/// assert_eq!(members["total"].as_str(), "1e400");
/// # Ok::<(), quintette_core::json::JsonError>(())
/// ```
///
/// # Errors
///
/// Where Python's `json.loads` would fail, and for a value that is not an object.
pub fn parse_object(bytes: &[u8]) -> Result<IndexMap<Box<str>, RawJson>, JsonError> {
    let mut members = IndexMap::new();
    let mut scanner = Scanner::new(bytes);
    scanner.skip_spaces();
    if scanner.peek() != Some(b'{') {
        // Text that is no JSON at all is worth its own error.
        scanner.value(0)?;
        scanner.end()?;
        return Err(Scanner::new(bytes).error(JsonErrorKind::NotAnObject));
    }
    scanner.advance();
    scanner.skip_spaces();
    if scanner.peek() == Some(b'}') {
        scanner.advance();
    } else {
        loop {
            let (key, value) = member(&mut scanner)?;
            members.insert(key, value);
            scanner.skip_spaces();
            if scanner.peek() == Some(b'}') {
                scanner.advance();
                break;
            }
            scanner.expect(b',')?;
            scanner.skip_spaces();
        }
    }
    scanner.end()?;
    Ok(members)
}

fn member(scanner: &mut Scanner<'_>) -> Result<(Box<str>, RawJson), JsonError> {
    let key = scanner.key()?;
    let key = match std::str::from_utf8(key) {
        Ok(plain) if key.iter().copied().all(text::is_plain) => plain.into(),
        _ => text::canonical(key.iter().copied().map(char::from)),
    };
    Ok((key, value(scanner)?))
}

/// A value within an object or an array, with its text as it came.
pub(super) fn value(scanner: &mut Scanner<'_>) -> Result<RawJson, JsonError> {
    scanner.take_non_ascii();
    let start = scanner.offset();
    scanner.value(1)?;
    let value = scanner.since(start);
    let non_ascii = scanner.take_non_ascii();
    Ok(match std::str::from_utf8(value) {
        Ok(ascii) if !non_ascii => RawJson(ascii.into()),
        _ => RawJson::from_latin1(value, true),
    })
}

/// An object of the given members, in their order, compact: as Django writes a session.
///
/// Keys are in their escaped form, as [`parse_object`] and [`escape_key`](super::escape_key) return them.
///
/// ```
/// use quintette_core::json::{RawJson, write_object};
///
/// let one = RawJson::parse("1")?;
/// assert_eq!(write_object([("a", &one), ("b", &one)].into_iter()), r#"{"a":1,"b":1}"#);
/// # Ok::<(), quintette_core::json::JsonError>(())
/// ```
pub fn write_object<'a>(entries: impl Iterator<Item = (&'a str, &'a RawJson)>) -> String {
    let mut out = String::from("{");
    for (key, value) in entries {
        if out.len() > 1 {
            out.push(',');
        }
        out.push('"');
        out.push_str(key);
        out.push_str("\":");
        out.push_str(value.as_str());
    }
    out.push('}');
    out
}
