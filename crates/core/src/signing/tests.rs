//! Texts signed by Django 5.2.19 and 4.2.30, which agree but for signed cookies.

#![allow(clippy::similar_names)] // a signer signs what is signed

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "a \"sécret\" key";

fn keys() -> Keys {
    Keys::new(SECRET)
}

/// When the vectors were signed.
fn then() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_760_000_000_900).expect("a valid time")
}

#[test]
fn signatures_are_those_of_django() {
    let signers = [
        (
            "greeting",
            "héllo: wörld",
            "héllo: wörld:FFaKhPC_nnaPSLfDUKm-6hrD5aklBdxGmHSsZ93FYk8",
        ),
        ("", "", ":PsnCC70LSa-rDQKKAsA4GmF6iTM8i6DFanSDMTnfwnI"),
        ("", "a", "a:kVOHGDONlOvNnI1wCyvIznYMoyP3KvN3ymfBC4M_pO4"),
    ];
    for (salt, text, signed) in signers {
        let signer = Signer::new(&keys(), salt);
        assert_eq!(signer.sign(text), signed);
        assert_eq!(signer.unsign(signed).expect("signed"), text);
    }
}

#[test]
fn salted_hmacs_are_those_of_django() {
    let salt = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash";
    let mac = salted_hmac(salt, "pbkdf2_sha256$x", &SECRET.into());
    let expected = "eb3fa0b7d783b8391b46279918a919b8fd295bf685fc2155a8d2d36559f332db";
    let byte = |at| u8::from_str_radix(&expected[at..at + 2], 16).expect("hexadecimal");
    assert_eq!(
        mac.to_vec(),
        (0..64).step_by(2).map(byte).collect::<Vec<_>>()
    );
}

#[test]
fn another_separator_signs_the_same_text() {
    let signer = Signer::new(&keys(), "s")
        .with_separator('/')
        .expect("a safe separator");
    let signed = "a/NjNjoTiXnb_3rAU6fTZSJ2bKREHiZYWA23A4B5t2aR4";
    assert_eq!(signer.sign("a"), signed);
    assert_eq!(signer.unsign(signed).expect("signed"), "a");
    let replaced = signed.replace('/', ":");
    assert!(matches!(
        signer.unsign(&replaced),
        Err(SignatureError::Unsigned)
    ));
}

#[test]
fn separators_are_refused_where_django_refuses_them() {
    let refused = "\n-0123456789=ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz";
    for separator in '\0'..='\u{100}' {
        let signer = Signer::new(&keys(), "s").with_separator(separator);
        assert_eq!(
            signer.is_err(),
            refused.contains(separator),
            "{separator:?}"
        );
    }
}

#[test]
fn timestamps_are_those_of_django() {
    let signers = [
        (
            "t",
            "value:1v6mOm:9iMQ1eRTjJQxBv6_mLCHQCtY27ConyWzcYFBlXsdkuY",
        ),
        (
            "",
            "value:1v6mOm:RA_VRzIbLQ9d65uEwIKUPNHxAneGaBDRaG-BA1jQX9g",
        ),
    ];
    for (salt, signed) in signers {
        let signer = TimestampSigner::new(&keys(), salt);
        assert_eq!(signer.sign_at("value", then()), signed);
        assert_eq!(signer.unsign(signed, None).expect("signed"), "value");
        let timestamp = signer.timestamp(signed).expect("signed");
        assert_eq!(timestamp.timestamp(), 1_760_000_000);
    }
}

#[test]
fn times_before_1970_are_those_of_django() {
    let signer = TimestampSigner::new(&keys(), "t");
    let at = |millis| DateTime::from_timestamp_millis(millis).expect("a valid time");
    assert_eq!(
        signer.sign_at("v", at(-1_500)),
        "v:-1:NgoXHT1Cw7iwjNRBpt43CS_y_qEo7OBx2UMAmNCulCU"
    );
    assert_eq!(
        signer.sign_at("v", at(-100_500)),
        "v:-1c:C1j94_lbtMBO2w0f-UpYk2gKqrcg6i1QFzBzb14Inik"
    );
}

#[test]
fn what_is_too_old_is_refused_and_says_how_old() {
    let signer = TimestampSigner::new(&keys(), "t");
    let signed = signer.sign_at("v", Utc::now() - TimeDelta::hours(2));
    assert_eq!(signer.unsign(&signed, None).expect("signed"), "v");
    assert!(signer.unsign(&signed, Some(TimeDelta::hours(3))).is_ok());
    match signer.unsign(&signed, Some(TimeDelta::hours(1))) {
        Err(SignatureError::Expired { age, max_age }) => {
            assert!(age >= TimeDelta::hours(2));
            assert_eq!(max_age, TimeDelta::hours(1));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_signed_in_the_future_is_accepted_as_by_django() {
    let signer = TimestampSigner::new(&keys(), "t");
    let signed = signer.sign_at("v", Utc::now() + TimeDelta::days(9));
    assert!(signer.unsign(&signed, Some(TimeDelta::zero())).is_ok());
}

#[test]
fn a_right_signature_without_a_time_is_not_enough() {
    let untimed = Signer::new(&keys(), "t");
    let signer = TimestampSigner::new(&keys(), "t");
    for text in ["", "v", "v:", "v:t!", "v:--1", "v:99999999999999"] {
        assert!(
            matches!(
                signer.unsign(&untimed.sign(text), None),
                Err(SignatureError::BadTimestamp)
            ),
            "{text}"
        );
    }
}

#[test]
fn objects_are_those_of_django() {
    let signed = "eyJrIjpbMSwyLjUsbnVsbCwiXHUwMGU5XHVkODNkXHVkZTAwIl19:1v6mOm:yGY25JzYKLA1fNKBr9dAoRT3zwUYe9ZRSiMB7_JQpNk";
    let signer = TimestampSigner::new(&keys(), DEFAULT_SALT);
    let payload = br#"{"k":[1,2.5,null,"\u00e9\ud83d\ude00"]}"#;
    assert_eq!(
        signer.sign_at(&payload::encode(payload, false), then()),
        signed
    );
    let value: Value = loads(&keys(), DEFAULT_SALT, signed, None).expect("signed");
    assert_eq!(value, json!({"k": [1, 2.5, null, "é😀"]}));
    let mine = dumps(&keys(), DEFAULT_SALT, &value, false).expect("JSON");
    assert!(mine.starts_with("eyJrIjpbMSwyLjUsbnVsbCwiXHUwMGU5XHVkODNkXHVkZTAwIl19:"));
}

#[test]
fn compressed_objects_of_django_are_read() {
    let compressed =
        ".eJyrVspWsopWqqioUNIZMWRsLQDADkwu:1v6mOm:UJOAqMNeoY8dxZrx5V_qxoTuptvsh4ooJYXpqYf0kao";
    let value: Value = loads(&keys(), "z", compressed, None).expect("signed");
    assert_eq!(value, json!({"k": vec!["xxx"; 40]}));
    let incompressible = "ImEi:1v6mOm:FKN0wzPuNmnbs4JgwxYLem_9Ue8Ofg830pX7p-k88tQ";
    let value: String = loads(&keys(), "z", incompressible, None).expect("signed");
    assert_eq!(value, "a");
}

#[test]
fn raw_utf_8_is_read_as_latin_1_as_django_does() {
    let signed = TimestampSigner::new(&keys(), "z").sign_bytes("\"é\"".as_bytes(), false);
    let value: String = loads(&keys(), "z", &signed, None).expect("signed");
    assert_eq!(value, "Ã©");
}

#[test]
fn a_payload_that_cannot_be_read_says_why() {
    let signer = TimestampSigner::new(&keys(), "z");
    let read = |signed: String| match loads::<u8>(&keys(), "z", &signed, None) {
        Err(SignatureError::Payload(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(read(signer.sign("?")), PayloadError::Base64));
    assert!(matches!(read(signer.sign(".AAAA")), PayloadError::Zlib));
    assert!(matches!(
        read(signer.sign_bytes(b"{", false)),
        PayloadError::Json(_)
    ));
    assert!(matches!(
        read(signer.sign_bytes(b"{}", false)),
        PayloadError::Shape(_)
    ));
}

#[test]
fn a_fallback_is_accepted_and_never_signs() {
    let old = Signer::new(&Keys::new("old"), "s");
    let rotated = Keys::new("new").with_fallbacks(["older", "old"]);
    let rotated = Signer::new(&rotated, "s");
    assert_eq!(rotated.unsign(&old.sign("v")).expect("a fallback"), "v");
    assert!(matches!(
        old.unsign(&rotated.sign("v")),
        Err(SignatureError::Mismatch)
    ));
}

#[test]
fn another_salt_or_key_is_a_mismatch() {
    let signed = Signer::new(&keys(), "s").sign("v");
    for signer in [Signer::new(&keys(), "S"), Signer::new(&Keys::new("k"), "s")] {
        assert!(matches!(
            signer.unsign(&signed),
            Err(SignatureError::Mismatch)
        ));
    }
}

#[test]
fn another_spelling_of_the_signature_is_a_mismatch() {
    let signer = Signer::new(&keys(), "s");
    let signed = signer.sign("v");
    let last = signed.chars().last().expect("a signature");
    for spelling in [
        format!("{signed}="),
        format!("{signed} "),
        signed[..44].to_owned(),
    ] {
        assert!(signer.unsign(&spelling).is_err(), "{spelling}");
    }
    // The last character has two bits to spare: four spellings decode to the same bytes.
    for other in ('0'..='z').filter(|char| *char != last) {
        assert!(signer.unsign(&format!("{}{other}", &signed[..44])).is_err());
    }
}

#[test]
fn cookies_are_signed_as_django_signs_them() {
    let default = "v:1v6mOm:koqN1c7NSICpV4vPSTq3PSicziDvCeD7kVZ52TOiKqo";
    let signer = cookie_signer(&keys(), COOKIE_SIGNER_SALT);
    assert_eq!(signer.sign_at("v", then()), default);

    let current = "dark:1v6mOm:4QNJM-ZzjPb48hoiPIu62Z4M9Ea_kiV2tTyWxbu17u4";
    let signer = cookie_signer(&keys(), &cookie_salt("theme", "pépper"));
    assert_eq!(signer.sign_at("dark", then()), current);
    let read = unsign_cookie(&keys(), "theme", "pépper", current, None, false);
    assert_eq!(read.expect("signed"), "dark");
}

#[test]
fn cookies_of_earlier_django_are_read_while_that_is_allowed() {
    let legacy = "dark:1v6mOm:0N6zPIu4s_W5CgFd_vdCrQuMnuF7lSkGsA77xPHin_4";
    let read = |fallback| unsign_cookie(&keys(), "theme", "pepper", legacy, None, fallback);
    assert_eq!(read(true).expect("signed"), "dark");
    assert!(matches!(read(false), Err(SignatureError::Mismatch)));
}

#[test]
fn secrets_are_not_printed() {
    let keys = Keys::new("hunter2").with_fallbacks(["swordfish"]);
    let signer = TimestampSigner::new(&keys, "s");
    let printed = format!("{keys:?} {signer:?} {:?}", keys.secret());
    assert!(!printed.contains("hunter2") && !printed.contains("swordfish"));
}

proptest! {
    #[test]
    fn any_text_survives_signing(text: String, salt: String) {
        let signer = TimestampSigner::new(&keys(), &salt);
        let signed = signer.sign(&text);
        prop_assert_eq!(signer.unsign(&signed, Some(TimeDelta::hours(1))).expect("signed"), text);
    }

    #[test]
    fn any_payload_survives_signing(payload: Vec<u8>, repeat in 1_usize..40, compress: bool) {
        let payload = payload.repeat(repeat);
        let signer = TimestampSigner::new(&keys(), "s");
        let signed = signer.sign_bytes(&payload, compress);
        prop_assert_eq!(signer.unsign_bytes(&signed, None).expect("signed"), payload);
    }

    #[test]
    fn no_text_is_accepted_that_was_not_signed(text: String) {
        prop_assert!(Signer::new(&keys(), "s").unsign(&text).is_err());
        prop_assert!(TimestampSigner::new(&keys(), "s").unsign_bytes(&text, None).is_err());
    }

    #[test]
    fn any_signed_text_is_a_payload_or_an_error(text in ".{0,40}|\\.?[A-Za-z0-9_=-]{0,60}") {
        let signer = TimestampSigner::new(&keys(), "s");
        let _ = signer.unsign_bytes(&signer.sign(&text), None);
        let _ = loads::<Value>(&keys(), "s", &signer.sign(&text), None);
    }
}
