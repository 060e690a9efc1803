//! Many files: the clean-up and the list, and what else may lie in the directory.

use super::*;

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
        let temporary = fixture
            .engine
            .files
            .directory
            .files
            .temporary_name()
            .unwrap();
        assert!(!temporary.starts_with(name), "{temporary}");
        drop(locked);
    }
}
