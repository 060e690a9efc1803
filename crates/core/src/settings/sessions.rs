//! `SESSION_ENGINE` and `SESSION_SERIALIZER`: Django's dotted paths, and what they name here.

use std::fmt;

/// Which of Django's five engines keeps the sessions: `SESSION_ENGINE`.
///
/// Written as in Django (`"django.contrib.sessions.backends.cached_db"`) or by the last word alone (`"cached_db"`). An
/// engine of the application's own is handed over in code, not named in a setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SessionEngineName {
    /// `django.contrib.sessions.backends.db`: a row of the table `django_session`. Django's default.
    #[default]
    Db,
    /// `django.contrib.sessions.backends.cache`: an entry of the cache `SESSION_CACHE_ALIAS` names.
    Cache,
    /// `django.contrib.sessions.backends.cached_db`: a row, and a copy of it in that cache.
    CachedDb,
    /// `django.contrib.sessions.backends.file`: a file in `SESSION_FILE_PATH`.
    File,
    /// `django.contrib.sessions.backends.signed_cookies`: the cookie itself.
    SignedCookies,
}

impl SessionEngineName {
    const ALL: [Self; 5] = [
        Self::Db,
        Self::Cache,
        Self::CachedDb,
        Self::File,
        Self::SignedCookies,
    ];

    /// The name of the engine's module in Django, such as `cached_db`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Db => "db",
            Self::Cache => "cache",
            Self::CachedDb => "cached_db",
            Self::File => "file",
            Self::SignedCookies => "signed_cookies",
        }
    }

    /// Whether the engine uses the cache that `SESSION_CACHE_ALIAS` names.
    pub fn uses_cache(self) -> bool {
        matches!(self, Self::Cache | Self::CachedDb)
    }

    /// Whether the engine uses the database.
    pub fn uses_database(self) -> bool {
        matches!(self, Self::Db | Self::CachedDb)
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let name = text
            .strip_prefix("django.contrib.sessions.backends.")
            .unwrap_or(text);
        Self::ALL
            .into_iter()
            .find(|engine| engine.name() == name)
            .ok_or_else(|| {
                "write \"django.contrib.sessions.backends.\" and one of db, cache, cached_db, file, signed_cookies; \
                 an engine of your own is handed to the session layer in code"
                    .to_owned()
            })
    }
}

impl fmt::Display for SessionEngineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a session's data becomes text: `SESSION_SERIALIZER`.
///
/// A serializer of the application's own is handed over in code, not named in a setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SerializerName {
    /// `django.contrib.sessions.serializers.JSONSerializer`. Django's default.
    #[default]
    Json,
    /// `django.contrib.sessions.serializers.PickleSerializer`, which Django had up to 4.2. Plain values are read and written, others read by name; nothing is executed.
    Pickle,
}

impl SerializerName {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            // The second is where Django itself imports the first from.
            "django.contrib.sessions.serializers.JSONSerializer" | "django.core.signing.JSONSerializer" | "json" => {
                Ok(Self::Json)
            }
            "django.contrib.sessions.serializers.PickleSerializer"
            | "django.core.serializers.base.PickleSerializer"
            | "pickle" => Ok(Self::Pickle),
            _ => Err(
                "write \"django.contrib.sessions.serializers.JSONSerializer\" or \"…PickleSerializer\"; \
                 a serializer of your own is set in code"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_named_by_djangos_path_or_by_its_last_word() {
        for engine in SessionEngineName::ALL {
            let path = format!("django.contrib.sessions.backends.{engine}");
            assert_eq!(SessionEngineName::parse(&path), Ok(engine));
            assert_eq!(SessionEngineName::parse(engine.name()), Ok(engine));
        }
        for wrong in [
            "",
            "DB",
            "redis",
            "django.contrib.sessions.backends.",
            "myproject.sessions",
        ] {
            assert!(SessionEngineName::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_serializer_of_ones_own_is_pointed_to_the_code() {
        assert_eq!(
            SerializerName::parse("django.contrib.sessions.serializers.JSONSerializer"),
            Ok(SerializerName::Json)
        );
        assert_eq!(
            SerializerName::parse("django.contrib.sessions.serializers.PickleSerializer"),
            Ok(SerializerName::Pickle)
        );
        assert!(
            SerializerName::parse("shop.OwnSerializer")
                .unwrap_err()
                .contains("in code")
        );
    }
}
