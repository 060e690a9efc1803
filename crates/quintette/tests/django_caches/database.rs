use std::sync::Arc;

use quintette::cache::{Cache, DatabaseCache, NamedCache, Revision, Swapped};
use quintette::db::Database;
use quintette::sessions::{self, SessionErrorKind, SessionKey};
use quintette::settings::{DatabaseUrl, SessionEngineName, Settings, SqliteLocation};
use sqlx::{AssertSqlSafe, SqlitePool};
use tempfile::TempDir;

use super::{HOUR, NAME, PICKLE, color, count_up, with_cache};

/// `PICKLE` in base64, as Django wrote it.
const VALUE: &str =
    "gAWVNgAAAAAAAAB9lCiMBWNvbG9ylIwFZ3JlZW6UjAFulF2UKEsBR0AEAAAAAAAATohljALDqZSMBPCfmICUdS4=";

struct Fixture {
    _directory: TempDir,
    settings: Settings,
    pool: SqlitePool,
    database: Database,
    cache: DatabaseCache,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("db.sqlite3");
        let mut settings = with_cache("database://my_cache");
        settings.database_url = Some(DatabaseUrl::Sqlite(SqliteLocation::File(file.clone())));
        change(&mut settings);
        let database = Database::create(&settings).await.unwrap();
        let made = database.create_cache_tables(&settings).await.unwrap();
        assert_eq!(made, ["my_cache"]);
        let url = format!("sqlite:{}", file.display());
        Self {
            _directory: directory,
            pool: SqlitePool::connect(&url).await.unwrap(),
            cache: DatabaseCache::new(&database, "my_cache").await.unwrap(),
            database,
            settings,
        }
    }

    async fn run(&self, sql: &str) {
        let ran = sqlx::query(AssertSqlSafe(sql)).execute(&self.pool).await;
        ran.unwrap();
    }

    /// Puts this text there as Django does.
    async fn write(&self, value: &str, expires: &str) {
        sqlx::query("INSERT OR REPLACE INTO my_cache VALUES (?, ?, ?)")
            .bind(NAME)
            .bind(value)
            .bind(expires)
            .execute(&self.pool)
            .await
            .unwrap();
    }

    async fn text(&self, sql: &str) -> String {
        let text = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.pool);
        text.await.unwrap()
    }

    async fn rows(&self) -> i64 {
        let rows = sqlx::query_scalar("SELECT COUNT(*) FROM my_cache").fetch_one(&self.pool);
        rows.await.unwrap()
    }

    async fn value(&self) -> Option<Vec<u8>> {
        let cached = self.cache.get(NAME).await.unwrap();
        cached.map(|cached| cached.value)
    }
}

#[tokio::test]
async fn the_table_is_the_one_that_createcachetable_makes() {
    let fixture = Fixture::new().await;
    let table = fixture.text("SELECT sql FROM sqlite_master WHERE name = 'my_cache'");
    assert_eq!(
        table.await,
        "CREATE TABLE \"my_cache\" (\n    \"cache_key\" varchar(255) NOT NULL PRIMARY KEY,\n    \
         \"value\" text NOT NULL,\n    \"expires\" datetime NOT NULL\n)"
    );
    let index = fixture.text("SELECT sql FROM sqlite_master WHERE name = 'my_cache_expires'");
    assert_eq!(
        index.await,
        "CREATE INDEX \"my_cache_expires\" ON \"my_cache\" (\"expires\")"
    );
    let again = fixture.database.create_cache_tables(&fixture.settings);
    assert!(again.await.unwrap().is_empty());
}

#[tokio::test]
async fn a_row_of_djangos_is_read_touched_replaced_and_deleted() {
    let fixture = Fixture::new().await;
    let cache = &fixture.cache;
    // The second is what Django makes of `timeout=None`.
    for expires in ["2096-10-02 07:06:40", "9999-12-31 23:59:59"] {
        fixture.write(VALUE, expires).await;
        let cached = cache.get(NAME).await.unwrap().unwrap();
        assert_eq!(cached.value, PICKLE);
        assert!(cached.ttl.unwrap() > HOUR);
        assert_eq!(color(cache.clone()).await.unwrap(), "\"green\"");
        let seen = cached.into_revision();
        let touched = cache.touch(NAME, &seen, HOUR).await.unwrap();
        assert_eq!(touched, Swapped::Done(()));
        assert_eq!(fixture.text("SELECT value FROM my_cache").await, VALUE);
        assert_ne!(fixture.text("SELECT expires FROM my_cache").await, expires);
        let replaced = cache.replace(NAME, &seen, b"next".to_vec(), HOUR).await;
        let Swapped::Done(seen) = replaced.unwrap() else {
            panic!("it is what was seen");
        };
        assert_eq!(fixture.value().await.unwrap(), b"next");
        let deleted = cache.delete(NAME, Some(&seen)).await.unwrap();
        assert_eq!(deleted, Swapped::Done(()));
        assert_eq!(fixture.rows().await, 0);
    }
}

#[tokio::test]
async fn a_row_is_written_as_django_reads_it() {
    for use_tz in [true, false] {
        let fixture = Fixture::with(|settings| {
            settings.use_tz = use_tz;
            settings.time_zone = "Asia/Seoul".parse().unwrap();
        })
        .await;
        let set = fixture.cache.set(NAME, PICKLE.to_vec(), HOUR).await;
        set.unwrap();
        assert_eq!(fixture.text("SELECT cache_key FROM my_cache").await, NAME);
        assert_eq!(fixture.text("SELECT value FROM my_cache").await, VALUE);
        // Whole seconds, in UTC or local time, of which Seoul is nine hours ahead.
        let zone = if use_tz { "0" } else { "9" };
        let hours = format!(
            "SELECT (expires = strftime('%Y-%m-%d %H:%M:%S', expires) AND \
             abs(unixepoch(expires) - unixepoch('now') - 3600 * (1 + {zone})) < 600) || '' FROM my_cache"
        );
        assert_eq!(fixture.text(&hours).await, "1");
        assert_eq!(fixture.value().await.unwrap(), PICKLE);
    }
}

#[tokio::test]
async fn an_expired_row_goes_when_it_is_met() {
    let fixture = Fixture::new().await;
    // What is no date is over.
    for expires in ["2025-10-09 08:00:00", "", "soon"] {
        fixture.write(VALUE, expires).await;
        assert_eq!(fixture.value().await, None, "{expires}");
    }
    fixture.write(VALUE, "2025-10-09 08:00:00").await;
    assert_eq!(fixture.value().await, None);
    assert_eq!(fixture.rows().await, 0);
}

#[tokio::test]
async fn a_value_that_cannot_be_read_is_no_session_and_can_be_replaced() {
    let fixture = Fixture::new().await;
    let code = "Y29zCnN5c3RlbQooUydpZCcKdFIu"; // cos\nsystem\n(S'id'\ntR.
    for value in ["", "no base64", "é", "gAWV", &VALUE[..40], code] {
        fixture.write(value, "2096-10-02 07:06:40").await;
        assert_eq!(color(fixture.cache.clone()).await, None, "{value}");
        let seen = fixture.cache.get(NAME).await.unwrap().unwrap();
        let seen = seen.into_revision();
        let replaced = fixture.cache.replace(NAME, &seen, PICKLE.to_vec(), HOUR);
        assert!(matches!(replaced.await.unwrap(), Swapped::Done(_)));
        assert_eq!(color(fixture.cache.clone()).await.unwrap(), "\"green\"");
    }
    // SQLite keeps anything in any column.
    let blob = "UPDATE my_cache SET value = x'00ff', expires = '2096-10-02 07:06:40'";
    fixture.run(blob).await;
    assert_eq!(color(fixture.cache.clone()).await, None);
    let seen = Revision::from(vec![0, 0xff]);
    let deleted = fixture.cache.delete(NAME, Some(&seen)).await.unwrap();
    assert_eq!(deleted, Swapped::Done(()));
}

#[tokio::test]
async fn where_there_are_too_many_the_expired_go_first_and_then_one_in_three() {
    let fixture = Fixture::new().await;
    let cache = fixture.cache.clone().with_culling(4, 3);
    let add = async |name: &str| {
        let added = cache.add(name, PICKLE.to_vec(), HOUR).await.unwrap();
        assert!(added.is_some() && cache.get(name).await.unwrap().is_some());
    };
    for name in ["e", "d", "c", "b", "a"] {
        add(name).await;
    }
    assert_eq!(fixture.rows().await, 5);
    fixture
        .run("UPDATE my_cache SET expires = '2025-10-09 08:00:00' WHERE cache_key = 'e'")
        .await;
    add("f").await;
    // Only now they are more than four without the expired one.
    let names = "SELECT group_concat(cache_key, '') FROM (SELECT * FROM my_cache ORDER BY 1)";
    assert_eq!(fixture.text(names).await, "abcdf");
    add("g").await;
    assert_eq!(fixture.text(names).await, "bcdfg");
    let purging = fixture.cache.clone().with_culling(4, 0);
    let added = purging.add("h", PICKLE.to_vec(), HOUR).await.unwrap();
    assert!(added.is_some());
    assert_eq!(fixture.text(names).await, "h");
}

#[tokio::test]
async fn what_is_there_already_is_replaced_without_a_culling() {
    let fixture = Fixture::new().await;
    let seen = fixture.cache.set("a", b"1".to_vec(), HOUR).await.unwrap();
    fixture.cache.set("b", b"1".to_vec(), HOUR).await.unwrap();
    let full = fixture.cache.clone().with_culling(1, 1);
    let replaced = full.replace("a", &seen, b"2".to_vec(), HOUR).await.unwrap();
    assert!(matches!(replaced, Swapped::Done(_)));
    assert_eq!(fixture.rows().await, 2);
}

#[tokio::test]
async fn a_table_that_is_missing_is_told_with_the_command_that_makes_it() {
    let fixture = Fixture::new().await;
    fixture.run("DROP TABLE my_cache").await;
    let named = NamedCache::connect(&fixture.settings, "default").await;
    let errors = [
        named.unwrap_err().to_string(),
        fixture.cache.get(NAME).await.unwrap_err().to_string(),
        fixture
            .cache
            .delete(NAME, None)
            .await
            .unwrap_err()
            .to_string(),
    ];
    for error in errors {
        assert!(
            error.contains("my_cache") && error.contains("quintette migrate"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_location_that_is_no_name_reaches_no_database() {
    let fixture = Fixture::new().await;
    let location = "x\" (a); DROP TABLE my_cache; --";
    let error = DatabaseCache::new(&fixture.database, location).await;
    assert_eq!(error.unwrap_err().kind(), SessionErrorKind::Misconfigured);
    assert_eq!(fixture.rows().await, 0);
}

#[tokio::test]
async fn sessions_live_there_alone_or_in_front_of_a_row() {
    for engine in [SessionEngineName::Cache, SessionEngineName::CachedDb] {
        let fixture = Fixture::with(|settings| settings.session_engine = engine).await;
        fixture.database.migrate().await.unwrap();
        let sessions = sessions::connect(fixture.settings.clone()).await.unwrap();
        let session = sessions.session(None);
        session.insert("n", 1).unwrap();
        session.save().await.unwrap();
        assert_eq!(fixture.rows().await, 1, "{engine}");
        let key = session.key();
        let key = key.as_ref().map(SessionKey::as_str);
        let next = sessions.session(key);
        assert_eq!(next.get::<u8>("n").await.unwrap(), Some(1));
        next.flush().await.unwrap();
        assert_eq!(fixture.rows().await, 0, "{engine}");
        assert_eq!(sessions.session(key).get::<u8>("n").await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_count_together() {
    let fixture = Fixture::new().await;
    let database = Database::connect(&fixture.settings).await.unwrap();
    let other = DatabaseCache::new(&database, "my_cache").await.unwrap();
    let one: Arc<dyn Cache> = Arc::new(fixture.cache.clone());
    count_up([one, Arc::new(other)]).await;
}
