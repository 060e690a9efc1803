//! What is in a file, what it is called, and when it expires.

use super::*;

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
        crate::files::time(i64::MAX, 999_999_999),
        DateTime::<Utc>::MAX_UTC
    );
    assert_eq!(crate::files::time(i64::MIN, -1), DateTime::<Utc>::MIN_UTC);
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
