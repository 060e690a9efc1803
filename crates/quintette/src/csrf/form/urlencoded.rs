/// The field of an urlencoded form; the last one, where there are several. Empty where there is none, as in Django.
pub(super) fn field(form: &[u8], name: &str) -> String {
    let named = |pair: &&[u8]| {
        let (key, _) = split(pair);
        // Three bytes for one at the most: what is longer is not worth decoding.
        key.len() <= 3 * name.len() && decode(key) == name.as_bytes()
    };
    let found = form.split(|byte| *byte == b'&').rfind(named);
    let value = found.map(|pair| decode(split(pair).1)).unwrap_or_default();
    String::from_utf8_lossy(&value).into_owned()
}

fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|byte| *byte == b'=') {
        Some(equals) => (&pair[..equals], &pair[equals + 1..]),
        None => (pair, &[]),
    }
}

fn decode(mut text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    while let [byte, rest @ ..] = text {
        text = rest;
        match (byte, rest) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, rest @ ..]) => {
                if let (Some(high), Some(low)) = (hex(*high), hex(*low)) {
                    decoded.push(high << 4 | low);
                    text = rest;
                } else {
                    decoded.push(b'%');
                }
            }
            _ => decoded.push(*byte),
        }
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(form: &str) -> String {
        field(form.as_bytes(), "csrfmiddlewaretoken")
    }

    /// What Django 5.2's `QueryDict(form).get("csrfmiddlewaretoken", "")` gives.
    #[test]
    fn the_field_is_found_as_django_finds_it() {
        for (form, value) in [
            ("csrfmiddlewaretoken=abc", "abc"),
            ("a=b&csrfmiddlewaretoken=abc&c=d", "abc"),
            ("csrfmiddlewaretoken=abc&csrfmiddlewaretoken=def", "def"),
            ("csrfmiddlewaretoken=abc&csrfmiddlewaretoken=", ""),
            ("csrfmiddlewaretoken=abc&csrfmiddlewaretoken", ""),
            ("csrf%6Diddlewaretoken=%41+%2B%", "A +%"),
            ("csrfmiddlewaretoken=%zz%4", "%zz%4"),
            ("csrfmiddlewaretoken=a=b", "a=b"),
            ("csrfmiddlewaretoken=%ff", "\u{fffd}"),
            ("xcsrfmiddlewaretoken=abc", ""),
            ("csrfmiddlewaretoken =abc", ""),
            ("a=b;csrfmiddlewaretoken=abc", ""),
            ("", ""),
            ("&&=", ""),
        ] {
            assert_eq!(token(form), value, "{form}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_is_a_panic(form in "[csrfmidlewatokn%=&+a6D]{0,60}", bytes: Vec<u8>) {
            token(&form);
            field(&bytes, "csrfmiddlewaretoken");
        }

        #[test]
        fn a_field_survives_being_encoded(value: Vec<u8>, before in "[a-z=&]{0,9}") {
            let encoded: Vec<String> = value.iter().map(|byte| format!("%{byte:02x}")).collect();
            let encoded = encoded.concat();
            let form = format!("{before}&csrfmiddlewaretoken={encoded}&x");
            prop_assert_eq!(token(&form), String::from_utf8_lossy(&value));
        }
    }
}
