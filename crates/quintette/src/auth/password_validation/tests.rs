//! Against what Django 5.2.19 says on Python 3.11 (4.2.30 says the same): `fixtures.json`, made by `fixtures.py`.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::*;

#[derive(Deserialize)]
struct Fixtures {
    users: Vec<Vec<(String, String, String)>>,
    passwords: Vec<String>,
    validators: Vec<Judged>,
    digits: Vec<(u32, u32)>,
    numbers_but_no_digits: Vec<(u32, u32)>,
    words: Vec<(u32, u32)>,
    spaces: Vec<(u32, u32)>,
}

#[derive(Deserialize)]
struct Judged {
    name: String,
    options: Map<String, Value>,
    help_text: String,
    /// The password, the user's place in `users`, and the code and the message.
    refused: Vec<(String, usize, (String, String))>,
}

fn fixtures() -> Fixtures {
    serde_json::from_str(include_str!("fixtures.json")).unwrap()
}

fn setting(name: &str, options: &Value) -> Result<PasswordValidators, ValidatorConfigError> {
    let name = format!("django.contrib.auth.password_validation.{name}");
    PasswordValidators::from_setting([(&*name, options.as_object().unwrap())])
}

fn characters_of(ranges: &[(u32, u32)]) -> impl Iterator<Item = char> {
    ranges
        .iter()
        .flat_map(|(first, last)| *first..=*last)
        .filter_map(char::from_u32)
}

#[test]
fn every_password_is_refused_where_django_refuses_it_and_in_its_words() {
    let fixtures = fixtures();
    for judged in &fixtures.validators {
        let validators =
            PasswordValidators::from_setting([(&*judged.name, &judged.options)]).unwrap();
        assert_eq!(validators.help_texts().join(""), judged.help_text);
        let mut refused = Vec::new();
        for password in &fixtures.passwords {
            for (index, user) in fixtures.users.iter().enumerate() {
                let user: Vec<_> = user
                    .iter()
                    .map(|(name, verbose, value)| UserAttribute::new(name, verbose, value))
                    .collect();
                if let Err(invalid) = validators.validate_password(password, &user) {
                    let [reason] = invalid.reasons() else {
                        panic!("{invalid:?}");
                    };
                    let why = (reason.code().to_owned(), reason.message().to_owned());
                    refused.push((password.clone(), index, why));
                }
            }
        }
        assert_eq!(
            refused, judged.refused,
            "{} {:?}",
            judged.name, judged.options
        );
        assert!(!refused.is_empty());
    }
}

#[test]
fn letters_digits_and_spaces_are_pythons() {
    let fixtures = fixtures();
    for character in characters_of(&fixtures.digits) {
        assert!(characters::is_digit(character), "{character:?}");
    }
    for character in characters_of(&fixtures.numbers_but_no_digits) {
        assert!(!characters::is_digit(character), "{character:?}");
    }
    for character in characters_of(&fixtures.words) {
        assert!(characters::is_word(character), "{character:?}");
    }
    assert!(characters::is_word('²') && characters::is_word('_'));
    for other in ['\u{93f}', 'ⓐ', '\u{300}', '’', '🔑', '-'] {
        assert!(!characters::is_word(other), "{other:?}");
    }
    for character in characters_of(&fixtures.spaces) {
        assert_eq!(
            characters::strip(&character.to_string()),
            "",
            "{character:?}"
        );
    }
}

#[test]
fn everything_wrong_with_a_password_is_told_at_once() {
    let validators = PasswordValidators::recommended();
    let jane = [UserAttribute::new("username", "username", "1234")];
    let invalid = validators.validate_password("1234", &jane).unwrap_err();
    let codes: Vec<_> = invalid.reasons().iter().map(Reason::code).collect();
    assert_eq!(
        codes,
        [
            "password_too_similar",
            "password_too_short",
            "password_too_common",
            "password_entirely_numeric"
        ]
    );
    assert_eq!(invalid.to_string().lines().count(), 4);
    assert!(
        validators
            .validate_password("correct horse battery", &jane)
            .is_ok()
    );
    assert!(PasswordValidators::new().validate_password("", &[]).is_ok());
}

#[test]
fn a_common_password_is_refused_however_it_is_written() {
    let common = CommonPassword::new();
    for password in [
        "password",
        "PassWord",
        " password\u{a0}",
        "\u{1c}godzilla",
        "jennifer",
        "basketball",
    ] {
        let reason = common.validate(password, &[]).unwrap_err();
        assert_eq!(
            reason,
            Reason::new("password_too_common", "This password is too common.")
        );
    }
    assert!(common.validate("a-safe-password", &[]).is_ok());
    assert_eq!(
        common.help_text(),
        "Your password can’t be a commonly used password."
    );
    assert!(!format!("{common:?}").contains("godzilla"));
}

#[test]
fn a_list_of_ones_own_may_be_plain_or_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let text = "from-my-list\r\n other \rthird\n한국\n";
    let plain = folder.path().join("plain.txt");
    std::fs::write(&plain, text).unwrap();
    let compressed = folder.path().join("compressed");
    let mut encoder = GzEncoder::new(
        std::fs::File::create(&compressed).unwrap(),
        Compression::fast(),
    );
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap();

    for path in [plain, compressed] {
        let validators = setting(
            "CommonPasswordValidator",
            &json!({ "password_list_path": path }),
        )
        .unwrap();
        for password in ["from-my-list", "FROM-my-list ", "other", "third", "한국"] {
            assert!(
                validators.validate_password(password, &[]).is_err(),
                "{password}"
            );
        }
        assert!(validators.validate_password("password", &[]).is_ok());
    }
}

#[test]
fn a_list_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.txt");
    let error = CommonPassword::from_list(&path).unwrap_err().to_string();
    assert!(
        error.contains("AUTH_PASSWORD_VALIDATORS") && error.contains("none.txt"),
        "{error}"
    );
    std::fs::write(&path, b"\xff\xfe").unwrap();
    assert!(CommonPassword::from_list(&path).is_err());
    std::fs::write(&path, b"\x1f\x8bnot gzip").unwrap();
    assert!(CommonPassword::from_list(&path).is_err());
}

#[test]
fn a_wrong_setting_says_what_would_do() {
    for (name, options, told) in [
        ("EnigmaValidator", json!({}), "MinimumLengthValidator"),
        (
            "MinimumLengthValidator",
            json!({ "minimum": 8 }),
            "it has min_length",
        ),
        (
            "MinimumLengthValidator",
            json!({ "min_length": "long" }),
            "min_length is \"long\"",
        ),
        (
            "MinimumLengthValidator",
            json!({ "min_length": -1 }),
            "min_length is -1",
        ),
        (
            "NumericPasswordValidator",
            json!({ "min_length": 1 }),
            "no options",
        ),
        (
            "UserAttributeSimilarityValidator",
            json!({ "max_similarity": 0.09 }),
            "at least 0.1",
        ),
        (
            "UserAttributeSimilarityValidator",
            json!({ "max_similarity": null }),
            "a number",
        ),
        (
            "UserAttributeSimilarityValidator",
            json!({ "user_attributes": ["a", 1] }),
            "a list of names",
        ),
        (
            "CommonPasswordValidator",
            json!({ "password_list_path": 1 }),
            "the path of a file",
        ),
    ] {
        let error = setting(name, &options).unwrap_err().to_string();
        assert!(
            error.starts_with("AUTH_PASSWORD_VALIDATORS: ") && error.contains(told),
            "{error}"
        );
    }
}

#[test]
fn help_texts_are_a_list_in_html() {
    #[derive(Debug)]
    struct Ampersand;

    impl PasswordValidator for Ampersand {
        fn validate(&self, _password: &str, _user: &[UserAttribute<'_>]) -> Result<(), Reason> {
            Ok(())
        }

        fn help_text(&self) -> String {
            "Must contain &".to_owned()
        }
    }

    let validators = PasswordValidators::new()
        .with(Ampersand)
        .with(MinimumLength::new());
    assert_eq!(
        validators.help_text_html(),
        "<ul><li>Must contain &amp;</li><li>Your password must contain at least 8 characters.</li></ul>"
    );
    assert_eq!(PasswordValidators::new().help_text_html(), "");
}

#[test]
fn a_long_password_is_looked_at_quickly() {
    let value = "a ".repeat(127);
    let user = [UserAttribute::new("email", "email address", &value)];
    let password = "ab".repeat(500_000);
    assert!(
        PasswordValidators::recommended()
            .validate_password(&password, &user)
            .is_ok()
    );
}
