//! `application/x-yaml`, as `safe_dump` and `safe_load` of `PyYAML`, which reads YAML 1.1.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use quintette_core::json::{RawJson, escape_key, unescape_key};
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::super::tokens::{Token, Tokens};
use super::{ContentError, MAX_DEPTH, Serializer};

mod scalar;

const CORE: &str = "tag:yaml.org,2002:";

/// Aliases may expand it to `limit` bytes.
pub(super) fn decode(body: &[u8], limit: usize) -> Result<RawJson, ContentError> {
    let text = std::str::from_utf8(body).map_err(|_| malformed("it is not UTF-8"))?;
    let mut reader = Reader {
        limit,
        ..Reader::default()
    };
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error| malformed(error.to_string()))?;
        reader.event(event)?;
    }
    Ok(RawJson::parse(match &*reader.out {
        "" => "null",
        json => json,
    })?)
}

fn malformed(problem: impl Into<Box<str>>) -> ContentError {
    Serializer::Yaml.malformed(problem)
}

/// Writes JSON as events come in.
#[derive(Default)]
struct Reader {
    out: String,
    limit: usize,
    open: Vec<Container>,
    documents: usize,
    /// The JSON of what has an anchor.
    anchors: HashMap<usize, Range<usize>>,
}

struct Container {
    map: bool,
    items: usize,
    anchor: usize,
    start: usize,
}

impl Reader {
    fn event(&mut self, event: Event<'_>) -> Result<(), ContentError> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(malformed("it holds more than one document"));
                }
            }
            Event::Alias(anchor) => {
                let as_key = self.begin();
                let range = self.anchors.get(&anchor).cloned();
                let range = range.ok_or_else(|| malformed("an alias of what is not complete"))?;
                if as_key && !self.out[range.clone()].starts_with('"') {
                    return Err(malformed("a key that is no string"));
                }
                if range.len() > self.limit.saturating_sub(self.out.len()) {
                    return Err(malformed("its aliases expand to too much"));
                }
                self.out.extend_from_within(range);
                self.end(as_key);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let as_key = self.begin();
                let start = self.out.len();
                let plain = style == ScalarStyle::Plain;
                self.scalar(&text, plain, tag.as_deref(), as_key)?;
                self.anchors.insert(anchor, start..self.out.len());
                self.end(as_key);
            }
            Event::SequenceStart(anchor, tag) => self.start(false, anchor, tag.as_deref())?,
            Event::MappingStart(anchor, tag) => self.start(true, anchor, tag.as_deref())?,
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Nothing => {}
        }
        Ok(())
    }

    /// Before an item: writes the comma, and says whether the item is a key.
    fn begin(&mut self) -> bool {
        let Some(container) = self.open.last_mut() else {
            return false;
        };
        let as_key = container.map && container.items.is_multiple_of(2);
        if container.items > 0 && (as_key || !container.map) {
            self.out.push(',');
        }
        container.items += 1;
        as_key
    }

    fn end(&mut self, as_key: bool) {
        if as_key {
            self.out.push(':');
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        plain: bool,
        tag: Option<&Tag>,
        as_key: bool,
    ) -> Result<(), ContentError> {
        let json = match tag {
            None if plain => scalar::plain_json(text)?,
            None => None,
            Some(tag) => match (&*tag.handle, &*tag.suffix) {
                (CORE, "str") => None,
                (CORE, "binary") => Some(scalar::binary_json(text)?),
                (CORE, "null" | "bool" | "int" | "float" | "timestamp") => {
                    scalar::plain_json(text)?
                }
                _ => return Err(foreign(tag)),
            },
        };
        match json {
            Some(_) if as_key => return Err(malformed("a key that is no string")),
            Some(json) => self.out.push_str(&json),
            None => {
                self.out.push('"');
                self.out.push_str(&escape_key(text));
                self.out.push('"');
            }
        }
        Ok(())
    }

    fn start(&mut self, map: bool, anchor: usize, tag: Option<&Tag>) -> Result<(), ContentError> {
        let known = if map { "map" } else { "seq" };
        if let Some(tag) = tag
            && !(tag.handle == CORE && tag.suffix == known)
        {
            return Err(foreign(tag));
        }
        if self.begin() {
            return Err(malformed("a key that is no string"));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(malformed("it is nested too deep"));
        }
        self.open.push(Container {
            map,
            items: 0,
            anchor,
            start: self.out.len(),
        });
        self.out.push(if map { '{' } else { '[' });
        Ok(())
    }

    fn close(&mut self) {
        if let Some(container) = self.open.pop() {
            self.out.push(if container.map { '}' } else { ']' });
            let json = container.start..self.out.len();
            self.anchors.insert(container.anchor, json);
        }
    }
}

fn foreign(tag: &Tag) -> ContentError {
    let tag: String = tag.to_string().chars().take(100).collect();
    ContentError::Foreign(format!("a value with YAML's tag {tag}").into())
}

/// In flow style, where YAML hardly differs from JSON.
pub(super) fn encode(value: &RawJson) -> String {
    let mut out = String::with_capacity(value.as_str().len() * 2);
    let mut open = Vec::new();
    let mut first = true;
    let mut after_key = false;
    for token in Tokens::of(value) {
        if token != Token::Close && !std::mem::take(&mut after_key) && !first {
            out.push_str(", ");
        }
        first = false;
        match token {
            Token::OpenArray | Token::OpenObject => {
                let (opening, closing) = match token {
                    Token::OpenArray => ('[', ']'),
                    _ => ('{', '}'),
                };
                out.push(opening);
                open.push(closing);
                first = true;
            }
            Token::Close => out.extend(open.pop()),
            Token::Key(text) => {
                // A key of any length needs the mark.
                out.push_str("? ");
                push_string(&mut out, text);
                out.push_str(" : ");
                after_key = true;
            }
            Token::String(text) => push_string(&mut out, text),
            Token::Word("NaN") => out.push_str(".nan"),
            Token::Word("Infinity") => out.push_str(".inf"),
            Token::Word("-Infinity") => out.push_str("-.inf"),
            Token::Word(word) => out.push_str(word),
            Token::Number(number) => push_number(&mut out, number),
        }
    }
    out.push('\n');
    out
}

fn push_string(out: &mut String, escaped: &str) {
    out.push('"');
    for char in unescape_key(escaped).chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            ' '..='~' => out.push(char),
            _ => {
                // JSON's pair of surrogates would be two characters in YAML. And a String takes whatever is written to it.
                let _ = write!(out, "\\U{:08x}", u32::from(char));
            }
        }
    }
    out.push('"');
}

/// To YAML 1.1 a number with an exponent but no point, or an exponent without a sign, is a string.
fn push_number(out: &mut String, number: &str) {
    if !number.contains(['.', 'e', 'E']) {
        out.push_str(number);
        return;
    }
    let float: f64 = number.parse().unwrap_or(f64::NAN);
    if float.is_infinite() {
        out.push_str(if float < 0.0 { "-.inf" } else { ".inf" });
    } else if let Ok(json) = RawJson::from_value(&float) {
        match json.as_str().split_once('e') {
            Some((mantissa, exponent)) if !mantissa.contains('.') => {
                let _ = write!(out, "{mantissa}.0e{exponent}");
            }
            _ => out.push_str(json.as_str()),
        }
    }
}
