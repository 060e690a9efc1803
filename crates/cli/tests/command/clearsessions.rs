use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Command, Stdio};

use crate::site::{Site, keys};

const PAST: &str = "2020-01-01 00:00:00";
const FUTURE: &str = "2100-01-01 00:00:00";

#[tokio::test]
async fn thousands_of_expired_sessions_go_in_batches_and_the_others_stay() {
    let site = Site::migrated();
    let all = keys(2_507);
    site.insert(&all[..2_500], "{}", PAST).await;
    site.insert(&all[2_500..], r#"{"n":1}"#, FUTURE).await;
    let ran = site.run(&["clearsessions"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.stdout, "Removed 2,500 expired sessions.\n");
    assert!(
        ran.stderr
            .starts_with("500 of 2,500 removed\n1,000 of 2,500 removed\n"),
        "{ran:?}"
    );
    assert_eq!(site.rows().await, 7);
}

/// 2,500 expired sessions and 7 others. The third batch ends as the trigger has it.
async fn site_with_trigger(trigger: &'static str) -> Site {
    let site = Site::migrated();
    let all = keys(2_507);
    site.insert(&all[..2_500], "{}", PAST).await;
    site.insert(&all[2_500..], r#"{"n":1}"#, FUTURE).await;
    site.execute(trigger).await;
    site
}

const ENDLESS: &str = "CREATE TRIGGER endless BEFORE DELETE ON django_session WHEN OLD.session_key LIKE '00001234%' \
    BEGIN SELECT COUNT(*) FROM (WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT n FROM n); END";

const REFUSED: &str = "CREATE TRIGGER refused BEFORE DELETE ON django_session WHEN OLD.session_key LIKE '00001234%' \
    BEGIN SELECT RAISE(ABORT, 'refused'); END";

/// A clean-up that is in the midst of its third batch, and will be for ever.
fn in_the_midst(site: &Site) -> (Child, BufReader<ChildStderr>) {
    let mut command = site.command(&["clearsessions"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while line != "1,000 of 2,500 removed\n" {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it has ended");
    }
    (child, stderr)
}

/// Two batches are gone, and the third is there; the next clean-up takes it.
async fn the_next_one_does_the_rest(site: &Site) {
    assert_eq!(site.rows().await, 1_507);
    site.execute("DROP TRIGGER endless").await;
    let ran = site.run(&["clearsessions"]);
    assert_eq!(ran.stdout, "Removed 1,500 expired sessions.\n", "{ran:?}");
    assert_eq!(site.rows().await, 7);
}

#[tokio::test]
async fn one_that_is_interrupted_says_what_it_removed_and_the_next_one_does_the_rest() {
    let site = site_with_trigger(ENDLESS).await;
    let (mut child, mut stderr) = in_the_midst(&site);
    let kill = format!("kill -INT {}", child.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(
        said,
        "note: at least 1,000 of 2,500 expired sessions removed; run it again to remove the others\n\
         error: interrupted\n"
    );
    assert_eq!(child.wait().unwrap().code(), Some(1));
    the_next_one_does_the_rest(&site).await;
}

#[tokio::test]
async fn one_that_is_killed_leaves_nothing_to_mend_and_the_next_one_does_the_rest() {
    let site = site_with_trigger(ENDLESS).await;
    let (mut child, _) = in_the_midst(&site);
    child.kill().unwrap();
    child.wait().unwrap();
    the_next_one_does_the_rest(&site).await;
}

#[tokio::test]
async fn one_that_fails_says_what_it_removed_until_then() {
    let site = site_with_trigger(REFUSED).await;
    let ran = site.run(&["clearsessions"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
    let note = "note: at least 1,000 of 2,500 expired sessions removed";
    assert!(ran.stderr.contains(note), "{ran:?}");
    assert!(ran.stderr.contains("error: ") && ran.stderr.contains("refused"));
    assert_eq!(site.rows().await, 1_507);
}

#[tokio::test]
async fn one_is_one() {
    let site = Site::migrated();
    site.insert(&keys(1), "{}", PAST).await;
    assert_eq!(
        site.run(&["clearsessions"]).stdout,
        "Removed 1 expired session.\n"
    );
}

#[test]
fn nothing_to_clear_is_said() {
    let ran = Site::migrated().run(&["clearsessions"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("nothing to clear"), "{ran:?}");
    assert_eq!(ran.stderr, "");
}

#[tokio::test]
async fn the_cached_database_is_cleared_too() {
    let site = Site::migrated().with("SESSION_ENGINE", "cached_db");
    site.insert(&keys(3), "{}", PAST).await;
    let ran = site.run(&["clearsessions"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.starts_with("Removed 3 expired sessions.\n"),
        "{ran:?}"
    );
    assert_eq!(site.rows().await, 0);
}

#[test]
fn caches_and_cookies_expire_by_themselves() {
    for (engine, says) in [
        ("cache", "a cache removes expired sessions by itself"),
        ("signed_cookies", "browsers"),
    ] {
        let ran = Site::new()
            .with("SESSION_ENGINE", engine)
            .run(&["clearsessions"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(
            ran.stdout.starts_with("Nothing to clear") && ran.stdout.contains(says),
            "{ran:?}"
        );
    }
}

#[test]
fn expired_files_are_removed() {
    let site = Site::new()
        .with("SESSION_ENGINE", "file")
        .with("SESSION_FILE_PATH", "sessions");
    std::fs::create_dir(site.path("sessions")).unwrap();
    // As Django does, the engine reads the expiry from the file's time of change.
    let path = site
        .path("sessions")
        .join("sessionidaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    std::fs::write(&path, "what this key never signed").unwrap();
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    let ran = site.run(&["clearsessions"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.stdout, "Removed 1 expired session.\n");
    assert!(!path.exists());
}

#[test]
fn an_unmigrated_database_is_sent_to_migrate() {
    let site = Site::new().with("DATABASE_URL", "sqlite://shop.sqlite3");
    let ran = site.run(&["clearsessions"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("quintette migrate"), "{ran:?}");
    site.write("shop.sqlite3", "");
    let ran = site.run(&["clearsessions"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("no table django_session") && ran.stderr.contains("quintette migrate"),
        "{ran:?}"
    );
}
