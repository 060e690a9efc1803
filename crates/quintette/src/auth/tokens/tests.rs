//! Against what Django 5.2.19 makes (4.2.30 makes the same): `fixtures.json`, made by `fixtures.py`.

use chrono_tz::Tz;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Fixtures {
    reset: Vec<Token>,
    session_hashes: Vec<SessionHash>,
    base36: Vec<(String, String)>,
    base64: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Token {
    zone: String,
    use_tz: bool,
    key: String,
    now: String,
    user: User,
    made: String,
}

#[derive(Deserialize)]
struct User {
    id: String,
    password: String,
    last_login: Option<String>,
    email: Option<String>,
}

#[derive(Deserialize)]
struct SessionHash {
    password: String,
    key: String,
    hash: String,
}

fn fixtures() -> Fixtures {
    serde_json::from_str(include_str!("fixtures.json")).unwrap()
}

fn time(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn generator(keys: &Keys) -> PasswordResetTokenGenerator {
    let time_zone = TimeZone {
        use_tz: true,
        zone: Tz::America__Chicago,
    };
    PasswordResetTokenGenerator::new(keys, time_zone)
}

const JANE: TokenUser<'static> = TokenUser {
    id: "42",
    password: "md5$salt$hash",
    last_login: None,
    email: Some("jane@example.com"),
};

#[test]
fn every_token_of_django_is_made_here_and_good_here() {
    for token in fixtures().reset {
        let time_zone = TimeZone {
            use_tz: token.use_tz,
            zone: token.zone.parse().unwrap(),
        };
        let generator = PasswordResetTokenGenerator::new(&Keys::new(token.key), time_zone);
        let user = TokenUser {
            id: &token.user.id,
            password: &token.user.password,
            last_login: token.user.last_login.as_deref().map(time),
            email: token.user.email.as_deref(),
        };
        let now = time(&token.now);
        assert_eq!(generator.make_token_at(&user, now), token.made);
        assert!(generator.check_token_at(&user, &token.made, now));
    }
}

#[test]
fn a_token_is_void_once_what_it_is_bound_to_has_changed() {
    let generator = generator(&Keys::new("secret"));
    let token = generator.make_token(&JANE);
    assert!(generator.check_token(&JANE, &token));
    let login = Some(time("2026-01-02T03:04:05Z"));
    for other in [
        TokenUser { id: "43", ..JANE },
        TokenUser {
            password: "md5$salt$other",
            ..JANE
        },
        TokenUser {
            last_login: login,
            ..JANE
        },
        TokenUser {
            email: Some("joan@example.com"),
            ..JANE
        },
        TokenUser {
            email: None,
            ..JANE
        },
    ] {
        assert!(!generator.check_token(&other, &token));
    }
}

#[test]
fn a_token_ends_when_its_time_is_over_and_no_second_earlier() {
    let made = time("2026-06-01T12:00:00Z");
    let generator = generator(&Keys::new("secret")).with_timeout(TimeDelta::seconds(60));
    let token = generator.make_token_at(&JANE, made);
    for (seconds, good) in [
        (-3_600, true),
        (0, true),
        (60, true),
        (61, false),
        (1_000_000, false),
    ] {
        let now = made + TimeDelta::seconds(seconds);
        assert_eq!(
            generator.check_token_at(&JANE, &token, now),
            good,
            "{seconds}"
        );
    }
}

#[test]
fn a_token_of_an_earlier_key_is_good_while_the_key_is_a_fallback() {
    let token = generator(&Keys::new("old")).make_token(&JANE);
    let new = Keys::new("new");
    assert!(!generator(&new).check_token(&JANE, &token));
    let rotated = new.with_fallbacks(["older", "old"]);
    assert!(generator(&rotated).check_token(&JANE, &token));
    let token = generator(&rotated).make_token(&JANE);
    assert!(generator(&Keys::new("new")).check_token(&JANE, &token));
}

#[test]
fn a_forged_token_is_refused() {
    let generator = generator(&Keys::new("secret"));
    let token = generator.make_token(&JANE);
    let (seconds, digits) = token.split_once('-').unwrap();
    let later = int_to_base36(base36_to_int(seconds).unwrap() + 1);
    for forged in [
        String::new(),
        "-".to_owned(),
        seconds.to_owned(),
        format!("{seconds}-"),
        format!("-{digits}"),
        format!("{later}-{digits}"),
        format!("0{token}"),
        format!("+{token}"),
        format!("{}-{digits}", seconds.to_uppercase()),
        format!("{seconds}-{}", digits.to_uppercase()),
        format!("{token}-"),
        format!("{token}0"),
        format!("zzzzzzzzzzzzz-{digits}"),
        format!("{seconds}-{}", "0".repeat(100_000)),
        "é-é".to_owned(),
    ] {
        assert!(!generator.check_token(&JANE, &forged), "{forged}");
    }
}

#[test]
fn a_sessions_hash_is_djangos() {
    for known in fixtures().session_hashes {
        let keys = Keys::new(known.key.clone());
        assert_eq!(session_auth_hash(&known.password, &keys), known.hash);
        let keys = Keys::new("new").with_fallbacks(["other".to_owned(), known.key]);
        let fallbacks: Vec<_> = session_auth_fallback_hashes(&known.password, &keys).collect();
        assert_eq!(fallbacks[1], known.hash);
        assert_ne!(session_auth_hash(&known.password, &keys), known.hash);
    }
}

#[test]
fn numbers_and_bytes_in_urls_are_djangos() {
    for (number, text) in fixtures().base36 {
        let number = number.parse().unwrap();
        assert_eq!(int_to_base36(number), text);
        assert_eq!(base36_to_int(&text), Some(number));
    }
    for (bytes, text) in fixtures().base64 {
        assert_eq!(urlsafe_base64_encode(&bytes), text);
        assert_eq!(urlsafe_base64_decode(&text), Some(bytes.into_bytes()));
    }
}

#[test]
fn what_is_no_number_and_no_base_64_is_none() {
    for text in [
        "",
        "-1",
        "+1",
        "1_0",
        " 1",
        "é",
        "3w5e11264sgsg",
        "zzzzzzzzzzzzz",
        "00000000000000",
    ] {
        assert_eq!(base36_to_int(text), None, "{text}");
    }
    assert_eq!(base36_to_int("21I3V9"), Some(123_456_789));
    for text in ["A", "MQ!", "M Q", "M+/=", "é", "MR"] {
        assert_eq!(urlsafe_base64_decode(text), None, "{text}");
    }
    assert_eq!(urlsafe_base64_decode("MQ=="), Some(b"1".to_vec()));
}

#[test]
fn a_user_in_a_log_shows_no_secret() {
    let shown = format!("{JANE:?}");
    assert!(
        shown.contains("42") && !shown.contains("salt") && !shown.contains('@'),
        "{shown}"
    );
}
