//! Each place where a beat can keep its lease and its last runs.

use std::sync::{Arc, LazyLock};

use quintette_tasks::beat::{BeatStore, DatabaseStore, FileStore, RedisStore};
use quintette_testkit::servers::{MariaDb, Postgres, Redis};
use tempfile::TempDir;

pub(crate) static POSTGRES: LazyLock<Postgres> = LazyLock::new(|| Postgres::start().unwrap());
pub(crate) static MARIADB: LazyLock<MariaDb> = LazyLock::new(|| MariaDb::start().unwrap());
static REDIS: LazyLock<Redis> = LazyLock::new(|| Redis::start().unwrap());

/// A place, as text that another process can be given.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) address: String,
    _directory: TempDir,
}

impl Place {
    /// One of each kind, all of them new.
    pub(crate) fn all() -> Vec<Self> {
        let name = uuid::Uuid::new_v4();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display().to_string();
        [
            format!("file:{path}/beat"),
            format!("sqlite://{path}/beat.sqlite3"),
            format!("{}#{name}", REDIS.url()),
            POSTGRES.new_database().unwrap(),
            MARIADB.new_database().unwrap(),
        ]
        .into_iter()
        .map(|address| {
            // Its own, and so a place of its own, though one process has them all.
            let own = tempfile::tempdir().unwrap();
            Self {
                address: address.replace(&path, &own.path().display().to_string()),
                _directory: own,
            }
        })
        .collect()
    }

    pub(crate) fn store(&self) -> Arc<dyn BeatStore> {
        store(&self.address)
    }
}

pub(crate) fn store(address: &str) -> Arc<dyn BeatStore> {
    if let Some(path) = address.strip_prefix("file:") {
        return Arc::new(FileStore::new(path));
    }
    if let Some((url, name)) = address.split_once('#') {
        return Arc::new(RedisStore::open(url, name).unwrap());
    }
    Arc::new(DatabaseStore::open(address, "test").unwrap())
}
