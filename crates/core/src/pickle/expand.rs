//! From the values of a pickle to JSON.

use std::fmt::Write as _;

use super::machine::{Id, Label, Node};
use super::{Decoded, MAX_EXPANDED, PickleError};
use crate::json::{MAX_DEPTH, RawJson, escape_key, python_repr};

/// Writes values as JSON, one after the other, with one bound on all that is written.
pub(super) struct Expansion<'n, 'a> {
    nodes: &'n [Node<'a>],
    /// The containers that are being written: one that comes up within itself is recursive.
    open: Vec<bool>,
    path: Vec<Visit>,
    text: String,
    written: usize,
}

/// A container, and how many of its items have been begun.
struct Visit {
    container: Id,
    begun: usize,
}

/// Why a value has no JSON.
enum Foreign {
    Opaque(Label),
    Key(Id),
    Recursive,
    TooDeep(Id),
}

impl<'n, 'a> Expansion<'n, 'a> {
    pub(super) fn new(nodes: &'n [Node<'a>]) -> Self {
        Self {
            nodes,
            open: vec![false; nodes.len()],
            path: Vec::new(),
            text: String::with_capacity(nodes.len() * 8),
            written: 0,
        }
    }

    /// A member of the dict `parent` as JSON, or what in it has none.
    pub(super) fn decode_member(&mut self, value: Id, parent: Id) -> Result<Decoded, PickleError> {
        self.open[parent] = true;
        let decoded = self.decode(value);
        self.open[parent] = false;
        decoded
    }

    /// A value as JSON, or what in it has none.
    pub(super) fn decode(&mut self, value: Id) -> Result<Decoded, PickleError> {
        self.text.clear();
        let foreign = self.write(value);
        // What is thrown away has been work as well.
        self.written += self.text.len();
        for visit in self.path.drain(..) {
            self.open[visit.container] = false;
        }
        Ok(match foreign? {
            Some(Foreign::Recursive) => return Err(PickleError::Recursive),
            Some(foreign) => Decoded::Foreign(self.describe(&foreign)),
            None => Decoded::Json(RawJson::from_valid(&self.text)),
        })
    }

    fn write(&mut self, value: Id) -> Result<Option<Foreign>, PickleError> {
        let mut next = Some(value);
        loop {
            if self.written + self.text.len() > MAX_EXPANDED {
                return Err(PickleError::TooLarge);
            }
            if let Some(value) = next
                && let Err(foreign) = self.begin(value)
            {
                return Ok(Some(foreign));
            }
            if self.path.is_empty() {
                return Ok(None);
            }
            match self.proceed() {
                Ok(item) => next = item,
                Err(foreign) => return Ok(Some(foreign)),
            }
        }
    }

    /// Writes a scalar, or opens a container.
    fn begin(&mut self, value: Id) -> Result<(), Foreign> {
        let bracket = match &self.nodes[value] {
            Node::Opaque(label) => return Err(Foreign::Opaque(*label)),
            Node::List(_) | Node::Tuple(_) => '[',
            Node::Dict(_) => '{',
            _ => {
                self.write_scalar(value);
                return Ok(());
            }
        };
        if self.open[value] {
            return Err(Foreign::Recursive);
        }
        // One level is the dict around all values.
        if self.path.len() + 1 >= MAX_DEPTH {
            return Err(Foreign::TooDeep(value));
        }
        self.open[value] = true;
        self.path.push(Visit {
            container: value,
            begun: 0,
        });
        self.text.push(bracket);
        Ok(())
    }

    /// Goes on in the innermost container: returns its next item, or closes it.
    fn proceed(&mut self) -> Result<Option<Id>, Foreign> {
        let Some(visit) = self.path.last_mut() else {
            return Ok(None);
        };
        let begun = visit.begun;
        visit.begun += 1;
        let (key, item, bracket) = match &self.nodes[visit.container] {
            Node::Dict(entries) => {
                let entry = entries.get(begun);
                (entry.map(|entry| entry.0), entry.map(|entry| entry.1), '}')
            }
            Node::List(items) | Node::Tuple(items) => (None, items.get(begun).copied(), ']'),
            _ => (None, None, ']'),
        };
        if item.is_none() {
            self.open[visit.container] = false;
            self.path.pop();
            self.text.push(bracket);
            return Ok(None);
        }
        if begun > 0 {
            self.text.push(',');
        }
        if let Some(key) = key {
            if !matches!(self.nodes[key], Node::Str(_)) {
                return Err(Foreign::Key(key));
            }
            self.write_scalar(key);
            self.text.push(':');
        }
        Ok(item)
    }

    fn write_scalar(&mut self, scalar: Id) {
        match &self.nodes[scalar] {
            Node::Bool(true) => self.text.push_str("true"),
            Node::Bool(false) => self.text.push_str("false"),
            Node::Int(int) => {
                // A String takes whatever is written to it.
                let _ = write!(self.text, "{int}");
            }
            Node::BigInt(digits) => self.text.push_str(digits),
            Node::Float(float) => self.text.push_str(&float_text(*float)),
            Node::Str(escaped) => {
                self.text.push('"');
                self.text.push_str(escaped);
                self.text.push('"');
            }
            _ => self.text.push_str("null"),
        }
    }

    /// A key as Python would print it, escaped; by its type if it is nothing simple.
    pub(super) fn print(&mut self, key: Id) -> Result<Box<str>, PickleError> {
        let text = match &self.nodes[key] {
            Node::None => "None".into(),
            Node::Bool(true) => "True".into(),
            Node::Bool(false) => "False".into(),
            Node::Int(int) => int.to_string().into(),
            Node::BigInt(digits) => digits.as_ref().into(),
            Node::Float(float) if float.is_infinite() => float.to_string().into(),
            Node::Float(float) if float.is_nan() => "nan".into(),
            Node::Float(float) => python_repr(*float).into(),
            _ => self.type_name(key),
        };
        // A long integer may be named by any number of keys.
        self.written += text.len();
        if self.written > MAX_EXPANDED {
            return Err(PickleError::TooLarge);
        }
        Ok(escape_key(&text).into())
    }

    /// The name of a value's type.
    pub(super) fn type_name(&self, value: Id) -> Box<str> {
        match &self.nodes[value] {
            Node::None => "None".into(),
            Node::Bool(_) => "bool".into(),
            Node::Int(_) | Node::BigInt(_) => "int".into(),
            Node::Float(_) => "float".into(),
            Node::Str(_) => "str".into(),
            Node::List(_) => "list".into(),
            Node::Tuple(_) => "tuple".into(),
            Node::Dict(_) => "dict".into(),
            Node::Opaque(label) => self.label(*label),
        }
    }

    fn describe(&self, foreign: &Foreign) -> Box<str> {
        match foreign {
            Foreign::Opaque(label) => self.label(*label),
            Foreign::Key(key) => {
                format!("a dict with a key of type {}", self.type_name(*key)).into()
            }
            Foreign::Recursive => "recursive".into(),
            Foreign::TooDeep(value) => {
                format!("a {} nested too deep", self.type_name(*value)).into()
            }
        }
    }

    fn label(&self, label: Label) -> Box<str> {
        let (module, name) = match label {
            Label::Named(name) => return name.into(),
            Label::Global(module, name) => (self.name(module), self.name(name)),
        };
        match (module, name) {
            ("builtins" | "__builtin__", name) => name.into(),
            // The way of bytes before protocol 3.
            ("_codecs", "encode") => "bytes".into(),
            (module, name) => format!("{module}.{name}").into(),
        }
    }

    /// As much of a name as names need: a pickle can use one of a megabyte a thousand times.
    fn name(&self, name: Id) -> &'n str {
        match &self.nodes[name] {
            // The escaped form is ASCII.
            Node::Str(name) => name.get(..100).unwrap_or(name),
            _ => "?",
        }
    }
}

fn float_text(float: f64) -> String {
    if float.is_nan() {
        "NaN".to_owned()
    } else if float.is_infinite() {
        let sign = if float < 0.0 { "-" } else { "" };
        format!("{sign}Infinity")
    } else {
        python_repr(float)
    }
}
