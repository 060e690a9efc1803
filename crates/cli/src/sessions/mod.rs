//! `quintette sessions`.

mod device;
mod find;
pub(crate) mod json_text;
pub(crate) mod list;
mod of_user;
pub(crate) mod revoke;
pub(crate) mod show;

use quintette::sessions::SessionData;

/// Under which key Django notes who is logged in (`SESSION_KEY` of django/contrib/auth/__init__.py).
const USER_KEY: &str = "_auth_user_id";

/// How many characters of a key are shown: enough to tell sessions apart, and 24 too few to be that visitor.
const SHOWN: usize = 8;

/// The beginning of a key: 8 of Django's 32 characters, and no more than a quarter of any other.
fn shortened(key: &str) -> String {
    key.chars()
        .take(SHOWN.min(key.chars().count() / 4))
        .collect()
}

/// Whose session it is, where somebody is logged in.
fn user(data: &SessionData) -> Option<String> {
    let raw = data.json(USER_KEY)?;
    // Django writes it as text; another program may write the number.
    Some(
        raw.deserialize()
            .unwrap_or_else(|_| raw.as_str().to_owned()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown_whole() {
        assert_eq!(shortened("0123456789abcdef0123456789abcdef"), "01234567");
        assert_eq!(shortened("12345678"), "12");
        assert_eq!(shortened("열두글자가되는열쇠입니다"), "열두글");
    }

    #[test]
    fn a_user_is_text_or_a_number() {
        let user_in = |json: &[u8]| user(&SessionData::from_json(json).unwrap());
        assert_eq!(user_in(br#"{"_auth_user_id":"42"}"#).as_deref(), Some("42"));
        assert_eq!(user_in(br#"{"_auth_user_id":42}"#).as_deref(), Some("42"));
        assert_eq!(user_in(br#"{"n":42}"#), None);
    }
}
