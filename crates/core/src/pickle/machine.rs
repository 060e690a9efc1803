//! The machine that a pickle is a program for.
//!
//! Python's references are shared: a list may be put into another, and filled afterwards. So values live in one place, by number, and
//! are only followed once the program has ended.

use std::borrow::Cow;

use super::{PickleError, integer, opcode, string};

/// Where a value lives among the nodes.
pub(super) type Id = usize;

/// A value of a pickle.
#[derive(Debug)]
pub(super) enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// Decimal text.
    BigInt(Cow<'a, str>),
    Float(f64),
    /// In escaped form.
    Str(Cow<'a, str>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or a function, which was not looked up, or what it would have made, which was not.
    Opaque(Label),
}

/// What an opaque value is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Label {
    Named(&'static str),
    /// By its module and name, both strings among the nodes.
    Global(Id, Id),
}

pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    /// How high the stack was at each mark.
    marks: Vec<usize>,
    memo: Vec<Option<Id>>,
    memoized: usize,
}

type Result<T = (), E = PickleError> = std::result::Result<T, E>;

impl<'a> Machine<'a> {
    /// Runs a pickle to its end, and returns all values and the one that it is.
    pub(super) fn run(bytes: &'a [u8]) -> Result<(Vec<Node<'a>>, Id)> {
        let mut machine = Self {
            bytes,
            at: 0,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
            memoized: 0,
        };
        loop {
            let opcode = machine.byte()?;
            if opcode == opcode::STOP {
                let root = machine.pop()?;
                return Ok((machine.nodes, root));
            }
            machine.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result {
        match opcode {
            opcode::PROTO => match self.byte()? {
                0..=5 => Ok(()),
                _ => Err(self.malformed("a protocol newer than 5")),
            },
            opcode::FRAME => self.take::<8>().map(drop),
            opcode::MARK => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            opcode::POP => self.discard(),
            opcode::POP_MARK => self.pop_mark().map(drop),
            opcode::DUP => {
                let top = self.top()?;
                self.stack.push(top);
                Ok(())
            }
            opcode::READONLY_BUFFER => self.top().map(drop),
            _ => self.step_scalar(opcode),
        }
    }

    fn step_scalar(&mut self, opcode: u8) -> Result {
        let node = match opcode {
            opcode::NONE => Node::None,
            opcode::NEWTRUE => Node::Bool(true),
            opcode::NEWFALSE => Node::Bool(false),
            opcode::INT => self.int_line()?,
            opcode::LONG => self.long_line()?,
            opcode::BININT => Node::Int(i32::from_le_bytes(self.take()?).into()),
            opcode::BININT1 => Node::Int(self.byte()?.into()),
            opcode::BININT2 => Node::Int(u16::from_le_bytes(self.take()?).into()),
            opcode::LONG1 => {
                let length = self.byte()?;
                self.long(length.into())?
            }
            opcode::LONG4 => {
                let length = self.size4()?;
                self.long(length)?
            }
            opcode::FLOAT => self.float_line()?,
            opcode::BINFLOAT => Node::Float(f64::from_be_bytes(self.take()?)),
            _ => return self.step_string(opcode),
        };
        self.push(node);
        Ok(())
    }

    fn step_string(&mut self, opcode: u8) -> Result {
        let node = match opcode {
            opcode::UNICODE => {
                let line = self.line()?;
                self.str(string::escape_raw_unicode(line))?
            }
            opcode::STRING => self.string_line()?,
            opcode::SHORT_BINSTRING | opcode::BINSTRING => {
                let text = self.counted(opcode == opcode::SHORT_BINSTRING)?;
                // Strings of Python 2; Python 3 takes them if they are ASCII.
                self.str(string::escape_utf8(text).filter(|_| text.is_ascii()))?
            }
            opcode::SHORT_BINUNICODE | opcode::BINUNICODE => {
                let text = self.counted(opcode == opcode::SHORT_BINUNICODE)?;
                self.str(string::escape_utf8(text))?
            }
            opcode::BINUNICODE8 => {
                let text = self.counted8()?;
                self.str(string::escape_utf8(text))?
            }
            opcode::SHORT_BINBYTES | opcode::BINBYTES => {
                self.counted(opcode == opcode::SHORT_BINBYTES)?;
                named("bytes")
            }
            opcode::BINBYTES8 => {
                self.counted8()?;
                named("bytes")
            }
            opcode::BYTEARRAY8 => {
                self.counted8()?;
                named("bytearray")
            }
            opcode::NEXT_BUFFER => named("an out-of-band buffer"),
            _ => return self.step_container(opcode),
        };
        self.push(node);
        Ok(())
    }

    fn step_container(&mut self, opcode: u8) -> Result {
        let node = match opcode {
            opcode::EMPTY_LIST => Node::List(Vec::new()),
            opcode::EMPTY_TUPLE => Node::Tuple(Vec::new()),
            opcode::EMPTY_DICT => Node::Dict(Vec::new()),
            opcode::EMPTY_SET => named("set"),
            opcode::LIST => Node::List(self.pop_mark()?),
            opcode::TUPLE => Node::Tuple(self.pop_mark()?),
            opcode::TUPLE1 => Node::Tuple(vec![self.pop()?]),
            opcode::TUPLE2 => {
                let second = self.pop()?;
                Node::Tuple(vec![self.pop()?, second])
            }
            opcode::TUPLE3 => {
                let (third, second) = (self.pop()?, self.pop()?);
                Node::Tuple(vec![self.pop()?, second, third])
            }
            opcode::DICT => {
                let items = self.pop_mark()?;
                Node::Dict(self.pairs(&items)?)
            }
            opcode::FROZENSET => {
                self.pop_mark()?;
                named("frozenset")
            }
            _ => return self.step_mutation(opcode),
        };
        self.push(node);
        Ok(())
    }

    fn step_mutation(&mut self, opcode: u8) -> Result {
        match opcode {
            opcode::APPEND => {
                let item = self.pop()?;
                self.extend_list(&[item])
            }
            opcode::APPENDS => {
                let items = self.pop_mark()?;
                self.extend_list(&items)
            }
            opcode::SETITEM => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.extend_dict(&[key, value])
            }
            opcode::SETITEMS => {
                let items = self.pop_mark()?;
                self.extend_dict(&items)
            }
            opcode::ADDITEMS => {
                self.pop_mark()?;
                self.expect_opaque()
            }
            opcode::PUT => {
                let index = self.index_line()?;
                self.put(index)
            }
            opcode::BINPUT => {
                let index = self.byte()?;
                self.put(index.into())
            }
            opcode::LONG_BINPUT => {
                let index = self.size4()?;
                self.put(index)
            }
            opcode::MEMOIZE => self.put(self.memoized),
            opcode::GET => {
                let index = self.index_line()?;
                self.get(index)
            }
            opcode::BINGET => {
                let index = self.byte()?;
                self.get(index.into())
            }
            opcode::LONG_BINGET => {
                let index = self.size4()?;
                self.get(index)
            }
            _ => self.step_object(opcode),
        }
    }

    /// What would look something up or call it leaves an opaque value behind.
    fn step_object(&mut self, opcode: u8) -> Result {
        match opcode {
            opcode::GLOBAL => {
                let label = self.global_lines()?;
                self.push(Node::Opaque(label));
            }
            opcode::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                if !matches!(
                    (&self.nodes[module], &self.nodes[name]),
                    (Node::Str(_), Node::Str(_))
                ) {
                    return Err(self.malformed("a global that is not named by strings"));
                }
                self.push(Node::Opaque(Label::Global(module, name)));
            }
            opcode::REDUCE | opcode::NEWOBJ => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.call(callable, arguments)?;
            }
            opcode::NEWOBJ_EX => {
                let (_, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(class, arguments)?;
            }
            opcode::OBJ => {
                let items = self.pop_mark()?;
                let class = *items
                    .first()
                    .ok_or_else(|| self.malformed("an object without a class"))?;
                self.call(class, class)?;
            }
            opcode::INST => {
                let label = self.global_lines()?;
                self.pop_mark()?;
                self.push(Node::Opaque(label));
            }
            opcode::BUILD => {
                self.pop()?;
                self.expect_opaque()?;
            }
            opcode::PERSID => {
                self.line()?;
                self.push(named("a persistent object"));
            }
            opcode::BINPERSID => {
                self.pop()?;
                self.push(named("a persistent object"));
            }
            opcode::EXT1 => self.take::<1>().map(|_| self.push(named(EXTENSION)))?,
            opcode::EXT2 => self.take::<2>().map(|_| self.push(named(EXTENSION)))?,
            opcode::EXT4 => self.take::<4>().map(|_| self.push(named(EXTENSION)))?,
            _ => {
                return Err(PickleError::UnknownOpcode {
                    opcode,
                    offset: self.at - 1,
                });
            }
        }
        Ok(())
    }

    /// Puts down what the callable would have made.
    fn call(&mut self, callable: Id, arguments: Id) -> Result {
        let Node::Opaque(label) = self.nodes[callable] else {
            return Err(self.malformed("a call of what cannot be called"));
        };
        let label = self.constructed(label, arguments).unwrap_or(label);
        self.push(Node::Opaque(label));
        Ok(())
    }

    /// The class of an object that is made by one of Python's helpers, whose first argument it is.
    fn constructed(&self, helper: Label, arguments: Id) -> Option<Label> {
        let (Label::Global(module, name), Node::Tuple(arguments)) =
            (helper, &self.nodes[arguments])
        else {
            return None;
        };
        let (Node::Str(module), Node::Str(name)) = (&self.nodes[module], &self.nodes[name]) else {
            return None;
        };
        if !matches!(&**module, "copyreg" | "copy_reg")
            || !matches!(&**name, "_reconstructor" | "__newobj__" | "__newobj_ex__")
        {
            return None;
        }
        match self.nodes[*arguments.first()?] {
            Node::Opaque(class) => Some(class),
            _ => None,
        }
    }

    fn extend_list(&mut self, items: &[Id]) -> Result {
        let list = self.top()?;
        match &mut self.nodes[list] {
            Node::List(list) => list.extend_from_slice(items),
            Node::Opaque(_) => {}
            _ => return Err(self.malformed("an item for what is no list")),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: &[Id]) -> Result {
        let pairs = self.pairs(items)?;
        let dict = self.top()?;
        match &mut self.nodes[dict] {
            Node::Dict(dict) => dict.extend(pairs),
            Node::Opaque(_) => {}
            _ => return Err(self.malformed("a member for what is no dict")),
        }
        Ok(())
    }

    fn pairs(&self, items: &[Id]) -> Result<Vec<(Id, Id)>> {
        if !items.len().is_multiple_of(2) {
            return Err(self.malformed("a key without a value"));
        }
        Ok(items
            .chunks_exact(2)
            .map(|pair| (pair[0], pair[1]))
            .collect())
    }

    fn expect_opaque(&self) -> Result {
        match self.nodes[self.top()?] {
            Node::Opaque(_) => Ok(()),
            _ => Err(self.malformed("a state for what is no object")),
        }
    }

    fn push(&mut self, node: Node<'a>) {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
    }

    /// How high the stack was at the last mark: below that, instructions without a mark may not reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Id> {
        match self.stack.last() {
            Some(top) if self.stack.len() > self.floor() => Ok(*top),
            _ => Err(self.malformed("nothing on the stack")),
        }
    }

    fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().ok_or_else(|| self.malformed("no mark"))?;
        Ok(self.stack.split_off(mark))
    }

    /// Drops the topmost value, or the mark if that is topmost.
    fn discard(&mut self) -> Result {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    fn put(&mut self, index: usize) -> Result {
        let top = self.top()?;
        // Picklers count from 0 or 1; a number beyond the pickle's own length would only be there to take memory.
        if index > self.bytes.len() {
            return Err(self.malformed("a memo number out of range"));
        }
        if index >= self.memo.len() {
            self.memo.resize(index + 1, None);
        }
        self.memoized += usize::from(self.memo[index].is_none());
        self.memo[index] = Some(top);
        Ok(())
    }

    fn get(&mut self, index: usize) -> Result {
        match self.memo.get(index) {
            Some(Some(id)) => {
                self.stack.push(*id);
                Ok(())
            }
            _ => Err(self.malformed("a memo number that was not given")),
        }
    }

    fn malformed(&self, problem: &'static str) -> PickleError {
        PickleError::Malformed {
            problem,
            offset: self.at,
        }
    }

    fn str(&self, escaped: Option<Cow<'a, str>>) -> Result<Node<'a>> {
        escaped
            .map(Node::Str)
            .ok_or_else(|| self.malformed("a string in a wrong encoding"))
    }

    fn byte(&mut self) -> Result<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
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

    fn size4(&mut self) -> Result<usize> {
        let size = u32::from_le_bytes(self.take()?);
        usize::try_from(size).map_err(|_| PickleError::UnexpectedEnd)
    }

    /// Bytes after their length, of one byte or of four.
    fn counted(&mut self, short: bool) -> Result<&'a [u8]> {
        let length = if short {
            self.byte()?.into()
        } else {
            self.size4()?
        };
        self.slice(length)
    }

    fn counted8(&mut self) -> Result<&'a [u8]> {
        let length = u64::from_le_bytes(self.take()?);
        self.slice(usize::try_from(length).map_err(|_| PickleError::UnexpectedEnd)?)
    }

    fn line(&mut self) -> Result<&'a [u8]> {
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

    fn int_line(&mut self) -> Result<Node<'a>> {
        match self.ascii_line()? {
            "00" => Ok(Node::Bool(false)),
            "01" => Ok(Node::Bool(true)),
            text => self.int(text),
        }
    }

    fn long_line(&mut self) -> Result<Node<'a>> {
        let text = self.ascii_line()?;
        self.int(text.strip_suffix('L').unwrap_or(text))
    }

    fn int(&self, text: &'a str) -> Result<Node<'a>> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty()
            || !digits.bytes().all(|byte| byte.is_ascii_digit())
            || (digits.starts_with('0') && digits != "0")
            || digits.len() > crate::json::MAX_INTEGER_DIGITS
        {
            return Err(self.malformed("an integer that is none"));
        }
        Ok(match text.parse() {
            Ok(small) => Node::Int(small),
            Err(_) => Node::BigInt(Cow::Borrowed(text)),
        })
    }

    fn long(&mut self, length: usize) -> Result<Node<'a>> {
        let bytes = self.slice(length)?;
        let Some(text) = integer::decimal(bytes) else {
            return Ok(named("an int of more than 4300 digits"));
        };
        Ok(match text.parse() {
            Ok(small) => Node::Int(small),
            Err(_) => Node::BigInt(Cow::Owned(text.into_string())),
        })
    }

    fn float_line(&mut self) -> Result<Node<'a>> {
        let text = self.ascii_line()?;
        text.parse()
            .map(Node::Float)
            .map_err(|_| self.malformed("a float that is none"))
    }

    /// A string of Python 2, in quotes. One with escapes is not worth reading: Python 3 writes none.
    fn string_line(&mut self) -> Result<Node<'a>> {
        let text = self.ascii_line()?;
        let quoted = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
        match quoted('\'').or_else(|| quoted('"')) {
            None => Err(self.malformed("a string without quotes")),
            Some(text) if text.contains('\\') => Ok(named("a str of Python 2")),
            Some(text) => self.str(string::escape_utf8(text.as_bytes())),
        }
    }

    fn global_lines(&mut self) -> Result<Label> {
        let mut ids = [0; 2];
        for id in &mut ids {
            let line = self.line()?;
            let name = self.str(string::escape_utf8(line))?;
            *id = self.nodes.len();
            self.nodes.push(name);
        }
        let [module, name] = ids;
        Ok(Label::Global(module, name))
    }

    fn index_line(&mut self) -> Result<usize> {
        let text = self.ascii_line()?;
        text.parse()
            .map_err(|_| self.malformed("a memo number that is none"))
    }
}

const EXTENSION: &str = "an object of copyreg's extension registry";

fn named(name: &'static str) -> Node<'static> {
    Node::Opaque(Label::Named(name))
}
