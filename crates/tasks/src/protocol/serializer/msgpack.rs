//! `application/x-msgpack`, as `packb(use_bin_type=True)` and `unpackb(raw=False)` of Python's msgpack.

use quintette_core::json::{RawJson, escape_key, unescape_key};
use rmp::Marker;
use rmp::encode;

use super::super::tokens::{Token, Tokens};
use super::super::types::typed_bytes;
use super::{ContentError, MAX_DEPTH, Serializer};

pub(super) fn decode(body: &[u8]) -> Result<RawJson, ContentError> {
    let mut reader = Reader { rest: body };
    let mut out = String::with_capacity(body.len());
    let mut open: Vec<Container> = Vec::new();
    loop {
        let as_key = open
            .last_mut()
            .is_some_and(|container| container.begin(&mut out));
        match reader.item(&mut out, as_key)? {
            Some(_) if open.len() == MAX_DEPTH => return Err(malformed("it is nested too deep")),
            Some(container) => open.push(container),
            None if as_key => out.push(':'),
            None => {}
        }
        while let Some(container) = open.pop_if(|container| container.left == 0) {
            out.push(if container.map { '}' } else { ']' });
        }
        if open.is_empty() {
            break;
        }
    }
    if !reader.rest.is_empty() {
        return Err(malformed("there is more after the value"));
    }
    Ok(RawJson::parse(&out)?)
}

fn malformed(problem: &'static str) -> ContentError {
    Serializer::Msgpack.malformed(problem)
}

/// An array, or a map, whose keys and values count alike.
struct Container {
    map: bool,
    left: u64,
    first: bool,
}

impl Container {
    fn new(map: bool, length: u64) -> Self {
        Self {
            map,
            left: if map { length * 2 } else { length },
            first: true,
        }
    }

    /// Before an item: writes the comma, and says whether the item is a key.
    fn begin(&mut self, out: &mut String) -> bool {
        let as_key = self.map && self.left.is_multiple_of(2);
        if !std::mem::take(&mut self.first) && (as_key || !self.map) {
            out.push(',');
        }
        self.left -= 1;
        as_key
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Writes a scalar, or opens a container.
    fn item(&mut self, out: &mut String, as_key: bool) -> Result<Option<Container>, ContentError> {
        let marker = Marker::from_u8(self.big_endian::<1>()?.to_be_bytes()[7]);
        let text = match marker {
            Marker::FixStr(length) => Some(length.into()),
            Marker::Str8 => Some(self.big_endian::<1>()?),
            Marker::Str16 => Some(self.big_endian::<2>()?),
            Marker::Str32 => Some(self.big_endian::<4>()?),
            _ => None,
        };
        if let Some(length) = text {
            self.string(out, length)?;
            return Ok(None);
        }
        if as_key {
            return Err(malformed("a key that is no string"));
        }
        let container = match marker {
            Marker::FixArray(length) => Container::new(false, length.into()),
            Marker::Array16 => Container::new(false, self.big_endian::<2>()?),
            Marker::Array32 => Container::new(false, self.big_endian::<4>()?),
            Marker::FixMap(length) => Container::new(true, length.into()),
            Marker::Map16 => Container::new(true, self.big_endian::<2>()?),
            Marker::Map32 => Container::new(true, self.big_endian::<4>()?),
            _ => {
                self.scalar(out, marker)?;
                return Ok(None);
            }
        };
        out.push(if container.map { '{' } else { '[' });
        Ok(Some(container))
    }

    fn scalar(&mut self, out: &mut String, marker: Marker) -> Result<(), ContentError> {
        match marker {
            Marker::Null => out.push_str("null"),
            Marker::True => out.push_str("true"),
            Marker::False => out.push_str("false"),
            Marker::FixPos(number) => out.push_str(&number.to_string()),
            Marker::FixNeg(number) => out.push_str(&number.to_string()),
            Marker::U8 => out.push_str(&self.big_endian::<1>()?.to_string()),
            Marker::U16 => out.push_str(&self.big_endian::<2>()?.to_string()),
            Marker::U32 => out.push_str(&self.big_endian::<4>()?.to_string()),
            Marker::U64 => out.push_str(&self.big_endian::<8>()?.to_string()),
            Marker::I8 => out.push_str(&i8::from_be_bytes(self.array()?).to_string()),
            Marker::I16 => out.push_str(&i16::from_be_bytes(self.array()?).to_string()),
            Marker::I32 => out.push_str(&i32::from_be_bytes(self.array()?).to_string()),
            Marker::I64 => out.push_str(&i64::from_be_bytes(self.array()?).to_string()),
            Marker::F32 => push_float(out, f32::from_be_bytes(self.array()?).into()),
            Marker::F64 => push_float(out, f64::from_be_bytes(self.array()?)),
            Marker::Bin8 => self.bytes::<1>(out)?,
            Marker::Bin16 => self.bytes::<2>(out)?,
            Marker::Bin32 => self.bytes::<4>(out)?,
            _ => return Err(ContentError::Foreign("an extension type of msgpack".into())),
        }
        Ok(())
    }

    fn string(&mut self, out: &mut String, length: u64) -> Result<(), ContentError> {
        let text = std::str::from_utf8(self.take(length)?)
            .map_err(|_| malformed("a string that is not UTF-8"))?;
        out.push('"');
        out.push_str(&escape_key(text));
        out.push('"');
        Ok(())
    }

    fn bytes<const N: usize>(&mut self, out: &mut String) -> Result<(), ContentError> {
        let length = self.big_endian::<N>()?;
        out.push_str(&typed_bytes(self.take(length)?));
        Ok(())
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], ContentError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ContentError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// An unsigned number of at most eight bytes.
    fn big_endian<const N: usize>(&mut self) -> Result<u64, ContentError> {
        let bytes: [u8; N] = self.array()?;
        Ok(bytes
            .into_iter()
            .fold(0, |number, byte| number << 8 | u64::from(byte)))
    }
}

fn cut_off() -> ContentError {
    malformed("it ends too early")
}

fn push_float(out: &mut String, float: f64) {
    if float.is_nan() {
        out.push_str("NaN");
    } else if float.is_infinite() {
        out.push_str(if float < 0.0 { "-Infinity" } else { "Infinity" });
    } else if let Ok(text) = RawJson::from_value(&float) {
        out.push_str(text.as_str());
    }
}

pub(super) fn encode(value: &RawJson) -> Result<Vec<u8>, ContentError> {
    let mut lengths = lengths(value).into_iter();
    let mut length = || {
        let length = lengths.next().unwrap_or_default();
        u32::try_from(length).map_err(|_| unrepresentable("as many items as that"))
    };
    let mut out = Vec::with_capacity(value.as_str().len());
    for token in Tokens::of(value) {
        // Writing to a Vec does not fail.
        match token {
            Token::OpenArray => drop(encode::write_array_len(&mut out, length()?)),
            Token::OpenObject => drop(encode::write_map_len(&mut out, length()?)),
            Token::Close => {}
            Token::Key(text) | Token::String(text) => {
                drop(encode::write_str(&mut out, &unescape_key(text)));
            }
            Token::Word("null") => drop(encode::write_nil(&mut out)),
            Token::Word("true") => drop(encode::write_bool(&mut out, true)),
            Token::Word("false") => drop(encode::write_bool(&mut out, false)),
            Token::Word("NaN") => drop(encode::write_f64(&mut out, f64::NAN)),
            Token::Word(word) => {
                let negative = word.starts_with('-');
                let float = if negative {
                    f64::NEG_INFINITY
                } else {
                    f64::INFINITY
                };
                drop(encode::write_f64(&mut out, float));
            }
            Token::Number(number) => push_number(&mut out, number)?,
        }
    }
    Ok(out)
}

fn push_number(out: &mut Vec<u8>, number: &str) -> Result<(), ContentError> {
    if number.contains(['.', 'e', 'E']) {
        // Valid JSON; what is too large becomes infinite, as in Python.
        drop(encode::write_f64(out, number.parse().unwrap_or(f64::NAN)));
    } else if let Ok(number) = number.parse::<u64>() {
        drop(encode::write_uint(out, number));
    } else if let Ok(number) = number.parse::<i64>() {
        drop(encode::write_sint(out, number));
    } else {
        return Err(unrepresentable("an integer of more than 64 bits"));
    }
    Ok(())
}

fn unrepresentable(what: &'static str) -> ContentError {
    ContentError::Unrepresentable {
        serializer: Serializer::Msgpack,
        what,
    }
}

/// How many items each container has, in the order in which they open.
fn lengths(value: &RawJson) -> Vec<usize> {
    let mut lengths = Vec::new();
    // The number of each open container, and whether it is an object: its items are counted by their keys.
    let mut open: Vec<(usize, bool)> = Vec::new();
    for token in Tokens::of(value) {
        match (token, open.last()) {
            (Token::Close, _) => {
                open.pop();
                continue;
            }
            (Token::Key(_), Some(&(number, true))) | (_, Some(&(number, false))) => {
                lengths[number] += 1;
            }
            _ => {}
        }
        if matches!(token, Token::OpenArray | Token::OpenObject) {
            open.push((lengths.len(), token == Token::OpenObject));
            lengths.push(0);
        }
    }
    lengths
}
