//! Serde's values as Python's `json.dumps(…, separators=(",", ":"))` writes them.

use std::fmt::{LowerExp, Write as _};
use std::io;

use serde_json::ser::Formatter;

use super::text;

/// Compact, in ASCII, floats as Python's `repr`.
pub(super) struct PythonFormatter;

impl Formatter for PythonFormatter {
    fn write_f32<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        writer.write_all(python_repr(value).as_bytes())
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(python_repr(value).as_bytes())
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        writer.write_all(text::escape_key(fragment).as_bytes())
    }

    fn write_raw_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        writer.write_all(text::to_ascii(fragment.chars(), false, fragment.len()).as_bytes())
    }
}

/// A finite float as Python's `repr` writes it: the shortest digits that read back as the same number,
/// plain from 0.0001 up to 1e16, with an exponent of two digits or more outside of that.
pub(crate) fn python_repr(value: impl LowerExp) -> String {
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: String = mantissa.chars().filter(|char| *char != '.').collect();
    let mut out = String::with_capacity(24);
    out.push_str(sign);
    match usize::try_from(exponent) {
        Ok(exponent) if exponent < 16 => push_large(&mut out, &digits, exponent),
        Err(_) if exponent >= -4 => {
            out.push_str("0.");
            out.extend((exponent..-1).map(|_| '0'));
            out.push_str(&digits);
        }
        _ => {
            out.push_str(mantissa);
            let sign = if exponent < 0 { '-' } else { '+' };
            write!(out, "e{sign}{:02}", exponent.abs())
                .expect("a String takes whatever is written to it");
        }
    }
    out
}

/// `digits` with the point after the one of weight 10^`exponent`.
fn push_large(out: &mut String, digits: &str, exponent: usize) {
    let whole = exponent + 1;
    if digits.len() > whole {
        let (whole, fraction) = digits.split_at(whole);
        out.push_str(whole);
        out.push('.');
        out.push_str(fraction);
    } else {
        out.push_str(digits);
        out.extend((digits.len()..whole).map(|_| '0'));
        out.push_str(".0");
    }
}
