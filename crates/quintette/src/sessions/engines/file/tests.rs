use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use quintette_core::json::RawJson;
use tempfile::TempDir;

use super::*;

const KEY: &str = "abcdefghijklmnopqrstuvwxyz012345";

/// `SessionStore.encode({"color": "green"})` of Django 5.2, signed on 2025-10-09 with the key below.
const DJANGO: &str = "eyJjb2xvciI6ImdyZWVuIn0:1v6mOm:p3HAPNXkQaOkRFsNS2FBYmrFhWTCQbfMEofhldWr5MA";

struct Fixture {
    directory: TempDir,
    engine: FileEngine,
}

impl Fixture {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings::new("a secret of no one");
        settings.session_file_path = Some(directory.path().to_owned());
        change(&mut settings);
        Self {
            engine: FileEngine::new(&settings).unwrap(),
            directory,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(format!("sessionid{KEY}"))
    }

    /// What the directory holds, in order.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn write(&self, text: impl AsRef<[u8]>) {
        fs::write(self.path(), text).unwrap();
    }

    /// As if the file had been modified so long ago.
    fn age(&self, age: TimeDelta) {
        File::open(self.path())
            .unwrap()
            .set_modified((Utc::now() - age).into())
            .unwrap();
    }

    async fn load(&self) -> Option<Stored> {
        self.engine.load(&key()).await.unwrap()
    }

    async fn create(&self, data: &SessionData) -> Revision {
        let created = self.engine.create(&key(), &record(data)).await.unwrap();
        let Created::Stored(Receipt {
            revision: Some(revision),
            key: None,
        }) = created
        else {
            panic!("{created:?}");
        };
        revision
    }
}

fn key() -> SessionKey {
    SessionKey::parse(KEY).unwrap()
}

fn data(name: &str, value: impl Into<serde_json::Value>) -> SessionData {
    let mut data = SessionData::default();
    data.insert(name, RawJson::from_value(&value.into()).unwrap());
    data
}

fn record(data: &SessionData) -> Record<'_> {
    Record {
        data,
        expires_at: Utc::now() + TimeDelta::weeks(2),
    }
}

/// As Django writes: another file takes the name, and no lock is taken.
fn replace_as_django(path: &Path, text: &str) {
    let temporary = path.with_extension("django");
    fs::write(&temporary, text).unwrap();
    fs::rename(temporary, path).unwrap();
}

#[tokio::test]
async fn a_session_is_one_file_of_djangos_name_that_nobody_else_can_read() {
    let fixture = Fixture::new();
    let revision = fixture.create(&data("color", "green")).await;
    assert_eq!(fixture.names(), [format!("sessionid{KEY}")]);
    assert_eq!(
        fs::metadata(fixture.path()).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(fs::read(fixture.path()).unwrap(), revision.as_bytes());
    let stored = fixture.load().await.unwrap();
    assert_eq!(stored.data, data("color", "green"));
    assert_eq!(stored.revision.unwrap(), revision);
}

#[tokio::test]
async fn a_file_of_djangos_is_read_and_replaced() {
    let fixture = Fixture::new();
    fixture.write(DJANGO);
    let stored = fixture.load().await.unwrap();
    assert_eq!(stored.data, data("color", "green"));

    let newer = data("color", "red");
    let replaced = fixture
        .engine
        .replace(&key(), &stored.revision.unwrap(), &record(&newer))
        .await
        .unwrap();
    assert!(matches!(replaced, Replaced::Stored(_)), "{replaced:?}");
    assert_eq!(fixture.load().await.unwrap().data, newer);
    assert_eq!(fixture.names().len(), 1);
}

#[tokio::test]
async fn nothing_is_created_over_what_is_there() {
    let fixture = Fixture::new();
    fixture.write(DJANGO);
    let created = fixture
        .engine
        .create(&key(), &record(&data("color", "red")))
        .await
        .unwrap();
    assert!(matches!(created, Created::Taken));
    assert_eq!(fs::read_to_string(fixture.path()).unwrap(), DJANGO);
    assert_eq!(fixture.names().len(), 1);
}

#[tokio::test]
async fn only_the_revision_that_was_seen_is_replaced_touched_or_deleted() {
    let fixture = Fixture::new();
    let old = fixture.create(&data("n", 1)).await;
    let two = data("n", 2);
    assert!(matches!(
        fixture
            .engine
            .replace(&key(), &old, &record(&two))
            .await
            .unwrap(),
        Replaced::Stored(_)
    ));

    assert!(matches!(
        fixture
            .engine
            .replace(&key(), &old, &record(&two))
            .await
            .unwrap(),
        Replaced::Conflict
    ));
    assert!(matches!(
        fixture
            .engine
            .touch(&key(), &old, &record(&two))
            .await
            .unwrap(),
        Replaced::Conflict
    ));
    assert_eq!(
        fixture.engine.delete(&key(), Some(&old)).await.unwrap(),
        Deleted::Conflict
    );
    let stored = fixture.load().await.unwrap();
    assert_eq!(stored.data, two);
    assert_eq!(
        fixture
            .engine
            .delete(&key(), stored.revision.as_ref())
            .await
            .unwrap(),
        Deleted::Deleted
    );
    assert!(fixture.names().is_empty());
}

#[tokio::test]
async fn what_is_gone_stays_gone() {
    let fixture = Fixture::new();
    let data = data("n", 1);
    let seen = fixture.create(&data).await;
    assert_eq!(
        fixture.engine.delete(&key(), None).await.unwrap(),
        Deleted::Deleted
    );
    assert!(fixture.load().await.is_none());
    assert!(matches!(
        fixture
            .engine
            .replace(&key(), &seen, &record(&data))
            .await
            .unwrap(),
        Replaced::Gone
    ));
    assert!(matches!(
        fixture
            .engine
            .touch(&key(), &seen, &record(&data))
            .await
            .unwrap(),
        Replaced::Gone
    ));
    assert_eq!(
        fixture.engine.delete(&key(), Some(&seen)).await.unwrap(),
        Deleted::Gone
    );
    assert_eq!(
        fixture.engine.delete(&key(), None).await.unwrap(),
        Deleted::Gone
    );
    assert!(fixture.names().is_empty());
}

#[tokio::test]
async fn a_touch_moves_the_time_and_nothing_else() {
    let fixture = Fixture::new();
    fixture.write(DJANGO);
    fixture.age(TimeDelta::days(13));
    let before = fs::metadata(fixture.path()).unwrap();
    let seen = Revision::from(DJANGO.to_owned());
    let touched = fixture
        .engine
        .touch(&key(), &seen, &record(&data("color", "green")))
        .await
        .unwrap();
    assert!(
        matches!(touched, Replaced::Stored(Receipt { revision: Some(same), .. }) if same == seen)
    );
    let after = fs::metadata(fixture.path()).unwrap();
    assert_eq!(after.ino(), before.ino());
    assert!(after.mtime() - before.mtime() > 12 * 24 * 60 * 60);
    assert_eq!(fs::read_to_string(fixture.path()).unwrap(), DJANGO);
}

#[tokio::test]
async fn a_key_that_django_could_not_have_made_is_unknown_and_touches_nothing() {
    let fixture = Fixture::new();
    let outside = fixture.directory.path().join("outside");
    fs::create_dir(fixture.directory.path().join("sessionid")).unwrap();
    fs::write(&outside, DJANGO).unwrap();
    let long = "a".repeat(5_000);
    for text in [
        "/../outside",
        "/../../../../../etc/passwd",
        "../outside",
        "ABCDEFGHIJ",
        "abcdefgh\0",
        "abcdefgh/",
        "가나다라마바사아",
        &long,
    ] {
        let key = SessionKey::parse(text).unwrap();
        let (empty, seen) = (SessionData::default(), Revision::from(DJANGO.to_owned()));
        assert!(fixture.engine.load(&key).await.unwrap().is_none(), "{text}");
        assert!(matches!(
            fixture.engine.create(&key, &record(&empty)).await.unwrap(),
            Created::Taken
        ));
        assert!(matches!(
            fixture
                .engine
                .replace(&key, &seen, &record(&empty))
                .await
                .unwrap(),
            Replaced::Gone
        ));
        assert!(matches!(
            fixture
                .engine
                .touch(&key, &seen, &record(&empty))
                .await
                .unwrap(),
            Replaced::Gone
        ));
        assert_eq!(
            fixture.engine.delete(&key, None).await.unwrap(),
            Deleted::Gone
        );
    }
    assert_eq!(fixture.names(), ["outside", "sessionid"]);
    assert_eq!(fs::read_to_string(outside).unwrap(), DJANGO);
}

#[tokio::test]
async fn a_link_in_the_place_of_a_session_leads_nowhere() {
    let fixture = Fixture::new();
    let target = fixture.directory.path().join("target");
    fs::write(&target, DJANGO).unwrap();
    let before = fs::metadata(&target).unwrap();
    symlink(&target, fixture.path()).unwrap();
    let (red, seen) = (data("color", "red"), Revision::from(DJANGO.to_owned()));

    assert!(fixture.load().await.is_none());
    assert!(matches!(
        fixture.engine.create(&key(), &record(&red)).await.unwrap(),
        Created::Taken
    ));
    assert!(matches!(
        fixture
            .engine
            .replace(&key(), &seen, &record(&red))
            .await
            .unwrap(),
        Replaced::Gone
    ));
    assert!(matches!(
        fixture
            .engine
            .touch(&key(), &seen, &record(&red))
            .await
            .unwrap(),
        Replaced::Gone
    ));
    assert_eq!(
        fixture.engine.delete(&key(), None).await.unwrap(),
        Deleted::Gone
    );
    fixture.engine.clear_expired(&mut |_| {}).await.unwrap();
    assert!(fixture.engine.list(None, 10).await.unwrap().is_empty());

    let after = fs::metadata(&target).unwrap();
    assert_eq!(
        (after.mtime_nsec(), after.ino()),
        (before.mtime_nsec(), before.ino())
    );
    assert_eq!(fs::read_to_string(target).unwrap(), DJANGO);
}

#[tokio::test]
async fn a_pipe_or_a_directory_in_the_place_of_a_session_is_none_and_blocks_nobody() {
    let fixture = Fixture::new();
    rustix::fs::mkfifoat(rustix::fs::CWD, fixture.path(), rustix::fs::Mode::RWXU).unwrap();
    assert!(fixture.load().await.is_none());
    assert_eq!(
        fixture.engine.delete(&key(), None).await.unwrap(),
        Deleted::Gone
    );
    fs::remove_file(fixture.path()).unwrap();

    fs::create_dir(fixture.path()).unwrap();
    assert!(fixture.load().await.is_none());
    assert_eq!(
        fixture.engine.delete(&key(), None).await.unwrap(),
        Deleted::Gone
    );
    assert!(fixture.engine.list(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_corrupt_file_is_an_empty_session_that_can_be_replaced() {
    let fixture = Fixture::new();
    let forged = DJANGO.replace("p3HA", "AAAA");
    for text in [
        &b"\xff\xfe\0"[..],
        b"no signature",
        forged.as_bytes(),
        &DJANGO.as_bytes()[..40],
        b"",
    ] {
        fixture.write(text);
        let stored = fixture.load().await.unwrap();
        assert!(stored.data.is_empty());
        let new = data("color", "red");
        let replaced = fixture
            .engine
            .replace(&key(), &stored.revision.unwrap(), &record(&new))
            .await
            .unwrap();
        assert!(
            matches!(replaced, Replaced::Stored(_)),
            "{text:?}: {replaced:?}"
        );
        assert_eq!(fixture.load().await.unwrap().data, new);
    }
}

#[tokio::test]
async fn an_expired_session_is_gone_and_its_file_with_it() {
    for way in 0..4 {
        let fixture = Fixture::new();
        fixture.write(DJANGO);
        fixture.age(TimeDelta::weeks(2) + TimeDelta::seconds(1));
        let (red, seen) = (data("color", "red"), Revision::from(DJANGO.to_owned()));
        match way {
            0 => assert!(fixture.load().await.is_none()),
            1 => assert!(matches!(
                fixture
                    .engine
                    .replace(&key(), &seen, &record(&red))
                    .await
                    .unwrap(),
                Replaced::Gone
            )),
            2 => {
                assert!(matches!(
                    fixture
                        .engine
                        .touch(&key(), &seen, &record(&red))
                        .await
                        .unwrap(),
                    Replaced::Gone
                ));
            }
            _ => assert!(fixture.engine.list(None, 10).await.unwrap().is_empty()),
        }
        assert!(fixture.load().await.is_none());
        assert!(fixture.names().is_empty());
    }
}

#[tokio::test]
async fn a_session_lives_for_the_age_of_the_cookie_after_its_file_was_modified() {
    let fixture = Fixture::with(|settings| settings.session_cookie_age = TimeDelta::hours(1));
    fixture.write(DJANGO);
    fixture.age(TimeDelta::minutes(59));
    assert!(fixture.load().await.is_some());
    fixture.age(TimeDelta::minutes(61));
    assert!(fixture.load().await.is_none());
}

#[tokio::test]
async fn the_record_decides_where_the_session_has_no_expiry_of_its_own() {
    let fixture = Fixture::new();
    let data = data("n", 1);
    for (minutes, lives) in [(1, true), (-1, false)] {
        let record = Record {
            data: &data,
            expires_at: Utc::now() + TimeDelta::minutes(minutes),
        };
        assert!(matches!(
            fixture.engine.create(&key(), &record).await.unwrap(),
            Created::Stored(_)
        ));
        assert_eq!(fixture.load().await.is_some(), lives);
        fixture.engine.delete(&key(), None).await.unwrap();
    }
}

#[tokio::test]
async fn a_session_with_an_expiry_of_its_own_ends_as_django_reckons() {
    let in_a_minute = (Utc::now() + TimeDelta::minutes(1)).to_rfc3339();
    let a_minute_ago = (Utc::now() - TimeDelta::minutes(1)).to_rfc3339();
    let decades = TimeDelta::weeks(2_000);
    let cases = [
        // (the stored expiry, how long ago the file was modified, whether Django's file engine takes it for alive)
        (serde_json::json!(in_a_minute), decades, true),
        (serde_json::json!(a_minute_ago), TimeDelta::zero(), false),
        (serde_json::json!(300), decades, true),
        (serde_json::json!(-1), TimeDelta::zero(), false),
        (serde_json::json!(0), TimeDelta::zero(), true),
        (serde_json::json!(0), decades, false),
        (serde_json::json!(null), decades, false),
    ];
    for (expiry, age, lives) in cases {
        let fixture = Fixture::new();
        fixture
            .create(&data("_session_expiry", expiry.clone()))
            .await;
        fixture.age(age);
        assert_eq!(fixture.load().await.is_some(), lives, "{expiry}, {age}");
        assert_eq!(fixture.names().is_empty(), !lives);
    }
}

#[test]
fn a_file_from_the_end_of_time_is_no_accident() {
    assert_eq!(
        directory::time(i64::MAX, 999_999_999),
        DateTime::<Utc>::MAX_UTC
    );
    assert_eq!(directory::time(i64::MIN, -1), DateTime::<Utc>::MIN_UTC);
    let fixture = Fixture::new();
    let files = &fixture.engine.files;
    for (modified, lives) in [
        (DateTime::<Utc>::MAX_UTC, true),
        (DateTime::<Utc>::MIN_UTC, false),
    ] {
        let content = Content {
            text: DJANGO.into(),
            modified,
        };
        assert_eq!(files.has_expired(&data("color", "green"), &content), !lives);
    }
}

#[test]
fn of_sixteen_who_saw_one_revision_one_replaces_it() {
    let fixture = Fixture::new();
    let files = &fixture.engine.files;
    let mut seen = DJANGO.to_owned();
    fixture.write(&seen);
    for round in 0..20 {
        let barrier = Barrier::new(16);
        let winners: Vec<String> = thread::scope(|scope| {
            let race = |racer: u32| {
                let text = files
                    .codec
                    .encode(&data("racer", format!("{round}, {racer}")))
                    .unwrap();
                let revision = Revision::from(seen.clone());
                barrier.wait();
                match files
                    .replace(&key(), &revision, text.clone(), SystemTime::now())
                    .unwrap()
                {
                    Replaced::Stored(_) => Some(text),
                    Replaced::Conflict => None,
                    Replaced::Gone => panic!("nobody deletes"),
                }
            };
            let racers: Vec<_> = (0..16)
                .map(|racer| scope.spawn(move || race(racer)))
                .collect();
            racers
                .into_iter()
                .filter_map(|racer| racer.join().unwrap())
                .collect()
        });
        assert_eq!(winners.len(), 1, "in round {round}");
        seen.clone_from(&winners[0]);
        assert_eq!(fs::read_to_string(fixture.path()).unwrap(), seen);
    }
    assert_eq!(fixture.names().len(), 1);
}

#[test]
fn a_deletion_is_never_undone_by_a_replacement() {
    let fixture = Fixture::new();
    let files = &fixture.engine.files;
    for _ in 0..50 {
        fixture.write(DJANGO);
        let barrier = Barrier::new(3);
        thread::scope(|scope| {
            for color in ["red", "blue"] {
                let barrier = &barrier;
                scope.spawn(move || {
                    let text = files.codec.encode(&data("color", color)).unwrap();
                    barrier.wait();
                    files
                        .replace(
                            &key(),
                            &Revision::from(DJANGO.to_owned()),
                            text,
                            SystemTime::now(),
                        )
                        .unwrap()
                });
            }
            barrier.wait();
            assert_eq!(files.delete(&key(), None).unwrap(), Deleted::Deleted);
        });
        assert!(fixture.names().is_empty());
    }
}

#[test]
fn of_those_who_create_one_session_at_once_one_does() {
    let fixture = Fixture::new();
    let files = &fixture.engine.files;
    let barrier = Barrier::new(8);
    let created = thread::scope(|scope| {
        let create = || {
            barrier.wait();
            files
                .directory
                .create(&key(), DJANGO.as_bytes(), SystemTime::now())
                .unwrap()
        };
        let creators: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        creators
            .into_iter()
            .filter(|_| true)
            .map(|creator| creator.join().unwrap())
            .filter(|created| *created)
            .count()
    });
    assert_eq!(created, 1);
}

#[test]
fn whoever_waits_for_a_file_gets_the_one_that_took_its_place() {
    let fixture = Fixture::new();
    let directory = &fixture.engine.files.directory;
    for _ in 0..50 {
        fixture.write("old");
        let locked = directory.lock(&key()).unwrap().unwrap();
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                barrier.wait();
                directory.lock(&key()).unwrap().unwrap().content.text
            });
            barrier.wait();
            assert_eq!(
                locked.replace(b"new", SystemTime::now()).unwrap(),
                Swapped::Done
            );
            assert_eq!(waiting.join().unwrap(), b"new");
        });
    }
}

#[test]
fn where_files_cannot_change_places_they_are_compared_and_renamed() {
    let fixture = Fixture::new();
    let (path, temporary) = (fixture.path(), fixture.directory.path().join("temporary"));
    let rename = |seen| {
        fs::write(&temporary, "ours").unwrap();
        swap::rename_over(&temporary, &path, seen).unwrap()
    };
    fixture.write("seen");
    let file = File::open(&path).unwrap();
    let seen = swap::Identity::of_file(&file).unwrap();
    replace_as_django(&path, "Django's");
    assert_eq!(rename(seen), Swapped::Changed);
    assert_eq!(fs::read_to_string(&path).unwrap(), "Django's");
    let seen = swap::Identity::at(&path).unwrap().unwrap();
    assert_eq!(rename(seen), Swapped::Done);
    assert_eq!(fs::read_to_string(&path).unwrap(), "ours");
    fs::remove_file(&path).unwrap();
    assert_eq!(rename(seen), Swapped::Gone);
    assert_eq!(fixture.names(), ["temporary"]);
}

#[test]
fn where_no_rename_spares_what_is_there_a_placeholder_does() {
    let fixture = Fixture::new();
    let (path, temporary) = (fixture.path(), fixture.directory.path().join("temporary"));
    fixture.write(DJANGO);
    fs::write(&temporary, "ours").unwrap();
    assert_eq!(
        swap::rename_to_placeholder(&temporary, &path),
        Err(rustix::io::Errno::EXIST)
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), DJANGO);
    fs::remove_file(&path).unwrap();
    swap::rename_to_placeholder(&temporary, &path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "ours");
    swap::rename_to_placeholder(&temporary, &path.with_extension("new")).unwrap_err();
    assert_eq!(fixture.names(), [format!("sessionid{KEY}")]);
}

#[test]
fn what_django_stores_while_the_file_is_locked_is_not_overwritten() {
    let fixture = Fixture::new();
    let directory = &fixture.engine.files.directory;
    fixture.write("seen");
    let locked = directory.lock(&key()).unwrap().unwrap();
    replace_as_django(&fixture.path(), "Django's");
    assert_eq!(
        locked.replace(b"ours", SystemTime::now()).unwrap(),
        Swapped::Changed
    );
    assert_eq!(fs::read_to_string(fixture.path()).unwrap(), "Django's");

    let locked = directory.lock(&key()).unwrap().unwrap();
    replace_as_django(&fixture.path(), "Django's, again");
    assert_eq!(locked.touch(SystemTime::now()).unwrap(), Swapped::Changed);
    let locked = directory.lock(&key()).unwrap().unwrap();
    replace_as_django(&fixture.path(), "Django's last");
    assert_eq!(locked.remove().unwrap(), Swapped::Changed);
    assert_eq!(fs::read_to_string(fixture.path()).unwrap(), "Django's last");
    assert_eq!(fixture.names().len(), 1);
}

#[test]
fn what_django_deletes_while_the_file_is_locked_is_not_brought_back() {
    let fixture = Fixture::new();
    let directory = &fixture.engine.files.directory;
    fixture.write("seen");
    let locked = directory.lock(&key()).unwrap().unwrap();
    fs::remove_file(fixture.path()).unwrap();
    assert_eq!(
        locked.replace(b"ours", SystemTime::now()).unwrap(),
        Swapped::Gone
    );
    assert!(fixture.names().is_empty());

    fixture.write("seen");
    let locked = directory.lock(&key()).unwrap().unwrap();
    fs::remove_file(fixture.path()).unwrap();
    assert_eq!(locked.touch(SystemTime::now()).unwrap(), Swapped::Gone);
    assert!(fixture.names().is_empty());
}

#[test]
fn whatever_the_moment_django_has_the_last_word_on_its_own_writes() {
    let fixture = Fixture::new();
    let directory = &fixture.engine.files.directory;
    let path = fixture.path();
    for round in 0..200 {
        fixture.write("seen");
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                if let Some(locked) = directory
                    .lock(&key())
                    .unwrap()
                    .filter(|locked| locked.content.text == b"seen")
                {
                    locked.replace(b"ours", SystemTime::now()).unwrap();
                }
            });
            barrier.wait();
            if round % 2 == 0 {
                replace_as_django(&path, "Django's");
            } else {
                fs::remove_file(&path).unwrap();
            }
        });
        let text = fs::read_to_string(&path).ok();
        assert_eq!(text.as_deref(), (round % 2 == 0).then_some("Django's"));
    }
    assert!(fixture.names().is_empty());
}

#[test]
fn whoever_reads_sees_a_whole_session() {
    let fixture = Fixture::new();
    let directory = &fixture.engine.files.directory;
    let texts = ["a".repeat(100_000), "b".repeat(50_000)];
    fixture.write(&texts[0]);
    thread::scope(|scope| {
        scope.spawn(|| {
            for text in texts.iter().cycle().take(200) {
                let locked = directory.lock(&key()).unwrap().unwrap();
                assert_eq!(
                    locked.replace(text.as_bytes(), SystemTime::now()).unwrap(),
                    Swapped::Done
                );
            }
        });
        for _ in 0..200 {
            let text = directory.read(&key()).unwrap().unwrap().text;
            assert!(
                texts.iter().any(|whole| whole.as_bytes() == text),
                "{} bytes",
                text.len()
            );
        }
    });
}

#[tokio::test]
async fn a_clean_up_removes_what_has_expired_and_nothing_else() {
    let fixture = Fixture::new();
    let old = Utc::now() - TimeDelta::weeks(3);
    let write = |name: &str, modified: DateTime<Utc>| {
        let path = fixture.directory.path().join(name);
        fs::write(&path, DJANGO).unwrap();
        File::open(path)
            .unwrap()
            .set_modified(modified.into())
            .unwrap();
    };
    for number in 0..BATCH + 10 {
        write(&format!("sessionidexpired{number}"), old);
    }
    write("sessionidalive00", Utc::now());
    // Others' files, Django's temporary ones, and those that are being written right now.
    let foreign = [
        "other00000000",
        "sessionid",
        "sessionidshort",
        "sessionidalive00_out_abcd1234",
        ".quintette-0",
    ];
    for name in foreign {
        write(name, old);
    }
    let mut reports = Vec::new();
    let cleared = fixture
        .engine
        .clear_expired(&mut |cleared| reports.push(cleared.removed))
        .await
        .unwrap();
    assert_eq!(cleared.removed, u64::try_from(BATCH).unwrap() + 10);
    assert_eq!(reports.len(), 3);
    assert_eq!(reports.last(), Some(&cleared.removed));
    assert!(reports.is_sorted());
    let mut left = foreign.to_vec();
    left.push("sessionidalive00");
    left.sort_unstable();
    assert_eq!(fixture.names(), left);
}

#[test]
fn a_session_that_was_saved_while_it_was_found_expired_stays() {
    let fixture = Fixture::new();
    fixture.write(DJANGO);
    assert!(!fixture.engine.files.remove_expired(&key()).unwrap());
    assert!(fixture.path().exists());
    fixture.age(TimeDelta::weeks(3));
    assert!(fixture.engine.files.remove_expired(&key()).unwrap());
    assert!(!fixture.path().exists());
}

#[tokio::test]
async fn a_list_goes_by_keys_page_by_page() {
    let fixture = Fixture::new();
    for (name, age) in [
        ("cccccccc", 0),
        ("aaaaaaaa", 0),
        ("bbbbbbbb", 3),
        ("dddddddd", 0),
    ] {
        let path = fixture.directory.path().join(format!("sessionid{name}"));
        fs::write(&path, DJANGO).unwrap();
        File::open(path)
            .unwrap()
            .set_modified((Utc::now() - TimeDelta::weeks(age)).into())
            .unwrap();
    }
    let first = fixture.engine.list(None, 2).await.unwrap();
    let keys: Vec<_> = first.iter().map(|listed| listed.key.as_str()).collect();
    assert_eq!(keys, ["aaaaaaaa", "cccccccc"]);
    assert_eq!(
        (first[0].size, &first[0].data),
        (DJANGO.len(), &data("color", "green"))
    );
    assert!(first[0].expires_at > Utc::now() + TimeDelta::days(13));

    let rest = fixture
        .engine
        .list(Some(&first[1].key), usize::MAX)
        .await
        .unwrap();
    assert_eq!(
        rest.iter()
            .map(|listed| listed.key.as_str())
            .collect::<Vec<_>>(),
        ["dddddddd"]
    );
    assert!(fixture.engine.list(None, 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_directory_that_is_gone_is_an_error_and_no_unknown_session() {
    let Fixture { directory, engine } = Fixture::new();
    let path = directory.path().display().to_string();
    directory.close().unwrap();
    let empty = SessionData::default();
    let seen = Revision::from(String::new());
    let errors = [
        engine.load(&key()).await.map(drop),
        engine.create(&key(), &record(&empty)).await.map(drop),
        engine
            .replace(&key(), &seen, &record(&empty))
            .await
            .map(drop),
        engine.touch(&key(), &seen, &record(&empty)).await.map(drop),
        engine.delete(&key(), None).await.map(drop),
        engine.clear_expired(&mut |_| {}).await.map(drop),
        engine.list(None, 10).await.map(drop),
    ];
    for error in errors {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Unavailable);
        let message = error.to_string();
        assert!(
            message.contains(&path) && !message.contains(KEY),
            "{message}"
        );
    }
}

#[test]
fn a_directory_that_cannot_be_used_is_found_at_start_up() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [
        file.join("below"),
        file,
        directory.path().join("missing"),
        "/proc".into(),
    ] {
        let mut settings = Settings::new("a secret of no one");
        settings.session_file_path = Some(path.clone());
        let error = FileEngine::new(&settings).unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Misconfigured);
        let message = error.to_string();
        assert!(
            message.contains("SESSION_FILE_PATH") && message.contains(&*path.to_string_lossy()),
            "{message}"
        );
    }
}

#[test]
fn temporary_files_are_nobodys_sessions_whatever_the_cookie_is_called() {
    for name in ["sessionid", ".", ".quintette-", "~", "~quintette-", "q"] {
        let fixture =
            Fixture::with(|settings| settings.session_cookie_name = name.parse().unwrap());
        let locked = {
            let files = &fixture.engine.files;
            files
                .directory
                .create(&key(), b"text", SystemTime::now())
                .unwrap();
            files.directory.lock(&key()).unwrap().unwrap()
        };
        assert_eq!(fixture.names(), [format!("{name}{KEY}")]);
        let temporary = fixture.engine.files.directory.temporary_name().unwrap();
        assert!(!temporary.starts_with(name), "{temporary}");
        drop(locked);
    }
}

#[test]
fn debug_keeps_the_secret() {
    let fixture = Fixture::new();
    let shown = format!("{:?}", fixture.engine);
    assert!(
        !shown.contains("secret") && shown.contains("directory"),
        "{shown}"
    );
}
