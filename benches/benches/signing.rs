//! Signing what a session of 1 KB holds.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use quintette_benches::standard::Standard;
use quintette_core::json::RawJson;
use quintette_core::signing::{Keys, TimestampSigner};

fn main() {
    divan::main();
}

fn signer() -> TimestampSigner {
    TimestampSigner::new(
        &Keys::new("a long and random text"),
        "django.contrib.sessions.SessionStore",
    )
}

/// The standard session, of 1 KB.
fn payload() -> String {
    let json = RawJson::from_value(&Standard::default()).expect("the standard session is JSON");
    json.as_str().to_owned()
}

#[divan::bench]
fn sign(bencher: Bencher) {
    let (signer, payload) = (signer(), payload());
    bencher
        .counter(BytesCount::of_str(&payload))
        .bench(|| signer.sign(black_box(&payload)));
}

#[divan::bench]
fn unsign(bencher: Bencher) {
    let (signer, payload) = (signer(), payload());
    let signed = signer.sign(&payload);
    bencher
        .counter(BytesCount::of_str(&payload))
        .bench(|| signer.unsign(black_box(&signed), None).map(str::len));
}

/// With base64, and compressed as stored sessions are.
#[divan::bench(args = [false, true])]
fn sign_bytes(bencher: Bencher, compress: bool) {
    let (signer, payload) = (signer(), payload());
    bencher
        .counter(BytesCount::of_str(&payload))
        .bench(|| signer.sign_bytes(black_box(payload.as_bytes()), compress));
}

#[divan::bench(args = [false, true])]
fn unsign_bytes(bencher: Bencher, compressed: bool) {
    let (signer, payload) = (signer(), payload());
    let signed = signer.sign_bytes(payload.as_bytes(), compressed);
    bencher
        .counter(BytesCount::of_str(&payload))
        .bench(|| signer.unsign_bytes(black_box(&signed), None));
}
