//! The operands of instructions, from the bytes of a pickle.

use std::borrow::Cow;

use super::machine::{Node, named};
use super::{PickleError, Result, integer, string};
use crate::json::MAX_INTEGER_DIGITS;

/// A position in a pickle.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// How long the whole pickle is.
    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn malformed(&self, problem: &'static str) -> PickleError {
        PickleError::Malformed {
            problem,
            offset: self.at,
        }
    }

    pub(super) fn str(&self, escaped: Option<Cow<'a, str>>) -> Result<Node<'a>> {
        escaped
            .map(Node::Str)
            .ok_or_else(|| self.malformed("a string in a wrong encoding"))
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.bytes[self.at..]
            .first_chunk()
            .ok_or(PickleError::UnexpectedEnd)?;
        self.at += N;
        Ok(*bytes)
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8]> {
        let slice = self.bytes[self.at..]
            .get(..length)
            .ok_or(PickleError::UnexpectedEnd)?;
        self.at += length;
        Ok(slice)
    }

    pub(super) fn size4(&mut self) -> Result<usize> {
        let size = u32::from_le_bytes(self.take()?);
        usize::try_from(size).map_err(|_| PickleError::UnexpectedEnd)
    }

    /// Bytes after their length, of one byte or of four.
    pub(super) fn counted(&mut self, short: bool) -> Result<&'a [u8]> {
        let length = if short {
            self.byte()?.into()
        } else {
            self.size4()?
        };
        self.slice(length)
    }

    pub(super) fn counted8(&mut self) -> Result<&'a [u8]> {
        let length = u64::from_le_bytes(self.take()?);
        self.slice(usize::try_from(length).map_err(|_| PickleError::UnexpectedEnd)?)
    }

    /// The length of a frame, all of which must be there. What is in it follows as ever.
    pub(super) fn frame(&mut self) -> Result {
        let start = self.at + 8;
        self.counted8()?;
        self.at = start;
        Ok(())
    }

    pub(super) fn line(&mut self) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or(PickleError::UnexpectedEnd)?;
        self.at += length + 1;
        Ok(&rest[..length])
    }

    fn ascii_line(&mut self) -> Result<&'a str> {
        let line = self.line()?;
        match std::str::from_utf8(line) {
            Ok(text) if line.is_ascii() => Ok(text),
            _ => Err(self.malformed("a line that is not ASCII")),
        }
    }

    pub(super) fn int_line(&mut self) -> Result<Node<'a>> {
        match self.ascii_line()? {
            "00" => Ok(Node::Bool(false)),
            "01" => Ok(Node::Bool(true)),
            text => self.int(text),
        }
    }

    pub(super) fn long_line(&mut self) -> Result<Node<'a>> {
        let text = self.ascii_line()?;
        self.int(text.strip_suffix('L').unwrap_or(text))
    }

    fn int(&self, text: &'a str) -> Result<Node<'a>> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty()
            || !digits.bytes().all(|byte| byte.is_ascii_digit())
            || (digits.starts_with('0') && digits != "0")
            || digits.len() > MAX_INTEGER_DIGITS
        {
            return Err(self.malformed("an integer that is none"));
        }
        Ok(match text.parse() {
            Ok(small) => Node::Int(small),
            Err(_) => Node::BigInt(Cow::Borrowed(text)),
        })
    }

    pub(super) fn long(&mut self, length: usize) -> Result<Node<'a>> {
        let bytes = self.slice(length)?;
        let Some(text) = integer::decimal(bytes) else {
            return Ok(named("an int of more than 4300 digits"));
        };
        Ok(match text.parse() {
            Ok(small) => Node::Int(small),
            Err(_) => Node::BigInt(Cow::Owned(text.into_string())),
        })
    }

    pub(super) fn float_line(&mut self) -> Result<Node<'a>> {
        let text = self.ascii_line()?;
        text.parse()
            .map(Node::Float)
            .map_err(|_| self.malformed("a float that is none"))
    }

    /// A string of Python 2, in quotes. One with escapes is not worth reading: Python 3 writes none.
    pub(super) fn string_line(&mut self) -> Result<Node<'a>> {
        let text = self.ascii_line()?;
        let quoted = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
        match quoted('\'').or_else(|| quoted('"')) {
            None => Err(self.malformed("a string without quotes")),
            Some(text) if text.contains('\\') => Ok(named("a str of Python 2")),
            Some(text) => self.str(string::escape_utf8(text.as_bytes())),
        }
    }

    pub(super) fn index_line(&mut self) -> Result<usize> {
        let text = self.ascii_line()?;
        text.parse()
            .map_err(|_| self.malformed("a memo number that is none"))
    }
}
