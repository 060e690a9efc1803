//! The pickles that Django's caches hold: plain values in and out.
//!
//! A pickle is a program for a small machine with a stack. The machine here makes numbers, strings, lists, tuples and
//! dicts; where Python would look up a class or call something, it puts down a note of what that would have been. Nothing is
//! looked up and nothing is called, so a pickle can do no more than be wrong.
//!
//! A session is a dict. Its values come out as JSON where JSON has a place for them ([`Decoded::Json`]; tuples become
//! arrays, as with Django's JSON serializer), and by name where it has none ([`Decoded::Foreign`]), so that the rest
//! of the session can be read, and what would be lost is known before anything is written.
//!
//! Source: `Lib/pickletools.py` and `Modules/_pickle.c` of Python 3.11; protocols 0 to 5.

mod code;
mod expand;
mod integer;
mod machine;
mod number;
mod opcode;
mod reader;
mod string;
#[cfg(test)]
mod tests;
mod write;

use indexmap::IndexMap;
use indexmap::map::Entry;

use crate::json::RawJson;
use expand::Expansion;
use machine::{Machine, Node};
pub use number::{decode_number, encode_number};
pub use write::{encode_dict, encode_none, encode_value};

/// How much JSON a pickle may expand to, in bytes: 16 MiB.
///
/// A pickle can name a list twice in another list, and that twice in the next; thirty such lines are a gigabyte.
pub const MAX_EXPANDED: usize = 16 << 20;

/// A value found in a pickle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// One that JSON can hold.
    Json(RawJson),
    /// One that it cannot, or that holds such a one: what that is, such as `datetime.datetime`, `bytes` or `set`.
    Foreign(Box<str>),
}

/// A pickle that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PickleError {
    /// It ends before its end is declared.
    #[error("the pickle ends too early")]
    UnexpectedEnd,
    /// It needs a protocol newer than 5, or an instruction that no protocol has.
    #[error("unknown instruction {opcode:#04x} at byte {offset} of the pickle")]
    UnknownOpcode {
        /// The instruction.
        opcode: u8,
        /// Where it stands.
        offset: usize,
    },
    /// An instruction that cannot be carried out.
    #[error("{problem} at byte {offset} of the pickle")]
    Malformed {
        /// What is wrong with it.
        problem: &'static str,
        /// Where the instruction after it would stand.
        offset: usize,
    },
    /// It holds something, but no dict.
    #[error("the pickle holds no dict, but: {0}")]
    NotADict(Box<str>),
    /// It holds something, but no number.
    #[error("the pickle holds no number, but: {0}")]
    NotANumber(Box<str>),
    /// It would run code when Python loads it: an attack, and no session.
    #[error("the pickle would call {0}")]
    Code(Box<str>),
    /// A list or a dict in it holds itself.
    #[error("the pickle holds a value that holds itself")]
    Recursive,
    /// It expands to more than [`MAX_EXPANDED`] bytes of JSON.
    #[error("the pickle expands to more than {MAX_EXPANDED} bytes")]
    TooLarge,
}

type Result<T = (), E = PickleError> = std::result::Result<T, E>;

/// The members of a pickled dict, and `None` for a pickled `None`.
///
/// Keys are in their escaped form, as those of [`parse_object`](crate::json::parse_object). A key that is no string is there too,
/// as Python would print it, with a foreign value.
///
/// ```
/// use quintette_core::pickle::{Decoded, decode_dict};
///
/// // pickle.dumps({"n": 1, "at": datetime.date(2025, 1, 1)}, protocol=0)
/// let pickle = b"(dVn\nI1\nsVat\ncdatetime\ndate\n(c_codecs\nencode\n(V\xe9\nVlatin1\ntRtRs.";
/// let members = decode_dict(pickle)?.expect("a dict");
/// assert_eq!(members["at"], Decoded::Foreign("datetime.date".into()));
/// assert!(matches!(&members["n"], Decoded::Json(n) if n.as_str() == "1"));
/// # Ok::<(), quintette_core::pickle::PickleError>(())
/// ```
///
/// # Errors
///
/// If Python could not load the pickle, or it holds neither a dict nor `None`, or too much.
pub fn decode_dict(
    bytes: &[u8],
) -> std::result::Result<Option<IndexMap<Box<str>, Decoded>>, PickleError> {
    let (nodes, root, _) = Machine::run(bytes)?;
    let mut expansion = Expansion::new(&nodes);
    let entries = match &nodes[root] {
        Node::None => return Ok(None),
        Node::Dict(entries) => entries,
        _ => return Err(PickleError::NotADict(expansion.type_name(root))),
    };
    let mut members = IndexMap::with_capacity(entries.len());
    for &(key, value) in entries {
        if let Node::Str(key) = &nodes[key] {
            let value = expansion.decode_member(value, root)?;
            // A key that is no string may have the same text; then neither may be written.
            match members.entry(Box::from(&**key)) {
                Entry::Occupied(entry) if is_of_a_foreign_key(entry.get()) => {}
                Entry::Occupied(mut entry) => drop(entry.insert(value)),
                Entry::Vacant(entry) => drop(entry.insert(value)),
            }
        } else {
            let what = format!("{KEY}{}", expansion.type_name(key));
            members.insert(expansion.print(key)?, Decoded::Foreign(what.into()));
        }
    }
    Ok(Some(members))
}

/// The value that a pickle holds, whatever it is.
///
/// ```
/// use quintette_core::json::RawJson;
/// use quintette_core::pickle::{Decoded, decode_value};
///
/// // pickle.dumps((1, None), protocol=2)
/// let decoded = decode_value(b"\x80\x02K\x01N\x86q\x00.")?;
/// assert_eq!(decoded, Decoded::Json(RawJson::parse("[1,null]")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// If Python could not load the pickle, or it holds too much.
pub fn decode_value(bytes: &[u8]) -> Result<Decoded> {
    let (nodes, root, _) = Machine::run(bytes)?;
    Expansion::new(&nodes).decode(root)
}

fn is_of_a_foreign_key(value: &Decoded) -> bool {
    matches!(value, Decoded::Foreign(what) if what.starts_with(KEY))
}

/// What the name of a foreign value starts with where the key is what is foreign.
const KEY: &str = "a key that is no string but: ";
