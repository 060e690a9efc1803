//! Arrays element by element: the arguments of a task.

use super::RawJson;
use super::scan::{JsonError, JsonErrorKind, Scanner};

/// The elements of a JSON array, decoded as Latin-1; of a [`RawJson`]'s text, which is ASCII, as they are.
///
/// ```
/// use quintette_core::json::parse_array;
///
/// let elements = parse_array(br#"[1e400, {"a": []}]"#)?;
/// assert_eq!(elements[0].as_str(), "1e400");
/// # Ok::<(), quintette_core::json::JsonError>(())
/// ```
///
/// # Errors
///
/// Where Python's `json.loads` would fail, and for a value that is not an array.
pub fn parse_array(bytes: &[u8]) -> Result<Vec<RawJson>, JsonError> {
    let mut elements = Vec::new();
    let mut scanner = Scanner::new(bytes);
    scanner.skip_spaces();
    if scanner.peek() != Some(b'[') {
        scanner.value(0)?;
        scanner.end()?;
        return Err(Scanner::new(bytes).error(JsonErrorKind::NotAnArray));
    }
    scanner.advance();
    scanner.skip_spaces();
    if scanner.peek() == Some(b']') {
        scanner.advance();
    } else {
        loop {
            elements.push(super::object::value(&mut scanner)?);
            scanner.skip_spaces();
            if scanner.peek() == Some(b']') {
                scanner.advance();
                break;
            }
            scanner.expect(b',')?;
            scanner.skip_spaces();
        }
    }
    scanner.end()?;
    Ok(elements)
}

/// An array of the given elements, compact.
///
/// ```
/// use quintette_core::json::{RawJson, write_array};
///
/// let one = RawJson::parse("1")?;
/// assert_eq!(write_array([&one, &one]), "[1,1]");
/// # Ok::<(), quintette_core::json::JsonError>(())
/// ```
pub fn write_array<'a>(elements: impl IntoIterator<Item = &'a RawJson>) -> String {
    let mut out = String::from("[");
    for element in elements {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(element.as_str());
    }
    out.push(']');
    out
}
