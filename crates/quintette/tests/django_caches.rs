//! What is particular to Django's caches in files and in a table, and to the one that keeps nothing. Both against bytes
//! that Django 5.2 has written.

#[path = "django_caches/database.rs"]
mod database;
#[path = "django_caches/dummy.rs"]
mod dummy;
#[path = "django_caches/file_based.rs"]
mod file_based;

use std::sync::Arc;
use std::time::Duration;

use quintette::cache::{Cache, NamedCache, Swapped};
use quintette::sessions::engines::CacheEngine;
use quintette::sessions::{SessionEngine as _, SessionErrorKind, SessionKey};
use quintette::settings::{CacheSettings, Settings};

const HOUR: Duration = Duration::from_hours(1);
const KEY: &str = "abcdefghijklmnopqrstuvwxyz012345";

/// The name of that session's entry.
const NAME: &str = ":1:django.contrib.sessions.cacheabcdefghijklmnopqrstuvwxyz012345";

/// `pickle.dumps({"color": "green", "n": [1, 2.5, None, True], "é": "😀"}, pickle.HIGHEST_PROTOCOL)`, Python 3.11.
const PICKLE: &[u8] =
    b"\x80\x05\x95\x36\0\0\0\0\0\0\0}\x94(\x8c\x05color\x94\x8c\x05green\x94\x8c\x01n\x94]\x94\
    (K\x01G@\x04\0\0\0\0\0\0N\x88e\x8c\x02\xc3\xa9\x94\x8c\x04\xf0\x9f\x98\x80\x94u.";

fn settings() -> Settings {
    Settings::new("a secret that is for tests alone")
}

fn with_cache(url: &str) -> Settings {
    let mut settings = settings();
    let cache = CacheSettings::from_url(url).unwrap();
    settings.caches.insert("default".into(), cache);
    settings
}

/// What the session of `KEY` holds under `color`, with this cache behind the engine.
async fn color(cache: impl Cache + Clone) -> Option<String> {
    let engine = CacheEngine::new(NamedCache::new(Arc::new(cache)));
    let key = SessionKey::parse(KEY).unwrap();
    let stored = engine.load(&key).await.unwrap()?;
    Some(stored.data.json("color")?.as_str().to_owned())
}

/// Tasks on both of these count up one entry, which none of them may do for nothing.
async fn count_up(caches: [Arc<dyn Cache>; 2]) {
    const TASKS: usize = 8;
    const ROUNDS: usize = 8;
    caches[0].set("n", b"0".to_vec(), HOUR).await.unwrap();
    let tasks = (0..TASKS).map(|task| {
        let cache = caches[task % 2].clone();
        tokio::spawn(async move {
            let mut left = ROUNDS;
            while left > 0 {
                let seen = cache.get("n").await.unwrap().unwrap();
                let n: usize = str::from_utf8(&seen.value).unwrap().parse().unwrap();
                let (next, seen) = ((n + 1).to_string(), seen.into_revision());
                let replaced = cache.replace("n", &seen, next.into(), HOUR).await.unwrap();
                left -= usize::from(matches!(replaced, Swapped::Done(_)));
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let n = caches[1].get("n").await.unwrap().unwrap().value;
    assert_eq!(n, (TASKS * ROUNDS).to_string().into_bytes());
}

#[tokio::test]
async fn an_option_that_is_no_number_stops_the_program() {
    let directory = tempfile::tempdir().unwrap();
    for (option, value) in [
        ("MAX_ENTRIES", "many".into()),
        ("MAX_ENTRIES", 0.into()),
        ("MAX_ENTRIES", (-1).into()),
        ("CULL_FREQUENCY", serde_json::json!([3])),
    ] {
        let mut settings = with_cache(&format!("file://{}", directory.path().display()));
        let cache = settings.caches.get_mut("default").unwrap();
        cache.options.insert(option.to_owned(), value);
        let error = NamedCache::connect(&settings, "default").await.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Misconfigured);
        assert!(error.to_string().contains(option), "{error}");
    }
}
