//! A number by itself: how a file of Django's `FileBasedCache` begins.

use super::expand::Expansion;
use super::machine::{Machine, Node};
use super::{PickleError, Result, opcode};

/// The number that a pickle at the start of these bytes holds, `None` for a pickled `None`, and the bytes after it.
///
/// ```
/// use quintette_core::pickle::{decode_number, encode_number};
///
/// let mut bytes = encode_number(1.5);
/// bytes.extend(b"the rest");
/// assert_eq!(decode_number(&bytes)?, (Some(1.5), &b"the rest"[..]));
/// # Ok::<(), quintette_core::pickle::PickleError>(())
/// ```
///
/// # Errors
///
/// If Python could not load the pickle, or it holds something else.
pub fn decode_number(bytes: &[u8]) -> Result<(Option<f64>, &[u8])> {
    let (nodes, root, length) = Machine::run(bytes)?;
    let number = match &nodes[root] {
        Node::None => None,
        Node::Bool(value) => Some(f64::from(u8::from(*value))),
        // Of a time in seconds, this rounds away nothing.
        #[expect(clippy::cast_precision_loss)]
        Node::Int(value) => Some(*value as f64),
        Node::BigInt(text) => Some(text.parse().unwrap_or(f64::NAN)),
        Node::Float(value) => Some(*value),
        _ => {
            let what = Expansion::new(&nodes).type_name(root);
            return Err(PickleError::NotANumber(what));
        }
    };
    Ok((number, bytes.get(length..).unwrap_or_default()))
}

/// A pickled float: protocol 4.
pub fn encode_number(number: f64) -> Vec<u8> {
    let mut out = vec![opcode::PROTO, 4, opcode::BINFLOAT];
    out.extend(number.to_be_bytes());
    out.push(opcode::STOP);
    out
}

#[cfg(test)]
mod tests;
