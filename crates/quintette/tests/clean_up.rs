//! A clean-up of a table whose sessions have half expired, while the site goes on: on each database.
//!
//! The clean-up is held after each batch until a visitor has been served from beginning to end: what it still held then
//! would hold the visitors up as well, and the test would end with that.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use quintette::db::Database;
use quintette::sessions::engines::DbEngine;
use quintette::sessions::{
    Cleared, Codec, Created, Record, Replaced, SessionData, SessionEngine, SessionKey,
};
use quintette::settings::Settings;
use quintette_testkit::servers::{MariaDb, Postgres};
use sqlx::{AssertSqlSafe, MySqlPool, PgPool, SqlitePool};
use tempfile::TempDir;
use tokio::sync::Barrier;
use tokio::task::JoinHandle;

/// The most that one statement may remove.
const BATCH: u64 = 500;

const VISITORS: u64 = 8;

/// Makes of the order of the expiries that of the keys: it has no factor in common with the number of sessions.
const STRIDE: u64 = 104_729;

/// The database without the library, as an administrator has it.
#[derive(Clone)]
enum Console {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    MySql(MySqlPool),
}

impl Console {
    async fn connect(url: &str) -> Self {
        match url.split(':').next() {
            Some("sqlite") => Self::Sqlite(SqlitePool::connect(url).await.unwrap()),
            Some("postgres") => Self::Postgres(PgPool::connect(url).await.unwrap()),
            _ => Self::MySql(MySqlPool::connect(url).await.unwrap()),
        }
    }

    /// How many rows the statement changed.
    async fn execute(&self, statement: String) -> u64 {
        let query = sqlx::raw_sql(AssertSqlSafe(statement));
        match self {
            Self::Sqlite(pool) => query.execute(pool).await.unwrap().rows_affected(),
            Self::Postgres(pool) => query.execute(pool).await.unwrap().rows_affected(),
            Self::MySql(pool) => query.execute(pool).await.unwrap().rows_affected(),
        }
    }

    async fn keys(&self, condition: &str) -> HashSet<String> {
        let statement = format!("SELECT session_key FROM django_session WHERE {condition}");
        let statement = AssertSqlSafe(statement);
        let keys = match self {
            Self::Sqlite(pool) => sqlx::query_scalar(statement).fetch_all(pool).await,
            Self::Postgres(pool) => sqlx::query_scalar(statement).fetch_all(pool).await,
            Self::MySql(pool) => sqlx::query_scalar(statement).fetch_all(pool).await,
        };
        keys.unwrap().into_iter().collect()
    }

    /// Twice `half` sessions with this data. The first half has expired, one a second, up to yesterday; the others will,
    /// from an hour from now on. The keys are in another order than the expiries.
    async fn fill(&self, half: u64, data: &str) {
        let all = 2 * half;
        let key = format!("n * {STRIDE} % {all}");
        let seconds = format!("n - {half} + CASE WHEN n < {half} THEN -86400 ELSE 3600 END");
        let (key, expiry, numbers) = match self {
            Self::Sqlite(_) => (
                format!("printf('%032d', {key})"),
                format!("datetime('now', ({seconds}) || ' seconds')"),
                format!(
                    "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers LIMIT {all}) \
                     SELECT n FROM numbers"
                ),
            ),
            Self::Postgres(_) => (
                format!("lpad(({key})::text, 32, '0')"),
                format!("now() + interval '1 second' * ({seconds})"),
                format!("SELECT generate_series(0::bigint, {all} - 1) AS n"),
            ),
            Self::MySql(_) => (
                format!("LPAD({key}, 32, '0')"),
                format!("UTC_TIMESTAMP(6) + INTERVAL ({seconds}) SECOND"),
                format!("SELECT CAST(seq AS SIGNED) AS n FROM seq_0_to_{}", all - 1),
            ),
        };
        let filled = self.execute(format!(
            "INSERT INTO django_session (session_key, session_data, expire_date) \
             SELECT {key}, '{data}', {expiry} FROM ({numbers}) AS numbers"
        ));
        assert_eq!(filled.await, all);
    }
}

/// A site whose sessions have half expired.
struct Site {
    settings: Settings,
    engine: DbEngine,
    console: Console,
    half: u64,
    /// Rounds that visitors have made: a read, two writes, a new session, and one brought back to life.
    rounds: AtomicU64,
    revived: AtomicU64,
    /// The sessions that the next batch is about to remove begin about here, in the order of their expiries.
    front: AtomicU64,
    under_way: AtomicBool,
    over: AtomicBool,
}

impl Site {
    async fn with_expired(half: u64, url: &str) -> Arc<Self> {
        let mut settings = Settings::new("a secret that is for tests alone");
        settings.database_url = Some(url.parse().unwrap());
        // That nobody waits for long is shown by what is counted, on a busy machine too.
        settings.session_store_timeout = Duration::from_secs(20);
        let database = Database::create(&settings).await.unwrap();
        database.migrate().await.unwrap();
        let data = Codec::new(&settings).encode(&cart(0)).unwrap();
        let console = Console::connect(url).await;
        console.fill(half, &data).await;
        Arc::new(Self {
            engine: DbEngine::new(&database, &settings).await.unwrap(),
            settings,
            console,
            half,
            rounds: AtomicU64::new(0),
            revived: AtomicU64::new(0),
            front: AtomicU64::new(0),
            under_way: AtomicBool::new(false),
            over: AtomicBool::new(false),
        })
    }

    /// The key of a session, counted in the order of their expiries.
    fn key(&self, rank: u64) -> String {
        format!("{:032}", rank * STRIDE % (2 * self.half))
    }

    fn keys(&self, ranks: std::ops::Range<u64>) -> HashSet<String> {
        ranks.map(|rank| self.key(rank)).collect()
    }

    fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::SeqCst)
    }

    /// The keys of those that have expired.
    async fn expired(&self) -> HashSet<String> {
        let now = Utc::now().format("%Y-%m-%d %H:%M:%S");
        self.console.keys(&format!("expire_date < '{now}'")).await
    }

    /// Waits until one visitor has begun a round and ended it. When as many rounds have ended as there are visitors, and
    /// one more, then one of them has ended two.
    async fn serve_somebody(&self) {
        let enough = self.rounds() + VISITORS + 1;
        let served = async {
            while self.rounds() < enough {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let served = tokio::time::timeout(Duration::from_mins(1), served).await;
        served.expect("a clean-up that holds nothing between its batches");
    }

    /// Moves the expiry of a session that has expired; `None` where it is gone, or was moved before. So does a request
    /// that had read the session before it expired.
    async fn revive(&self, rank: u64) -> Option<String> {
        let key = self.key(rank);
        let statement = format!(
            "UPDATE django_session SET expire_date = '2100-01-01 00:00:00' \
             WHERE session_key = '{key}' AND expire_date < '2099-01-01 00:00:00'"
        );
        (self.console.execute(statement).await > 0).then_some(key)
    }
}

fn cart(n: u64) -> SessionData {
    let json = format!(
        r#"{{"_auth_user_id":"{n}","_auth_user_backend":"django.contrib.auth.backends.ModelBackend","cart":{{"{n}":1}}}}"#
    );
    SessionData::from_json(json.as_bytes()).unwrap()
}

fn record(data: &SessionData) -> Record<'_> {
    Record {
        data,
        expires_at: Utc::now() + TimeDelta::days(14),
    }
}

/// Reads and writes sessions that nobody else does until the clean-up is over; the keys that it made and revived.
fn visitor(site: Arc<Site>, number: u64) -> JoinHandle<HashSet<String>> {
    tokio::spawn(async move {
        let mut there = HashSet::new();
        let mut round = 0;
        while !site.over.load(Ordering::SeqCst) {
            // From the session that expires next.
            let rank = site.half + (VISITORS * round + number) % site.half;
            let key = SessionKey::parse(site.key(rank)).unwrap();
            let found = site.engine.load(&key).await.unwrap();
            let seen = found.expect("it has not expired").revision.unwrap();
            let data = cart(round);
            let replaced = site.engine.replace(&key, &seen, &record(&data)).await;
            let Replaced::Stored(receipt) = replaced.unwrap() else {
                panic!("nobody else writes to it");
            };
            let seen = receipt.revision.unwrap();
            let touched = site.engine.touch(&key, &seen, &record(&data)).await;
            assert!(matches!(touched.unwrap(), Replaced::Stored(_)));

            let new = SessionKey::random().unwrap();
            let created = site.engine.create(&new, &record(&data)).await;
            assert!(matches!(created.unwrap(), Created::Stored(_)));
            there.insert(new.as_str().to_owned());

            if site.under_way.load(Ordering::SeqCst) {
                let front = site.front.load(Ordering::SeqCst);
                let rank = front + (VISITORS * round + number) % BATCH;
                let revived = site.revive(rank.min(site.half - 1)).await;
                site.revived
                    .fetch_add(revived.is_some().into(), Ordering::SeqCst);
                there.extend(revived);
            }
            site.rounds.fetch_add(1, Ordering::SeqCst);
            round += 1;
        }
        there
    })
}

async fn a_site_goes_on(url: &str) {
    let site = Site::with_expired(100_000, url).await;
    let visitors = (0..VISITORS).map(|number| visitor(site.clone(), number));
    let visitors: Vec<_> = visitors.collect();
    site.serve_somebody().await;

    let mut told = Vec::new();
    let mut rounds = site.rounds();
    let mut rounds_during_batches = 0;
    let mut progress = |cleared: Cleared| {
        if !told.is_empty() {
            rounds_during_batches += site.rounds() - rounds;
        }
        told.push(cleared.removed);
        let passed = cleared.removed + site.revived.load(Ordering::SeqCst);
        site.front.store(passed, Ordering::SeqCst);
        site.under_way.store(true, Ordering::SeqCst);
        wait(site.serve_somebody());
        if told.len().is_multiple_of(20) {
            let left = wait(site.expired()).len() as u64;
            assert!(
                left <= site.half - cleared.removed,
                "told before it is done"
            );
        }
        rounds = site.rounds();
    };
    let cleared = site.engine.clear_expired(&mut progress).await.unwrap();
    site.over.store(true, Ordering::SeqCst);
    let mut there = site.keys(site.half..2 * site.half);
    for visitor in visitors {
        there.extend(visitor.await.unwrap());
    }

    assert_eq!(cleared.expired, Some(site.half));
    assert_eq!((told[0], *told.last().unwrap()), (0, cleared.removed));
    assert!(told.is_sorted());
    let largest = told.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(largest.unwrap() <= BATCH, "{told:?}");
    assert!(rounds_during_batches > 0);

    let revived = site.keys(0..site.half).intersection(&there).count() as u64;
    assert!(revived > 0);
    assert_eq!(cleared.removed, site.half - revived);
    // Not `assert_eq`, which would print 200,000 keys.
    assert!(site.console.keys("1 = 1").await == there);
}

/// Two processes, say: each has connections of its own.
async fn two_clean_ups(url: &str) {
    let site = Site::with_expired(10_000, url).await;
    let database = Database::connect(&site.settings).await.unwrap();
    let other = DbEngine::new(&database, &site.settings).await.unwrap();
    let begun = Arc::new(Barrier::new(2));
    let clean_ups = [site.engine.clone(), other].map(|engine| {
        let mut begun = Some(begun.clone());
        tokio::spawn(async move {
            let mut progress = |_| {
                // Both have counted, and neither has removed any.
                if let Some(begun) = begun.take() {
                    wait(begun.wait());
                }
            };
            engine.clear_expired(&mut progress).await.unwrap().removed
        })
    });
    let mut removed = 0;
    for clean_up in clean_ups {
        removed += clean_up.await.unwrap();
    }
    assert_eq!(removed, site.half);
    let live = site.keys(site.half..2 * site.half);
    assert!(site.console.keys("1 = 1").await == live);
}

/// For as long as a clean-up tells how far it is, it does nothing else.
fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| runtime.block_on(work))
}

mod sqlite {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_site_goes_on_while_half_of_its_sessions_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        a_site_goes_on(&url_in(&directory)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn two_clean_ups_at_once_remove_each_session_once() {
        let directory = tempfile::tempdir().unwrap();
        two_clean_ups(&url_in(&directory)).await;
    }

    fn url_in(directory: &TempDir) -> String {
        format!("sqlite://{}/db.sqlite3", directory.path().display())
    }
}

mod postgres {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_site_goes_on_while_half_of_its_sessions_are_removed() {
        let server = Postgres::start().unwrap();
        a_site_goes_on(&server.new_database().unwrap()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn two_clean_ups_at_once_remove_each_session_once() {
        let server = Postgres::start().unwrap();
        two_clean_ups(&server.new_database().unwrap()).await;
    }
}

mod mysql {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_site_goes_on_while_half_of_its_sessions_are_removed() {
        let server = MariaDb::start().unwrap();
        a_site_goes_on(&server.new_database().unwrap()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn two_clean_ups_at_once_remove_each_session_once() {
        let server = MariaDb::start().unwrap();
        two_clean_ups(&server.new_database().unwrap()).await;
    }
}
