//! Integers of any size, from the bytes of a pickle to decimal digits.

use crate::json::MAX_INTEGER_DIGITS;

/// The decimal text of a little-endian integer in two's complement; `None` where Python would not print it.
pub(super) fn decimal(bytes: &[u8]) -> Option<Box<str>> {
    // 4300 digits are less than 1786 bytes; what is much longer need not be converted to be refused.
    if bytes.len() > 1800 {
        return None;
    }
    let negative = bytes.last().is_some_and(|high| *high >= 0x80);
    let mut limbs = magnitude(bytes, negative);
    let mut groups = Vec::new();
    while !limbs.is_empty() {
        groups.push(divide(&mut limbs));
    }
    let mut text = String::with_capacity(groups.len() * GROUP + 1);
    if negative {
        text.push('-');
    }
    let mut groups = groups.iter().rev();
    text.push_str(&groups.next().unwrap_or(&0).to_string());
    text.extend(groups.map(|group| format!("{group:0GROUP$}")));
    let digits = text.len() - usize::from(negative);
    (digits <= MAX_INTEGER_DIGITS).then(|| text.into_boxed_str())
}

/// How many digits are split off at a time.
const GROUP: usize = 9;

/// The absolute value in limbs of 32 bits, the lowest first.
fn magnitude(bytes: &[u8], negative: bool) -> Vec<u32> {
    let mut carry = negative;
    let fill = if negative { 0xff } else { 0 };
    let mut limbs: Vec<u32> = bytes
        .chunks(4)
        .map(|chunk| {
            let mut limb = [fill; 4];
            limb[..chunk.len()].copy_from_slice(chunk);
            let limb = u32::from_le_bytes(limb);
            if !negative {
                return limb;
            }
            let (limb, overflow) = (!limb).overflowing_add(u32::from(carry));
            carry = overflow;
            limb
        })
        .collect();
    trim(&mut limbs);
    limbs
}

/// Divides by 10^[`GROUP`] in place and returns the rest.
fn divide(limbs: &mut Vec<u32>) -> u32 {
    const DIVISOR: u64 = 1_000_000_000;
    let mut rest = 0_u64;
    for limb in limbs.iter_mut().rev() {
        let dividend = rest << 32 | u64::from(*limb);
        *limb = u32::try_from(dividend / DIVISOR).unwrap_or(u32::MAX);
        rest = dividend % DIVISOR;
    }
    trim(limbs);
    u32::try_from(rest).unwrap_or(u32::MAX)
}

fn trim(limbs: &mut Vec<u32>) {
    while limbs.last() == Some(&0) {
        limbs.pop();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_of_python_are_read() {
        let known: [(&[u8], &str); 9] = [
            (b"", "0"),
            (b"\x00", "0"),
            (b"\xff", "-1"),
            (b"\xff\x00", "255"),
            (b"\x80", "-128"),
            (b"\x00\x00\x00\x80", "-2147483648"),
            (b"\x00\xca\x9a\x3b", "1000000000"),
            (
                b"\x00\x00\x00\x00\x00\x00\x00\x00\x40",
                "1180591620717411303424",
            ),
            (
                b"\x00\x00\x00\x00\x00\x00\x00\x00\xc0",
                "-1180591620717411303424",
            ),
        ];
        for (bytes, text) in known {
            assert_eq!(decimal(bytes).as_deref(), Some(text));
        }
    }

    #[test]
    fn an_integer_ends_where_python_stops_printing() {
        let mut bytes = vec![0; 1784];
        bytes.push(0x7f);
        let longest = decimal(&bytes).expect("4299 digits");
        assert_eq!(longest.len(), 4299);
        bytes.extend([0xff, 0]);
        assert_eq!(decimal(&bytes), None);
        assert_eq!(decimal(&vec![0xff; 1 << 20]), None);
    }

    proptest! {
        #[test]
        fn any_integer_is_read(integer: i128, width in 1_u32..=16) {
            let integer = integer >> (128 - 8 * width);
            let bytes = &integer.to_le_bytes()[..width as usize];
            prop_assert_eq!(&*decimal(bytes).expect("few digits"), integer.to_string());
        }
    }
}
