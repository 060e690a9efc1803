//! Several at once, Django among them.

use super::*;
use crate::files::swap;

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
