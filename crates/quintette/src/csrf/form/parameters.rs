/// A parameter of a header such as `Content-Type: multipart/form-data; boundary="x"`; `None` where there is none.
pub(super) fn parameter(header: &str, name: &str) -> Option<String> {
    let (_, mut rest) = header.split_once(';')?;
    loop {
        let (key, after) = rest.split_once('=')?;
        // A parameter without a value: what follows its semicolon is the next one.
        let key = key.rsplit(';').next().unwrap_or(key).trim();
        let (value, after) = value(after.trim_start());
        if key.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after;
    }
}

/// A value, quoted or not, and what stands behind its semicolon.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_once(';').unwrap_or((text, ""));
        return (value.trim_end().to_owned(), rest);
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => {
                let rest = &quoted[at + 1..];
                return (value, rest.split_once(';').map_or("", |(_, rest)| rest));
            }
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            letter => value.push(letter),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_quoted_or_not() {
        for (header, found) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            (
                "multipart/form-data;boundary=\"a;b\\\"c\"; x=y",
                Some("a;b\"c"),
            ),
            (
                "multipart/form-data; charset=utf-8; Boundary = abc ; x",
                Some("abc"),
            ),
            ("multipart/form-data; flag; boundary=abc", Some("abc")),
            (
                "multipart/form-data; x=\"boundary=no\"; boundary=yes",
                Some("yes"),
            ),
            ("multipart/form-data; xboundary=abc", None),
            ("multipart/form-data; boundary", None),
            ("multipart/form-data; boundary=\"open", Some("open")),
            ("multipart/form-data; boundary=\"open\\", Some("open")),
            ("boundary=abc", None),
            ("", None),
        ] {
            assert_eq!(parameter(header, "boundary").as_deref(), found, "{header}");
        }
    }
}
