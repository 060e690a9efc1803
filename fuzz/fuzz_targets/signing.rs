//! Whatever is signed comes back, and whatever is not is refused.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use quintette_core::signing::{Keys, Signer, TimestampSigner};

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys::new("new").with_fallbacks(["old"]));
static TIMED: LazyLock<TimestampSigner> = LazyLock::new(|| TimestampSigner::new(&KEYS, "fuzz"));
static UNTIMED: LazyLock<Signer> = LazyLock::new(|| Signer::new(&KEYS, "fuzz"));

fuzz_target!(|data: &[u8]| {
    for compress in [false, true] {
        let signed = TIMED.sign_bytes(data, compress);
        let read = TIMED.unsign_bytes(&signed, None);
        assert!(read.is_ok_and(|payload| payload == data));
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    assert!(UNTIMED.unsign(text).is_err());
    let signed = UNTIMED.sign(text);
    assert!(UNTIMED.unsign(&signed).is_ok_and(|read| read == text));
    // A right signature on anything: the time and the payload are for the fuzzer to choose.
    let _ = TIMED.timestamp(&signed);
    let _ = TIMED.unsign_bytes(&signed, None);
});
