//! Where a JSON value ends, and whether Python would read it: one pass, no recursion, nothing allocated.

use std::fmt;

/// How deep values may nest.
///
/// Python's scanner recurses, and gives up at about a thousand levels less the caller's own frames.
pub(crate) const MAX_DEPTH: usize = 900;

/// How many digits an integer may have: `sys.int_info.default_max_str_digits` of Python.
pub(crate) const MAX_INTEGER_DIGITS: usize = 4300;

/// Text that Python's `json.loads` would refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct JsonError {
    kind: JsonErrorKind,
    offset: usize,
}

impl JsonError {
    /// What is wrong.
    pub fn kind(&self) -> JsonErrorKind {
        self.kind
    }

    /// Where, in bytes from the start of the text.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

/// What is wrong with a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// The text ends within a value.
    UnexpectedEnd,
    /// A byte that cannot stand where it is.
    UnexpectedByte,
    /// A control character within a string.
    ControlCharacter,
    /// A backslash followed by what is no escape.
    InvalidEscape,
    /// An integer of more than 4300 digits, which Python refuses to convert.
    IntegerTooLong,
    /// More than 900 levels of arrays and objects.
    TooDeep,
    /// Text after the end of the value.
    TrailingText,
    /// A value that is not an object, where only an object will do.
    NotAnObject,
    /// A value that is not an array, where only an array will do.
    NotAnArray,
}

impl fmt::Display for JsonErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnexpectedEnd => "the JSON ends too early",
            Self::UnexpectedByte => "a byte that JSON does not allow here",
            Self::ControlCharacter => "a control character in a JSON string",
            Self::InvalidEscape => "an invalid escape in a JSON string",
            Self::IntegerTooLong => "an integer of more than 4300 digits",
            Self::TooDeep => "JSON nested more than 900 deep",
            Self::TrailingText => "text after the JSON value",
            Self::NotAnObject => "not a JSON object",
            Self::NotAnArray => "not a JSON array",
        })
    }
}

/// A position in a JSON text.
///
/// The text is Latin-1 or UTF-8: bytes of 0x80 and above are taken within strings and nowhere else,
/// so it does not matter here which of the two it is.
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    non_ascii: bool,
    spaces: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            non_ascii: false,
            spaces: false,
        }
    }

    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// Whether bytes of 0x80 and above have been passed since the last call.
    pub(super) fn take_non_ascii(&mut self) -> bool {
        std::mem::take(&mut self.non_ascii)
    }

    /// Whether white space between tokens has been passed since the last call.
    pub(super) fn take_spaces(&mut self) -> bool {
        std::mem::take(&mut self.spaces)
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    /// The bytes from `start` to here.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.at]
    }

    pub(super) fn error(&self, kind: JsonErrorKind) -> JsonError {
        JsonError {
            kind,
            offset: self.at,
        }
    }

    /// The error for the byte here, or for there being none.
    fn unexpected(&self) -> JsonError {
        self.error(match self.peek() {
            Some(_) => JsonErrorKind::UnexpectedByte,
            None => JsonErrorKind::UnexpectedEnd,
        })
    }

    pub(super) fn skip_spaces(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.spaces = true;
            self.at += 1;
        }
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(())
    }

    /// Only white space may be left.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        self.skip_spaces();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.error(JsonErrorKind::TrailingText)),
        }
    }

    /// Passes one value, `outer` levels deep, which must start here.
    pub(super) fn value(&mut self, outer: usize) -> Result<(), JsonError> {
        let mut nesting = Nesting::default();
        loop {
            let closed = match self.peek() {
                Some(b'{') => !self.open(Container::Object, &mut nesting, outer)?,
                Some(b'[') => !self.open(Container::Array, &mut nesting, outer)?,
                _ => {
                    self.scalar()?;
                    true
                }
            };
            if closed && !self.close(&mut nesting)? {
                return Ok(());
            }
        }
    }

    /// Passes `{"key":` or `[`, and says whether a value must follow; an empty container is passed whole.
    fn open(
        &mut self,
        container: Container,
        nesting: &mut Nesting,
        outer: usize,
    ) -> Result<bool, JsonError> {
        if nesting.depth + outer >= MAX_DEPTH {
            return Err(self.error(JsonErrorKind::TooDeep));
        }
        self.at += 1;
        self.skip_spaces();
        if self.peek() == Some(container.closing()) {
            self.at += 1;
            return Ok(false);
        }
        nesting.push(container);
        if container == Container::Object {
            self.key()?;
        }
        Ok(true)
    }

    /// After a value: passes what closes, and the comma, and says whether another value must follow.
    fn close(&mut self, nesting: &mut Nesting) -> Result<bool, JsonError> {
        while let Some(container) = nesting.innermost() {
            self.skip_spaces();
            if self.peek() == Some(container.closing()) {
                self.at += 1;
                nesting.depth -= 1;
                continue;
            }
            self.expect(b',')?;
            self.skip_spaces();
            if container == Container::Object {
                self.key()?;
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Passes `"key":` and returns what stands between the quotes.
    pub(super) fn key(&mut self) -> Result<&'a [u8], JsonError> {
        let start = self.at + 1;
        self.string()?;
        let key = &self.bytes[start..self.at - 1];
        self.skip_spaces();
        self.expect(b':')?;
        self.skip_spaces();
        Ok(key)
    }

    pub(super) fn string(&mut self) -> Result<(), JsonError> {
        self.expect(b'"')?;
        loop {
            match self.peek() {
                None => return Err(self.unexpected()),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0..0x20) => return Err(self.error(JsonErrorKind::ControlCharacter)),
                Some(byte) => {
                    self.non_ascii |= byte >= 0x80;
                    self.at += 1;
                }
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        match self.peek() {
            None => return Err(self.unexpected()),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {}
            Some(b'u') => {
                for _ in 0..4 {
                    self.at += 1;
                    match self.peek() {
                        Some(digit) if digit.is_ascii_hexdigit() => {}
                        Some(_) => return Err(self.error(JsonErrorKind::InvalidEscape)),
                        None => return Err(self.unexpected()),
                    }
                }
            }
            Some(_) => return Err(self.error(JsonErrorKind::InvalidEscape)),
        }
        self.at += 1;
        Ok(())
    }

    fn scalar(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'n') => self.word("null"),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'N') => self.word("NaN"),
            Some(b'I') => self.word("Infinity"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.unexpected()),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), JsonError> {
        word.bytes().try_for_each(|byte| self.expect(byte))
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
            if self.peek() == Some(b'I') {
                return self.word("Infinity");
            }
        }
        let start = self.at;
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let digits = self.at - start;
        let mut integer = true;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
            integer = false;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
            integer = false;
        }
        if integer && digits > MAX_INTEGER_DIGITS {
            return Err(self.error(JsonErrorKind::IntegerTooLong));
        }
        Ok(())
    }

    /// Passes one digit or more.
    fn digits(&mut self) -> Result<(), JsonError> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.unexpected());
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Array,
    Object,
}

impl Container {
    fn closing(self) -> u8 {
        match self {
            Self::Array => b']',
            Self::Object => b'}',
        }
    }
}

/// Which of the containers around the scanner are objects: a bit for each level.
#[derive(Default)]
struct Nesting {
    objects: [u64; MAX_DEPTH.div_ceil(64)],
    depth: usize,
}

impl Nesting {
    /// The caller has checked that there are fewer than [`MAX_DEPTH`].
    fn push(&mut self, container: Container) {
        let bit = 1 << (self.depth % 64);
        match container {
            Container::Array => self.objects[self.depth / 64] &= !bit,
            Container::Object => self.objects[self.depth / 64] |= bit,
        }
        self.depth += 1;
    }

    fn innermost(&self) -> Option<Container> {
        let level = self.depth.checked_sub(1)?;
        Some(if self.objects[level / 64] >> (level % 64) & 1 == 1 {
            Container::Object
        } else {
            Container::Array
        })
    }
}
