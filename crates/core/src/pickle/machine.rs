//! The machine that a pickle is a program for.
//!
//! Python's references are shared: a list may be put into another, and filled afterwards. So values live in one place, by number, and
//! are only followed once the program has ended.

use std::borrow::Cow;

use super::code::runs_code;
use super::reader::Reader;
use super::{PickleError, Result, opcode, string};

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
    input: Reader<'a>,
    nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    /// How high the stack was at each mark.
    marks: Vec<usize>,
    memo: Vec<Option<Id>>,
    memoized: usize,
}

impl<'a> Machine<'a> {
    /// Runs a pickle to its end, and returns all values, the one that it is, and how many bytes it took.
    pub(super) fn run(bytes: &'a [u8]) -> Result<(Vec<Node<'a>>, Id, usize)> {
        let mut machine = Self {
            input: Reader::new(bytes),
            // A value takes some ten bytes of a session's pickle.
            nodes: Vec::with_capacity(bytes.len() / 8),
            stack: Vec::with_capacity(32),
            marks: Vec::new(),
            memo: Vec::new(),
            memoized: 0,
        };
        loop {
            let opcode = machine.input.byte()?;
            if opcode == opcode::STOP {
                let root = machine.pop()?;
                return Ok((machine.nodes, root, machine.input.offset()));
            }
            machine.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result {
        match opcode {
            opcode::PROTO => match self.input.byte()? {
                0..=5 => Ok(()),
                _ => Err(self.input.malformed("a protocol newer than 5")),
            },
            opcode::FRAME => self.input.frame(),
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
            opcode::INT => self.input.int_line()?,
            opcode::LONG => self.input.long_line()?,
            opcode::BININT => Node::Int(i32::from_le_bytes(self.input.take()?).into()),
            opcode::BININT1 => Node::Int(self.input.byte()?.into()),
            opcode::BININT2 => Node::Int(u16::from_le_bytes(self.input.take()?).into()),
            opcode::LONG1 => {
                let length = self.input.byte()?;
                self.input.long(length.into())?
            }
            opcode::LONG4 => {
                let length = self.input.size4()?;
                self.input.long(length)?
            }
            opcode::FLOAT => self.input.float_line()?,
            opcode::BINFLOAT => Node::Float(f64::from_be_bytes(self.input.take()?)),
            _ => return self.step_string(opcode),
        };
        self.push(node);
        Ok(())
    }

    fn step_string(&mut self, opcode: u8) -> Result {
        let node = match opcode {
            opcode::UNICODE => {
                let line = self.input.line()?;
                self.input.str(string::escape_raw_unicode(line))?
            }
            opcode::STRING => self.input.string_line()?,
            opcode::SHORT_BINSTRING | opcode::BINSTRING => {
                let text = self.input.counted(opcode == opcode::SHORT_BINSTRING)?;
                // Strings of Python 2; Python 3 takes them if they are ASCII.
                self.input
                    .str(string::escape_utf8(text).filter(|_| text.is_ascii()))?
            }
            opcode::SHORT_BINUNICODE | opcode::BINUNICODE => {
                let text = self.input.counted(opcode == opcode::SHORT_BINUNICODE)?;
                self.input.str(string::escape_utf8(text))?
            }
            opcode::BINUNICODE8 => {
                let text = self.input.counted8()?;
                self.input.str(string::escape_utf8(text))?
            }
            opcode::SHORT_BINBYTES | opcode::BINBYTES => {
                self.input.counted(opcode == opcode::SHORT_BINBYTES)?;
                named("bytes")
            }
            opcode::BINBYTES8 => {
                self.input.counted8()?;
                named("bytes")
            }
            opcode::BYTEARRAY8 => {
                self.input.counted8()?;
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
                self.expect_pairs(&items)?;
                Node::Dict(pairs(&items).collect())
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
                let start = self.topmost(1)?;
                self.extend_list(start)
            }
            opcode::APPENDS => {
                let start = self.mark()?;
                self.extend_list(start)
            }
            opcode::SETITEM => {
                let start = self.topmost(2)?;
                self.extend_dict(start)
            }
            opcode::SETITEMS => {
                let start = self.mark()?;
                self.extend_dict(start)
            }
            opcode::ADDITEMS => {
                self.pop_mark()?;
                self.expect_opaque()
            }
            opcode::PUT => {
                let index = self.input.index_line()?;
                self.put(index)
            }
            opcode::BINPUT => {
                let index = self.input.byte()?;
                self.put(index.into())
            }
            opcode::LONG_BINPUT => {
                let index = self.input.size4()?;
                self.put(index)
            }
            opcode::MEMOIZE => self.put(self.memoized),
            opcode::GET => {
                let index = self.input.index_line()?;
                self.get(index)
            }
            opcode::BINGET => {
                let index = self.input.byte()?;
                self.get(index.into())
            }
            opcode::LONG_BINGET => {
                let index = self.input.size4()?;
                self.get(index)
            }
            _ => self.step_object(opcode),
        }
    }

    /// What would look something up or call it leaves an opaque value behind.
    fn step_object(&mut self, opcode: u8) -> Result {
        match opcode {
            opcode::GLOBAL => {
                let [module, name] = self.global_lines()?;
                let label = self.global(module, name)?;
                self.push(Node::Opaque(label));
            }
            opcode::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                let label = self.global(module, name)?;
                self.push(Node::Opaque(label));
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
                    .ok_or_else(|| self.input.malformed("an object without a class"))?;
                self.call(class, class)?;
            }
            opcode::INST => {
                let [module, name] = self.global_lines()?;
                let label = self.global(module, name)?;
                self.pop_mark()?;
                self.push(Node::Opaque(label));
            }
            opcode::BUILD => {
                self.pop()?;
                self.expect_opaque()?;
            }
            opcode::PERSID => {
                self.input.line()?;
                self.push(named("a persistent object"));
            }
            opcode::BINPERSID => {
                self.pop()?;
                self.push(named("a persistent object"));
            }
            opcode::EXT1 => self
                .input
                .take::<1>()
                .map(|_| self.push(named(EXTENSION)))?,
            opcode::EXT2 => self
                .input
                .take::<2>()
                .map(|_| self.push(named(EXTENSION)))?,
            opcode::EXT4 => self
                .input
                .take::<4>()
                .map(|_| self.push(named(EXTENSION)))?,
            _ => {
                return Err(PickleError::UnknownOpcode {
                    opcode,
                    offset: self.input.offset() - 1,
                });
            }
        }
        Ok(())
    }

    /// Puts down what the callable would have made.
    fn call(&mut self, callable: Id, arguments: Id) -> Result {
        let Node::Opaque(label) = self.nodes[callable] else {
            return Err(self.input.malformed("a call of what cannot be called"));
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

    /// Takes what is on the stack from `start` on into the list below.
    fn extend_list(&mut self, start: usize) -> Result {
        let list = self.below(start)?;
        match &mut self.nodes[list] {
            Node::List(list) => list.extend_from_slice(&self.stack[start..]),
            Node::Opaque(_) => {}
            _ => return Err(self.input.malformed("an item for what is no list")),
        }
        self.stack.truncate(start);
        Ok(())
    }

    /// Takes what is on the stack from `start` on into the dict below.
    fn extend_dict(&mut self, start: usize) -> Result {
        self.expect_pairs(&self.stack[start..])?;
        let dict = self.below(start)?;
        match &mut self.nodes[dict] {
            Node::Dict(dict) => dict.extend(pairs(&self.stack[start..])),
            Node::Opaque(_) => {}
            _ => return Err(self.input.malformed("a member for what is no dict")),
        }
        self.stack.truncate(start);
        Ok(())
    }

    fn expect_pairs(&self, items: &[Id]) -> Result {
        if !items.len().is_multiple_of(2) {
            return Err(self.input.malformed("a key without a value"));
        }
        Ok(())
    }

    fn expect_opaque(&self) -> Result {
        match self.nodes[self.top()?] {
            Node::Opaque(_) => Ok(()),
            _ => Err(self.input.malformed("a state for what is no object")),
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
        self.below(self.stack.len())
    }

    /// The topmost value below a height of the stack, which is not above its top.
    fn below(&self, height: usize) -> Result<Id> {
        match self.stack[..height].last() {
            Some(top) if height > self.floor() => Ok(*top),
            _ => Err(self.input.malformed("nothing on the stack")),
        }
    }

    /// Where the topmost `count` values begin.
    fn topmost(&self, count: usize) -> Result<usize> {
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= self.floor() => Ok(start),
            _ => Err(self.input.malformed("nothing on the stack")),
        }
    }

    fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// Takes the last mark away, and returns how high the stack was there.
    fn mark(&mut self) -> Result<usize> {
        let mark = self.marks.pop();
        mark.ok_or_else(|| self.input.malformed("no mark"))
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.mark()?;
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
        if index > self.input.length() {
            return Err(self.input.malformed("a memo number out of range"));
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
            _ => Err(self.input.malformed("a memo number that was not given")),
        }
    }

    fn global_lines(&mut self) -> Result<[Id; 2]> {
        let mut ids = [0; 2];
        for id in &mut ids {
            let line = self.input.line()?;
            let name = self.input.str(string::escape_utf8(line))?;
            *id = self.nodes.len();
            self.nodes.push(name);
        }
        Ok(ids)
    }

    fn global(&mut self, module: Id, name: Id) -> Result<Label> {
        let (Node::Str(module_name), Node::Str(function)) =
            (&self.nodes[module], &self.nodes[name])
        else {
            return Err(self
                .input
                .malformed("a global that is not named by strings"));
        };
        if runs_code(module_name, function) {
            let name = function.get(..100).unwrap_or(function);
            return Err(PickleError::Code(format!("{module_name}.{name}").into()));
        }
        Ok(Label::Global(module, name))
    }
}

const EXTENSION: &str = "an object of copyreg's extension registry";

fn pairs(items: &[Id]) -> impl Iterator<Item = (Id, Id)> {
    items.chunks_exact(2).map(|pair| (pair[0], pair[1]))
}

pub(super) fn named(name: &'static str) -> Node<'static> {
    Node::Opaque(Label::Named(name))
}
