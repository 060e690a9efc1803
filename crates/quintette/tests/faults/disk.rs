//! A disk that is full, of the engine `file` and of SQLite; and an SQLite file that is locked.
//!
//! Each test of a full disk runs itself once more, in a mount namespace of its own with a small disk in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use quintette::sessions::{self, SessionErrorKind, SessionKey, Sessions};
use quintette::settings::SessionEngineName;

use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::load::{Keeps, Load};
use super::{in_database, settings};

/// Where the small disk is, for a test that runs on it.
const SMALL_DISK: &str = "QUINTETTE_SMALL_DISK";

/// Runs the test `name` of this program on a disk of 4 MiB.
fn on_a_small_disk(name: &str) {
    let directory = tempfile::tempdir().unwrap();
    let mount_and_run =
        r#"mount -t tmpfs -o size=4m,mode=700 tmpfs "$QUINTETTE_SMALL_DISK" && exec "$@""#;
    let ran = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            mount_and_run,
            "sh",
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(SMALL_DISK, directory.path())
        .output()
        .expect("unshare is there (apt-get install --yes util-linux)");
    let printed = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success() && printed.contains("1 passed"),
        "{printed}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

fn small_disk() -> PathBuf {
    let directory = std::env::var_os(SMALL_DISK);
    directory.expect("run by the test of the same name").into()
}

#[test]
fn the_disk_of_session_files_is_full() {
    on_a_small_disk("disk::session_files_on_a_small_disk");
}

#[test]
fn the_disk_of_sqlite_is_full() {
    on_a_small_disk("disk::sqlite_on_a_small_disk");
}

#[tokio::test]
#[ignore = "the_disk_of_session_files_is_full runs it, on a disk of its own"]
async fn session_files_on_a_small_disk() {
    let disk = small_disk();
    let mut settings = settings(SessionEngineName::File);
    settings.session_file_path = Some(disk.join("sessions"));
    fs::create_dir(disk.join("sessions")).unwrap();
    fill_up(&disk, &sessions::connect(settings).await.unwrap()).await;
}

#[tokio::test]
#[ignore = "the_disk_of_sqlite_is_full runs it, on a disk of its own"]
async fn sqlite_on_a_small_disk() {
    let disk = small_disk();
    let url = format!("sqlite://{}", disk.join("db.sqlite3").display());
    fill_up(&disk, &in_database(&url).await).await;
}

async fn fill_up(disk: &Path, sessions: &Sessions) {
    // Something else that takes room, and will be deleted when the disk is full.
    let other = disk.join("other");
    fs::write(&other, vec![0; 1024 * 1024]).unwrap();
    let counted = new_session(sessions, 0).await.unwrap();
    let mut stored = vec![];
    let refused = loop {
        match new_session(sessions, stored.len()).await {
            Ok(key) => stored.push(key),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), SessionErrorKind::Unavailable, "{refused}");
    assert!(stored.len() > 100, "the disk was full too early");
    // A session that is there can be read, and where it cannot be changed it stays as it was.
    let mut n = 0;
    for _ in 0..20 {
        match grow(sessions, &counted, n + 1).await {
            Ok(()) => n += 1,
            Err(error) => assert_eq!(error.status(), 503, "{error}"),
        }
        assert_eq!(count(sessions, &counted).await, n);
    }

    fs::remove_file(other).unwrap();
    for _ in 0..20 {
        n += 1;
        grow(sessions, &counted, n).await.unwrap();
    }
    assert_eq!(count(sessions, &counted).await, n);
    for (number, key) in stored.iter().enumerate() {
        assert_eq!(count(sessions, key).await, number, "what was acknowledged");
    }
}

/// A session of some 8 kB, which compresses to no less.
async fn new_session(sessions: &Sessions, n: usize) -> Result<SessionKey, sessions::SessionError> {
    let session = sessions.session(None);
    session.insert("n", n)?;
    session.insert("noise", noise(6_000))?;
    session.save().await?;
    Ok(session.key().expect("what is saved has a key"))
}

async fn grow(
    sessions: &Sessions,
    key: &SessionKey,
    n: usize,
) -> Result<(), sessions::SessionError> {
    let session = sessions.session(Some(key.as_str()));
    session.insert("n", n)?;
    session.insert("noise", noise(6_000 + 100 * n))?;
    session.save().await.map(drop)
}

async fn count(sessions: &Sessions, key: &SessionKey) -> usize {
    let n = sessions.session(Some(key.as_str())).get("n").await;
    n.expect("what is stored can be read")
        .expect("and is all there")
}

fn noise(length: usize) -> String {
    let keys = std::iter::repeat_with(|| SessionKey::random().expect("there is randomness"));
    let mut noise: String = keys
        .take(length.div_ceil(32))
        .map(|key| key.as_str().to_owned())
        .collect();
    noise.truncate(length);
    noise
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_is_locked_by_another_program() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("db.sqlite3");
    let sessions = in_database(&format!("sqlite://{}", file.display())).await;
    let load = Load::on(&sessions, Keeps::Everything).await;
    let options = SqliteConnectOptions::new().filename(&file);
    let mut other = options.connect().await.unwrap();
    for _ in 0..2 {
        load.goes_on(200).await;
        // Until it has its turn.
        while sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut other)
            .await
            .is_err()
        {}
        load.is_refused(40).await;
        sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    }
    load.goes_on(200).await;
    load.stop().await.is_true().await;
}
