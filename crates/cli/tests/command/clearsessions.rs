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
