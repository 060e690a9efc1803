//! `MESSAGE_STORAGE`, `MESSAGE_LEVEL` and `MESSAGE_TAGS`.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::value;

/// Where messages wait for the next page: `MESSAGE_STORAGE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MessageStorageName {
    /// `django.contrib.messages.storage.fallback.FallbackStorage`: the cookie, and the session for what does not fit. Django's default.
    #[default]
    Fallback,
    /// `django.contrib.messages.storage.cookie.CookieStorage`: a signed cookie.
    Cookie,
    /// `django.contrib.messages.storage.session.SessionStorage`: the session.
    Session,
}

impl MessageStorageName {
    const ALL: [Self; 3] = [Self::Fallback, Self::Cookie, Self::Session];

    /// The name of the storage's module in Django, such as `fallback`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fallback => "fallback",
            Self::Cookie => "cookie",
            Self::Session => "session",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|storage| {
                let name = storage.name();
                let class = format!("{}{}Storage", name[..1].to_uppercase(), &name[1..]);
                text == name || text == format!("django.contrib.messages.storage.{name}.{class}")
            })
            .ok_or_else(|| {
                "write \"django.contrib.messages.storage.fallback.FallbackStorage\", \"….cookie.CookieStorage\" or \
                 \"….session.SessionStorage\""
                    .to_owned()
            })
    }
}

impl fmt::Display for MessageStorageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The names that Django gives to the levels (django/contrib/messages/constants.py).
const LEVELS: [(&str, i64); 5] = [
    ("DEBUG", 10),
    ("INFO", 20),
    ("SUCCESS", 25),
    ("WARNING", 30),
    ("ERROR", 40),
];

pub(super) fn level(value: &Value) -> Result<i64, String> {
    let named = value.as_str().and_then(|text| {
        let found = LEVELS
            .iter()
            .find(|(name, _)| text.eq_ignore_ascii_case(name));
        found.map(|(_, level)| *level)
    });
    named.map_or_else(
        || value::integer(value).map_err(|_| "write a level, such as 20 or \"INFO\"".to_owned()),
        Ok,
    )
}

/// A table from levels to tags; its keys are strings, since those of JSON and TOML are.
pub(super) fn tags(value: &Value) -> Result<BTreeMap<i64, String>, String> {
    const WANTED: &str = "write a table from levels to tags, such as {\"40\": \"danger\"}";
    if value::is_unset(value) {
        return Ok(BTreeMap::new());
    }
    let table = value.as_object().ok_or(WANTED)?;
    table
        .iter()
        .map(|(key, tag)| {
            let tag = tag.as_str().ok_or(WANTED)?;
            Ok((
                level(&Value::from(key.as_str())).map_err(|_| WANTED)?,
                tag.to_owned(),
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_storage_is_named_by_djangos_path_or_by_its_module() {
        for storage in MessageStorageName::ALL {
            assert_eq!(MessageStorageName::parse(storage.name()), Ok(storage));
        }
        assert_eq!(
            MessageStorageName::parse("django.contrib.messages.storage.session.SessionStorage"),
            Ok(MessageStorageName::Session)
        );
        assert!(
            MessageStorageName::parse("django.contrib.messages.storage.session.CookieStorage")
                .is_err()
        );
    }

    #[test]
    fn levels_have_numbers_and_names() {
        assert_eq!(level(&json!(12)), Ok(12));
        assert_eq!(level(&json!("warning")), Ok(30));
        assert!(level(&json!("loud")).is_err());
        assert_eq!(
            tags(&json!({"40": "danger", "INFO": ""})).unwrap()[&40],
            "danger"
        );
        assert!(tags(&json!({"x": "y"})).is_err() && tags(&json!([])).is_err());
    }
}
