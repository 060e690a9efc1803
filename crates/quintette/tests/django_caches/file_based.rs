use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quintette::cache::{Cache, FileBasedCache, NamedCache, Revision, Swapped};
use quintette::sessions::SessionErrorKind;
use quintette_core::pickle::{decode_number, encode_number};
use quintette_core::signing::{MAX_DECOMPRESSED, deflate, inflate};
use tempfile::TempDir;

use super::{HOUR, KEY, NAME, PICKLE, color, count_up, with_cache};

/// `md5(NAME)`, and Django's suffix.
const FILE: &str = "4cceab41b4252c1eda7f8baf8f47cbea.djcache";

/// `pickle.dumps(4000000000.25, pickle.HIGHEST_PROTOCOL)`: in the year 2096.
const EXPIRY: &[u8] = b"\x80\x05\x95\n\0\0\0\0\0\0\0GA\xed\xcde\0\x08\0\0.";

/// `pickle.dumps(None, pickle.HIGHEST_PROTOCOL)`: `cache.set(…, timeout=None)`.
const NEVER: &[u8] = b"\x80\x05N.";

/// `zlib.compress(PICKLE)`.
const STREAM: &[u8] = b"\x78\x9c\x6b\x60\x9d\x6a\xc6\x00\x01\xb5\x53\x34\x7a\x58\x93\xf3\x73\xf2\x8b\xa6\xf4\xb0\xa6\
    \x17\xa5\xa6\xe6\x4d\xe9\x61\xcc\x9b\x12\x3b\x45\xc3\x9b\xd1\xdd\x81\x05\xa2\xc8\xaf\x23\xb5\x87\xe9\xf0\xca\x29\
    \x3d\x2c\x1f\xe6\xcf\x68\x98\x52\xaa\x07\x00\x60\x85\x14\xba";

struct Fixture {
    directory: TempDir,
    cache: FileBasedCache,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cache = FileBasedCache::new(directory.path().join("made/cache")).unwrap();
        // No test is to depend on how fast the machine is.
        let cache = cache.with_timeout(HOUR);
        Self { directory, cache }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("made/cache")
    }

    fn file(&self) -> PathBuf {
        self.path().join(FILE)
    }

    fn write(&self, parts: &[&[u8]]) {
        fs::write(self.file(), parts.concat()).unwrap();
    }

    async fn value(&self) -> Option<Vec<u8>> {
        let cached = self.cache.get(NAME).await.unwrap();
        cached.map(|cached| cached.value)
    }

    async fn seen(&self) -> Revision {
        self.cache.get(NAME).await.unwrap().unwrap().into_revision()
    }

    async fn set(&self, name: &str) {
        let set = self.cache.set(name, PICKLE.to_vec(), HOUR).await;
        set.unwrap();
    }

    /// How many entries the directory holds.
    fn entries(&self) -> usize {
        let files = fs::read_dir(self.path()).unwrap();
        files
            .filter(|file| {
                let path = file.as_ref().unwrap().path();
                path.extension()
                    .is_some_and(|extension| extension == "djcache")
            })
            .count()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn an_entry_of_djangos_is_read_touched_replaced_and_deleted() {
    let fixture = Fixture::new();
    fixture.write(&[EXPIRY, STREAM]);
    let cached = fixture.cache.get(NAME).await.unwrap().unwrap();
    assert_eq!(cached.value, PICKLE);
    let ttl = UNIX_EPOCH + Duration::from_secs_f64(4_000_000_000.25);
    let ttl = ttl.duration_since(SystemTime::now()).unwrap();
    assert!(cached.ttl.unwrap().abs_diff(ttl) < HOUR);
    assert_eq!(color(fixture.cache.clone()).await.unwrap(), "\"green\"");
    let seen = cached.into_revision();
    let touched = fixture.cache.touch(NAME, &seen, HOUR).await.unwrap();
    assert_eq!(touched, Swapped::Done(()));
    let file = fs::read(fixture.file()).unwrap();
    assert!(file.ends_with(STREAM) && !file.starts_with(EXPIRY));
    let replaced = fixture.cache.replace(NAME, &seen, b"next".to_vec(), HOUR);
    let Swapped::Done(seen) = replaced.await.unwrap() else {
        panic!("it is what was seen");
    };
    assert_eq!(fixture.value().await.unwrap(), b"next");
    let deleted = fixture.cache.delete(NAME, Some(&seen)).await.unwrap();
    assert_eq!(deleted, Swapped::Done(()));
    assert_eq!(fixture.entries(), 0);
}

#[tokio::test]
async fn an_entry_without_an_expiry_lives() {
    let fixture = Fixture::new();
    fixture.write(&[NEVER, STREAM]);
    let cached = fixture.cache.get(NAME).await.unwrap().unwrap();
    assert_eq!((cached.value.as_slice(), cached.ttl), (PICKLE, None));
}

#[tokio::test]
async fn an_entry_is_written_as_django_reads_it_for_its_owner_alone() {
    let fixture = Fixture::new();
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    fixture.set(NAME).await;
    assert_eq!(fixture.entries(), 1);
    let file = fs::read(fixture.file()).unwrap();
    let (expiry, stream) = decode_number(&file).unwrap();
    let lives = expiry.unwrap() - before.as_secs_f64();
    assert!((3600.0..7200.0).contains(&lives), "{lives}");
    assert_eq!(inflate(stream).unwrap(), PICKLE);
    assert_eq!(mode(&fixture.file()), 0o600);
    assert_eq!(mode(&fixture.path()), 0o700);
    assert_eq!(mode(fixture.path().parent().unwrap()), 0o700);
}

#[tokio::test]
async fn what_django_leaves_behind_where_it_rewrites_a_longer_file_is_ignored() {
    let fixture = Fixture::new();
    fixture.write(&[EXPIRY, STREAM, b"the end of what was longer"]);
    assert_eq!(fixture.value().await.unwrap(), PICKLE);
    let seen = fixture.seen().await;
    let replaced = fixture.cache.replace(NAME, &seen, b"next".to_vec(), HOUR);
    assert!(matches!(replaced.await.unwrap(), Swapped::Done(_)));
    assert_eq!(fixture.value().await.unwrap(), b"next");
}

#[tokio::test]
async fn an_expired_entry_goes_when_it_is_met() {
    let fixture = Fixture::new();
    // An empty file is one that Django takes for expired.
    for head in [encode_number(1.0), Vec::new()] {
        fixture.write(&[&head, if head.is_empty() { &[] } else { STREAM }]);
        assert_eq!(fixture.value().await, None);
        assert_eq!(fixture.entries(), 0);
    }
}

#[tokio::test]
async fn a_file_whose_expiry_cannot_be_read_is_no_entry_and_gives_way() {
    for head in [
        &b"\x80"[..],
        b"\x80\x05",
        b"no pickle",
        b"\x80\x05\x8c\x0519999\x94.",
        b"\x80\x06N.",
        // A frame, a string and an integer longer than all memory.
        b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x80\x05\x8d\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x80\x05\x8b\xff\xff\xff\x7f",
        b"cos\nsystem\n(S'id'\ntR.",
        &[b'('; 300],
    ] {
        let fixture = Fixture::new();
        fixture.write(&[head]);
        assert_eq!(fixture.value().await, None, "{head:?}");
        fixture.write(&[head]);
        let added = fixture.cache.add(NAME, PICKLE.to_vec(), HOUR).await;
        assert!(added.unwrap().is_some(), "{head:?}");
        assert_eq!(fixture.value().await.unwrap(), PICKLE);
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_unpacked_is_no_session_and_can_be_replaced() {
    let bomb = deflate(&vec![0; MAX_DECOMPRESSED + 1]).unwrap();
    let code =
        deflate(b"cos\nsystem\n(S'this text is long enough to be packed, packed, packed'\ntR.");
    let code = code.expect("it packs");
    for stream in [&STREAM[..20], b"", b"no zlib stream", &bomb, &code] {
        let fixture = Fixture::new();
        fixture.write(&[EXPIRY, stream]);
        assert_eq!(color(fixture.cache.clone()).await, None);
        let seen = fixture.seen().await;
        let replaced = fixture.cache.replace(NAME, &seen, PICKLE.to_vec(), HOUR);
        assert!(matches!(replaced.await.unwrap(), Swapped::Done(_)));
        assert_eq!(color(fixture.cache.clone()).await.unwrap(), "\"green\"");
    }
}

#[tokio::test]
async fn nothing_is_written_that_could_not_be_read() {
    let fixture = Fixture::new();
    let large = vec![0; MAX_DECOMPRESSED + 1];
    fixture.cache.set(NAME, large, HOUR).await.unwrap_err();
    assert_eq!(fixture.entries(), 0);
    let just_fits = vec![0; MAX_DECOMPRESSED];
    fixture.cache.set(NAME, just_fits, HOUR).await.unwrap();
    assert_eq!(fixture.value().await.unwrap().len(), MAX_DECOMPRESSED);
}

#[tokio::test]
async fn what_is_no_file_is_no_entry_and_blocks_nobody() {
    let make: [fn(&Path); 3] = [
        |path| fs::create_dir(path).unwrap(),
        |path| {
            let target = path.with_extension("target");
            fs::write(&target, [EXPIRY, STREAM].concat()).unwrap();
            symlink(target, path).unwrap();
        },
        |path| {
            let made = Command::new("mkfifo").arg(path).status();
            assert!(made.unwrap().success());
        },
    ];
    for make in make {
        let fixture = Fixture::new();
        make(&fixture.file());
        assert_eq!(fixture.value().await, None);
        let added = fixture.cache.add(NAME, PICKLE.to_vec(), HOUR).await;
        assert_eq!(added.unwrap(), None);
        let seen = Revision::from(STREAM.to_vec());
        let touched = fixture.cache.touch(NAME, &seen, HOUR).await.unwrap();
        assert_eq!(touched, Swapped::Missing);
        let deleted = fixture.cache.delete(NAME, None).await.unwrap();
        assert_eq!(deleted, Swapped::Missing);
        // A link's or a pipe's name may be taken; a directory's cannot.
        let set = fixture.cache.set(NAME, PICKLE.to_vec(), HOUR).await;
        assert_eq!(set.is_err(), fixture.file().is_dir());
    }
}

#[tokio::test]
async fn where_there_are_too_many_one_in_three_goes_and_never_the_one_that_comes() {
    let fixture = Fixture::new();
    let cache = fixture.cache.clone().with_culling(6, 3);
    let other = fixture.path().join("somebody's file");
    fs::write(&other, "").unwrap();
    for n in 0..20 {
        let name = format!("name {n}");
        let added = cache.add(&name, PICKLE.to_vec(), HOUR).await.unwrap();
        assert!(added.is_some() && cache.get(&name).await.unwrap().is_some());
        assert!(fixture.entries() <= 6, "{}", fixture.entries());
    }
    assert!(fixture.entries() > 3);
    assert!(other.exists());
}

#[tokio::test]
async fn what_is_there_already_is_replaced_without_a_culling() {
    let fixture = Fixture::new();
    let names = ["one", "two", "three"];
    for name in names {
        fixture.set(name).await;
    }
    let full = fixture.cache.clone().with_culling(3, 1);
    for name in names {
        let seen = full.get(name).await.unwrap().unwrap().into_revision();
        let replaced = full.replace(name, &seen, b"next".to_vec(), HOUR).await;
        assert!(matches!(replaced.unwrap(), Swapped::Done(_)));
        full.set(name, b"last".to_vec(), HOUR).await.unwrap();
    }
    assert_eq!(fixture.entries(), 3);
}

#[tokio::test]
async fn a_cull_frequency_of_zero_is_all_of_them() {
    let fixture = Fixture::new();
    let cache = fixture.cache.clone().with_culling(4, 0);
    for n in 0..5 {
        let set = cache.set(&n.to_string(), PICKLE.to_vec(), HOUR).await;
        set.unwrap();
    }
    assert_eq!(fixture.entries(), 1);
}

#[tokio::test]
async fn without_options_it_holds_300_as_in_django() {
    let fixture = Fixture::new();
    for n in 0..301 {
        fixture.set(&n.to_string()).await;
    }
    assert_eq!(fixture.entries(), 201);
}

#[tokio::test]
async fn a_directory_that_was_deleted_is_made_again() {
    let fixture = Fixture::new();
    for n in 0..2 {
        fs::remove_dir_all(fixture.path().parent().unwrap()).unwrap();
        assert_eq!(fixture.value().await, None);
        let seen = Revision::from(STREAM.to_vec());
        let touched = fixture.cache.touch(NAME, &seen, HOUR).await.unwrap();
        assert_eq!(touched, Swapped::Missing);
        if n == 0 {
            fixture.set(NAME).await;
        } else {
            let added = fixture.cache.add(NAME, PICKLE.to_vec(), HOUR).await;
            assert!(added.unwrap().is_some());
        }
        assert_eq!(mode(&fixture.path()), 0o700);
        assert_eq!(fixture.value().await.unwrap(), PICKLE);
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_found_at_start_up() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    File::create(&file).unwrap();
    for path in [file.clone(), file.join("cache")] {
        let settings = with_cache(&format!("file://{}", path.display()));
        let error = NamedCache::connect(&settings, "default").await.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Misconfigured);
        assert!(error.to_string().contains("LOCATION"), "{error}");
    }
}

#[tokio::test]
async fn a_file_that_another_process_holds_locked_is_not_waited_for_for_ever() {
    let fixture = Fixture::new();
    fixture.set(NAME).await;
    let seen = fixture.seen().await;
    let held = File::open(fixture.file()).unwrap();
    held.lock().unwrap();
    let cache = fixture
        .cache
        .clone()
        .with_timeout(Duration::from_millis(50));
    let error = cache.touch(NAME, &seen, HOUR).await.unwrap_err();
    assert!(error.is_unknown());
    // Readers take no lock.
    assert_eq!(fixture.value().await.unwrap(), PICKLE);
    held.unlock().unwrap();
    let touched = fixture.cache.touch(NAME, &seen, HOUR).await.unwrap();
    assert_eq!(touched, Swapped::Done(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_count_together() {
    let fixture = Fixture::new();
    let one: Arc<dyn Cache> = Arc::new(fixture.cache.clone());
    let other = FileBasedCache::new(fixture.path()).unwrap();
    count_up([one, Arc::new(other.with_timeout(HOUR))]).await;
}

#[tokio::test]
async fn debug_tells_the_directory_alone() {
    let fixture = Fixture::new();
    fixture.set(NAME).await;
    let cached = fixture.cache.get(NAME).await.unwrap();
    let shown = format!("{:?} {cached:?}", fixture.cache);
    assert!(
        shown.contains("made/cache") && !shown.contains(KEY),
        "{shown}"
    );
}
