//! Plain values into pickles.
//!
//! Every bracket of JSON is an instruction: what opens makes an empty container and sets a mark, what closes takes all since
//! the mark into it. So the text is read once from left to right, and no nesting is kept.

use super::opcode;
use super::string::unescape_to_utf8;
use crate::json::RawJson;

/// A pickled dict of the given members, in their order: protocol 4.
///
/// Keys are in their escaped form. Python loads from it what `json.loads` makes of the same object.
///
/// ```
/// use quintette_core::json::RawJson;
/// use quintette_core::pickle::encode_dict;
///
/// let one = RawJson::parse("1")?;
/// assert_eq!(encode_dict([("n", &one)].into_iter()), b"\x80\x04}(\x8c\x01nK\x01u.");
/// # Ok::<(), quintette_core::json::JsonError>(())
/// ```
pub fn encode_dict<'a>(entries: impl Iterator<Item = (&'a str, &'a RawJson)> + Clone) -> Vec<u8> {
    // Hardly more than its JSON: most of what is quotes and commas there is one byte here.
    let size = entries
        .clone()
        .map(|(key, value)| key.len() + value.as_str().len() + 8);
    let mut out = Vec::with_capacity(size.sum::<usize>() + 8);
    out.extend([opcode::PROTO, 4, opcode::EMPTY_DICT, opcode::MARK]);
    for (key, value) in entries {
        push_string(&mut out, key);
        push_json(&mut out, value.as_str());
    }
    out.extend([opcode::SETITEMS, opcode::STOP]);
    out
}

/// Any value, pickled: protocol 4.
///
/// ```
/// use quintette_core::json::RawJson;
/// use quintette_core::pickle::encode_value;
///
/// assert_eq!(encode_value(&RawJson::parse("[1]")?), b"\x80\x04](K\x01e.");
/// # Ok::<(), quintette_core::json::JsonError>(())
/// ```
pub fn encode_value(value: &RawJson) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.as_str().len() + 8);
    out.extend([opcode::PROTO, 4]);
    push_json(&mut out, value.as_str());
    out.push(opcode::STOP);
    out
}

/// A pickle that Python loads as `None`, and that no other equals.
///
/// What compares and swaps whole cache entries can tell one such mark from the next.
pub fn encode_none(nonce: &[u8; 16]) -> Vec<u8> {
    let mut out = vec![opcode::PROTO, 4, opcode::SHORT_BINBYTES, 16];
    out.extend(nonce);
    out.extend([opcode::POP, opcode::NONE, opcode::STOP]);
    out
}

fn push_json(out: &mut Vec<u8>, json: &str) {
    let mut rest = json;
    while let Some(first) = rest.bytes().next() {
        let length = match first {
            b'"' => string_length(rest),
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'I' | b'N' => rest
                .find([',', ']', '}', ' ', '\t', '\n', '\r'])
                .unwrap_or(rest.len()),
            _ => 1,
        };
        // Valid JSON in ASCII has its tokens end where they seem to.
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        match first {
            b'[' => out.extend([opcode::EMPTY_LIST, opcode::MARK]),
            b']' => out.push(opcode::APPENDS),
            b'{' => out.extend([opcode::EMPTY_DICT, opcode::MARK]),
            b'}' => out.push(opcode::SETITEMS),
            b'"' => push_string(out, token.get(1..length - 1).unwrap_or_default()),
            b'n' => out.push(opcode::NONE),
            b't' => out.push(opcode::NEWTRUE),
            b'f' => out.push(opcode::NEWFALSE),
            b'N' => push_float(out, f64::NAN),
            b'I' => push_float(out, f64::INFINITY),
            b'-' | b'0'..=b'9' => push_number(out, token),
            _ => {}
        }
        rest = after;
    }
}

/// The length of the string that starts here, quotes included.
fn string_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'\\' => 2,
            b'"' => return at + 1,
            _ => 1,
        };
    }
    bytes.len()
}

fn push_string(out: &mut Vec<u8>, escaped: &str) {
    let text = unescape_to_utf8(escaped);
    if let Ok(length) = u8::try_from(text.len()) {
        out.extend([opcode::SHORT_BINUNICODE, length]);
    } else if let Ok(length) = u32::try_from(text.len()) {
        out.push(opcode::BINUNICODE);
        out.extend(length.to_le_bytes());
    } else {
        out.push(opcode::BINUNICODE8);
        out.extend((text.len() as u64).to_le_bytes());
    }
    out.extend_from_slice(&text);
}

fn push_number(out: &mut Vec<u8>, token: &str) {
    if token == "-Infinity" {
        push_float(out, f64::NEG_INFINITY);
    } else if token.contains(['.', 'e', 'E']) {
        // Overflows to infinity, as in Python; valid JSON has no other error.
        push_float(out, token.parse().unwrap_or(f64::NAN));
    } else {
        push_integer(out, token);
    }
}

fn push_integer(out: &mut Vec<u8>, digits: &str) {
    let Ok(integer) = digits.parse::<i64>() else {
        // Decimal text, which any protocol may hold, saves the conversion.
        out.push(opcode::LONG);
        out.extend_from_slice(digits.as_bytes());
        out.extend_from_slice(b"L\n");
        return;
    };
    if let Ok(byte) = u8::try_from(integer) {
        out.extend([opcode::BININT1, byte]);
    } else if let Ok(integer) = i32::try_from(integer) {
        out.push(opcode::BININT);
        out.extend(integer.to_le_bytes());
    } else {
        out.extend([opcode::LONG1, 8]);
        out.extend(integer.to_le_bytes());
    }
}

fn push_float(out: &mut Vec<u8>, float: f64) {
    out.push(opcode::BINFLOAT);
    out.extend(float.to_be_bytes());
}
