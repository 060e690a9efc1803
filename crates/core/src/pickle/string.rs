//! Strings between pickles, which hold Unicode with lone surrogates, and JSON, which escapes it.

use std::borrow::Cow;

use crate::json::{escape_key, push_units, units};

/// The escaped form of UTF-8 in which surrogates may stand alone (Python's `surrogatepass`); `None` for any other bytes.
pub(super) fn escape_utf8(bytes: &[u8]) -> Option<Cow<'_, str>> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Some(escape_key(text));
    }
    let mut out = String::with_capacity(bytes.len() * 2);
    let mut rest = bytes;
    while !rest.is_empty() {
        let valid = match std::str::from_utf8(rest) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&rest[..error.valid_up_to()]).ok()?,
        };
        push_units(&mut out, valid.encode_utf16());
        rest = &rest[valid.len()..];
        if let [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, tail @ ..] = rest {
            let unit = 0xd000 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f);
            push_units(&mut out, [unit]);
            rest = tail;
        } else if !rest.is_empty() {
            return None;
        }
    }
    Some(Cow::Owned(out))
}

/// The escaped form of Python's `raw-unicode-escape`: Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
pub(super) fn escape_raw_unicode(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let mut units = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        rest = match rest {
            [] => break,
            [b'\\', b'u', tail @ ..] => push_code_point(&mut units, tail.split_at_checked(4)?)?,
            [b'\\', b'U', tail @ ..] => push_code_point(&mut units, tail.split_at_checked(8)?)?,
            // The second of two backslashes starts nothing.
            [b'\\', next, tail @ ..] => {
                units.extend([u16::from(b'\\'), u16::from(*next)]);
                tail
            }
            [byte, tail @ ..] => {
                units.push(u16::from(*byte));
                tail
            }
        };
    }
    let mut out = String::with_capacity(units.len());
    push_units(&mut out, units);
    Some(Cow::Owned(out))
}

/// Adds the character of that number, and returns what follows its digits.
fn push_code_point<'a>(
    units: &mut Vec<u16>,
    (digits, tail): (&[u8], &'a [u8]),
) -> Option<&'a [u8]> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    match (u16::try_from(code), char::from_u32(code)) {
        (Ok(unit), _) => units.push(unit),
        (_, Some(char)) => units.extend_from_slice(char.encode_utf16(&mut [0; 2])),
        _ => return None,
    }
    Some(tail)
}

/// The UTF-8 of an escaped string, with lone surrogates as Python's `surrogatepass` writes them.
pub(super) fn unescape_to_utf8(escaped: &str) -> Cow<'_, [u8]> {
    if !escaped.contains('\\') {
        return Cow::Borrowed(escaped.as_bytes());
    }
    let mut out = Vec::with_capacity(escaped.len());
    for char in char::decode_utf16(units(escaped.chars())) {
        match char {
            Ok(char) => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(lone) => {
                let [high, low] = lone.unpaired_surrogate().to_be_bytes();
                out.extend([
                    0xe0 | high >> 4,
                    0x80 | (high & 0xf) << 2 | low >> 6,
                    0x80 | low & 0x3f,
                ]);
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lone_surrogates_pass() {
        let bytes = b"a\xed\xa0\x80\xc3\xa9\xed\xbf\xbf";
        assert_eq!(escape_utf8(bytes).as_deref(), Some(r"a\ud800\u00e9\udfff"));
        assert_eq!(&*unescape_to_utf8(r"a\ud800\u00e9\udfff"), bytes);
        assert_eq!(&*unescape_to_utf8(r"\ud83d\ude00"), "😀".as_bytes());
    }

    #[test]
    fn other_bytes_that_are_no_utf_8_do_not() {
        for bytes in [
            &b"\xff"[..],
            b"\xed\xa0",
            b"\xc3",
            b"a\x80",
            b"\xed\xa0\x80\xff",
        ] {
            assert_eq!(escape_utf8(bytes), None);
        }
    }

    #[test]
    fn raw_unicode_escapes_are_read_as_by_python() {
        let known: [(&[u8], &str); 6] = [
            (b"a\xe9", r"a\u00e9"),
            (br"\u005c\u000a", r"\\\n"),
            (br"\U0001f600\ud800", r"\ud83d\ude00\ud800"),
            (br"\\u0041", r"\\\\u0041"),
            (br"\x41", r"\\x41"),
            (b"\\", r"\\"),
        ];
        for (bytes, escaped) in known {
            assert_eq!(escape_raw_unicode(bytes).as_deref(), Some(escaped));
        }
        for bytes in [&br"\u12"[..], br"\u12g4", br"\U00110000", br"\U0001f60"] {
            assert_eq!(escape_raw_unicode(bytes), None);
        }
    }

    proptest! {
        #[test]
        fn any_string_survives(text: String) {
            let escaped = escape_utf8(text.as_bytes()).expect("UTF-8");
            prop_assert_eq!(&*unescape_to_utf8(&escaped), text.as_bytes());
        }
    }
}
