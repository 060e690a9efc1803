//! Serde's values as Python's `json.dumps(…, separators=(",", ":"))` writes them.

use std::fmt::Write as _;
use std::io;

use serde_json::ser::{CompactFormatter, Formatter};

use super::text;

/// Compact, in ASCII, floats as Python's `repr`.
pub(super) struct PythonFormatter;

impl Formatter for PythonFormatter {
    fn write_f32<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        let mut shortest = Vec::with_capacity(24);
        CompactFormatter.write_f32(&mut shortest, value)?;
        writer.write_all(in_python_notation(&shortest).as_bytes())
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

/// A finite float as Python's `repr` writes it.
pub(crate) fn python_repr(value: f64) -> String {
    // serde_json finds the same digits as Python. Rust's own formatting does not: where two candidates
    // are equally near, Python takes the even one (611353735086690.2), Rust the larger.
    let mut shortest = Vec::with_capacity(24);
    CompactFormatter
        .write_f64(&mut shortest, value)
        .expect("a Vec takes whatever is written to it");
    in_python_notation(&shortest)
}

/// A decimal number in Python's notation: plain from 0.0001 up to 1e16, with an exponent of two digits
/// or more outside of that.
fn in_python_notation(number: &[u8]) -> String {
    let number = String::from_utf8_lossy(number);
    let (sign, number) = match number.strip_prefix('-') {
        Some(number) => ("-", number),
        None => ("", &*number),
    };
    let (mantissa, exponent) = number.split_once('e').unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let significant = all.trim_start_matches('0');
    // Of the first digit that is not zero.
    let exponent = match (significant, exponent.parse::<i32>()) {
        ("", _) | (_, Err(_)) => 0,
        (_, Ok(exponent)) => {
            let shift = significant.len().cast_signed() - fraction.len().cast_signed() - 1;
            exponent + i32::try_from(shift).unwrap_or(0)
        }
    };
    let digits = match significant.trim_end_matches('0') {
        "" => "0",
        digits => digits,
    };
    let mut out = String::with_capacity(24);
    out.push_str(sign);
    match usize::try_from(exponent) {
        Ok(exponent) if exponent < 16 => push_large(&mut out, digits, exponent),
        Err(_) if exponent >= -4 => {
            out.push_str("0.");
            out.extend((exponent..-1).map(|_| '0'));
            out.push_str(digits);
        }
        _ => push_scientific(&mut out, digits, exponent),
    }
    out
}

fn push_scientific(out: &mut String, digits: &str, exponent: i32) {
    let (first, rest) = digits.split_at(1);
    out.push_str(first);
    if !rest.is_empty() {
        out.push('.');
        out.push_str(rest);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    write!(out, "e{sign}{:02}", exponent.abs()).expect("a String takes whatever is written to it");
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
