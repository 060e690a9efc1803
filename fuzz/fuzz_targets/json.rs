//! What is read is written and read again the same, and what `serde_json` reads is read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quintette_core::json::{RawJson, escape_key, parse_object, unescape_key, write_object};
use serde_json::Value;
use serde_json::value::RawValue;

fuzz_target!(|data: &[u8]| {
    if let Ok(members) = parse_object(data) {
        let text = write_object(members.iter().map(|(key, value)| (&**key, value)));
        assert!(text.is_ascii());
        assert_eq!(parse_object(text.as_bytes()).as_ref(), Ok(&members));
        assert!(RawJson::parse_bytes(data).is_ok());
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    assert_eq!(unescape_key(&escape_key(text)), text);
    let _ = unescape_key(text);
    let Ok(json) = RawJson::parse(text) else {
        // serde_json sets no limit to integers, nor to the depth of what it does not convert.
        assert!(text.len() > 900 || serde_json::from_str::<Box<RawValue>>(text).is_err());
        return;
    };
    assert!(json.as_str().is_ascii());
    assert_eq!(RawJson::parse(json.as_str()).as_ref(), Ok(&json));
    if let Ok(value) = json.deserialize::<Value>() {
        let written = RawJson::from_value(&value).expect("what was read can be written");
        assert_eq!(written.deserialize::<Value>().expect("and read"), value);
    }
});
