//! From the standard session to what is stored, and back.

use divan::{Bencher, black_box};
use quintette_benches::standard::Standard;
use quintette_core::json::RawJson;
use quintette_core::session::{Codec, SessionData};
use quintette_core::settings::Settings;

fn main() {
    divan::main();
}

fn json() -> String {
    let json = RawJson::from_value(&Standard::default()).expect("the standard session is JSON");
    json.as_str().to_owned()
}

fn data() -> SessionData {
    SessionData::from_json(json().as_bytes()).expect("the standard session is an object")
}

fn codec() -> Codec {
    Codec::new(&Settings::new("a long and random text"))
}

/// What the db, `cached_db` and file engines store: JSON, compressed, in base64, signed.
#[divan::bench]
fn encode(bencher: Bencher) {
    let (codec, data) = (codec(), data());
    bencher.bench(|| codec.encode(black_box(&data)));
}

#[divan::bench]
fn decode(bencher: Bencher) {
    let codec = codec();
    let stored = codec.encode(&data()).expect("the standard session is JSON");
    bencher.bench(|| codec.decode(black_box(&stored)));
}

#[divan::bench]
fn json_encode(bencher: Bencher) {
    let data = data();
    bencher.bench(|| black_box(&data).to_json());
}

#[divan::bench]
fn json_decode(bencher: Bencher) {
    let json = json();
    bencher.bench(|| SessionData::from_json(black_box(json.as_bytes())));
}

/// What the caches hold.
#[divan::bench]
fn pickle_encode(bencher: Bencher) {
    let data = data();
    bencher.bench(|| black_box(&data).to_pickle());
}

#[divan::bench]
fn pickle_decode(bencher: Bencher) {
    let pickle = data().to_pickle().expect("the standard session is JSON");
    bencher.bench(|| SessionData::from_pickle(black_box(&pickle)));
}
