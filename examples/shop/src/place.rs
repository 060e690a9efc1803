//! Where the sessions are, as the shop says it when it opens. No password is in it.

use quintette::settings::{
    CacheBackend, CacheSettings, DatabaseUrl, SessionEngineName, Settings, SqliteLocation,
};

/// Such as `cached_db, database: postgres://***@127.0.0.1:5432/shop, cache: redis://127.0.0.1:6379/0`.
pub fn place(settings: &Settings) -> String {
    let engine = settings.session_engine;
    match engine {
        SessionEngineName::Db => format!("{engine}, database: {}", database(settings)),
        SessionEngineName::CachedDb => format!(
            "{engine}, database: {}, cache: {}",
            database(settings),
            cache(settings)
        ),
        SessionEngineName::Cache => format!("{engine}, cache: {}", cache(settings)),
        SessionEngineName::File => {
            let directory = settings.session_file_path.as_deref();
            let directory = directory.map_or_else(std::env::temp_dir, std::path::Path::to_path_buf);
            format!("{engine}, directory: {}", directory.display())
        }
        SessionEngineName::SignedCookies => format!("{engine}, in the visitors' browsers"),
    }
}

fn database(settings: &Settings) -> String {
    match &settings.database_url {
        None => "none".to_owned(),
        Some(DatabaseUrl::Sqlite(SqliteLocation::File(path))) => path.display().to_string(),
        Some(url) => url.to_string(),
    }
}

fn cache(settings: &Settings) -> String {
    let Some(cache) = settings.caches.get(&settings.session_cache_alias) else {
        return "none".to_owned();
    };
    match cache.backend {
        CacheBackend::LocMem => "this process's memory".to_owned(),
        CacheBackend::Dummy => "none".to_owned(),
        CacheBackend::Memcached(_) => format!("memcached://{}", locations(cache)),
        CacheBackend::Database => format!("the table {}", locations(cache)),
        _ => locations(cache),
    }
}

fn locations(cache: &CacheSettings) -> String {
    let locations: Vec<String> = cache.location.iter().map(ToString::to_string).collect();
    locations.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_of(variables: &[(&str, &str)]) -> String {
        let key = [(
            "SECRET_KEY",
            "a secret key for the tests of the shop's opening line",
        )];
        let loader = Settings::loader().variables(key.into_iter().chain(variables.iter().copied()));
        place(&loader.load().unwrap())
    }

    #[test]
    fn each_store_is_named() {
        let postgres = ("DATABASE_URL", "postgres://tea@127.0.0.1:5432/shop");
        let redis = ("CACHE_URL", "redis://127.0.0.1:6379/0");
        let memcached = ("CACHE_URL", "memcached://127.0.0.1:11211,127.0.0.1:11212");
        for (variables, expected) in [
            (
                [("SESSION_ENGINE", "db"), postgres],
                "db, database: postgres://***@127.0.0.1:5432/shop",
            ),
            (
                [("SESSION_ENGINE", "cache"), redis],
                "cache, cache: redis://127.0.0.1:6379/0",
            ),
            (
                [("SESSION_ENGINE", "cache"), memcached],
                "cache, cache: memcached://127.0.0.1:11211,127.0.0.1:11212",
            ),
            (
                [("SESSION_ENGINE", "file"), ("SESSION_FILE_PATH", "/srv/x")],
                "file, directory: /srv/x",
            ),
            (
                [("SESSION_ENGINE", "signed_cookies"), redis],
                "signed_cookies, in the visitors' browsers",
            ),
        ] {
            assert_eq!(place_of(&variables), expected);
        }
        assert_eq!(
            place_of(&[("SESSION_ENGINE", "cached_db"), postgres, redis]),
            "cached_db, database: postgres://***@127.0.0.1:5432/shop, cache: redis://127.0.0.1:6379/0"
        );
    }

    #[test]
    fn no_password_is_shown() {
        let text = place_of(&[
            ("SESSION_ENGINE", "cached_db"),
            (
                "DATABASE_URL",
                "mysql://tea:hunter2@127.0.0.1/shop?x=hunter2",
            ),
            ("CACHE_URL", "redis://:hunter2@127.0.0.1:6379/0"),
        ]);
        assert!(!text.contains("hunter2"), "{text}");
    }
}
