//! Whatever a pickle says, what is read from it is JSON, and can be written and read again.

#![no_main]

use indexmap::IndexMap;
use libfuzzer_sys::fuzz_target;
use quintette_core::json::{RawJson, parse_object, write_object};
use quintette_core::pickle::{Decoded, decode_dict, encode_dict};

fuzz_target!(|data: &[u8]| {
    let Ok(Some(members)) = decode_dict(data) else {
        return;
    };
    let plain: IndexMap<Box<str>, RawJson> = members
        .into_iter()
        .filter_map(|(key, value)| match value {
            Decoded::Json(json) => Some((key, json)),
            Decoded::Foreign(_) => None,
        })
        .collect();
    let text = write_object(plain.iter().map(|(key, value)| (&**key, value)));
    assert_eq!(parse_object(text.as_bytes()).as_ref(), Ok(&plain));

    let pickle = encode_dict(plain.iter().map(|(key, value)| (&**key, value)));
    let again = decode_dict(&pickle)
        .expect("what was written can be read")
        .expect("a dict");
    assert!(again.keys().eq(plain.keys()));
    for (key, value) in again {
        assert_eq!(value, Decoded::Json(plain[&key].clone()));
    }
});
