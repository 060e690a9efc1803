//! Memcached's meta protocol (doc/protocol.txt of Memcached 1.6): commands as bytes, and bytes as answers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest key that Memcached takes, in bytes.
const MAX_KEY: usize = 250;

/// An answer's first line is a word, a size and the flags that were asked for: far shorter than this.
const MAX_LINE: usize = 2048;

/// No answer is larger: sixteen times what a server takes unless told otherwise (`-I`).
const MAX_VALUE: usize = 16 << 20;

/// Above 30 days, Memcached takes a time for a date in Unix time.
const MAX_RELATIVE: u64 = 30 * 24 * 60 * 60;

/// A key that Memcached can hold: not empty, at most 250 bytes, without white space and control characters, as Django
/// asks it of keys (`memcache_key_warnings` in django/core/cache/backends/base.py).
///
/// What a visitor sends becomes part of a key: no key that ends a command or begins another gets past here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a>(&'a str);

impl<'a> Key<'a> {
    pub(super) fn parse(name: &'a str) -> Option<Self> {
        let held = !name.is_empty()
            && name.len() <= MAX_KEY
            && name.bytes().all(|byte| byte > b' ' && byte != 0x7f);
        held.then_some(Self(name))
    }

    pub(super) fn as_str(self) -> &'a str {
        self.0
    }
}

/// How a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    /// Whatever is there.
    Set,
    /// Where there is nothing.
    Add,
    /// In place of what has this CAS number.
    Swap(u64),
}

/// Reads a value with its flags, CAS number and remaining time.
pub(super) fn get(key: Key<'_>) -> Vec<u8> {
    format!("mg {} v f c t\r\n", key.0).into_bytes()
}

/// Stores a value; the answer holds its CAS number, which the older `cas` command keeps to itself.
pub(super) fn store(key: Key<'_>, how: Store, flags: u32, value: &[u8], ttl: Duration) -> Vec<u8> {
    let how = match how {
        Store::Set => String::new(),
        Store::Add => " ME".to_owned(),
        Store::Swap(cas) => format!(" C{cas}"),
    };
    let (size, time) = (value.len(), time(ttl));
    let mut command = format!("ms {} {size} c F{flags} T{time}{how}\r\n", key.0).into_bytes();
    command.extend_from_slice(value);
    command.extend_from_slice(b"\r\n");
    command
}

/// Moves the time; the answer holds the CAS number of what it was moved for, which stays as it is.
pub(super) fn touch(key: Key<'_>, ttl: Duration) -> Vec<u8> {
    format!("mg {} c T{}\r\n", key.0, time(ttl)).into_bytes()
}

/// Deletes what has this CAS number, or whatever is there.
pub(super) fn delete(key: Key<'_>, cas: Option<u64>) -> Vec<u8> {
    match cas {
        Some(cas) => format!("md {} C{cas}\r\n", key.0),
        None => format!("md {}\r\n", key.0),
    }
    .into_bytes()
}

/// Asks for what a connection must know first: the server's version, and the largest item that it takes. `mn` is answered
/// after everything before it.
pub(super) const GREETING: &[u8] = b"version\r\nstats settings\r\nmn\r\n";

/// The first version that reads [`store`] as it is meant. Those before speak a meta protocol of their own, and would
/// take the value for further commands.
const FIRST: [u32; 3] = [1, 6, 10];

/// Whether a server of this version speaks the protocol.
pub(super) fn is_spoken_by(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| {
        let digits = part.find(|character: char| !character.is_ascii_digit());
        part[..digits.unwrap_or(part.len())].parse().unwrap_or(0)
    });
    let version = [(); 3].map(|()| parts.next().unwrap_or(0));
    version >= FIRST
}

/// A time as Memcached counts it: whole seconds, of which 0 would be for ever and a negative number is over at once.
fn time(ttl: Duration) -> i64 {
    let begun = u64::from(ttl.subsec_nanos() > 0);
    let seconds = ttl.as_secs().saturating_add(begun);
    let seconds = match seconds {
        0 => return -1,
        relative @ 1..=MAX_RELATIVE => relative,
        more => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            more.saturating_add(now.map_or(0, |now| now.as_secs()))
        }
    };
    // The server counts in 32 bits, and takes what does not fit for the past.
    i64::from(i32::try_from(seconds).unwrap_or(i32::MAX))
}

/// What a server answers to one command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// `VA`: a value.
    Value(Item),
    /// `HD`: done, with the CAS number where it was asked for.
    Done { cas: u64 },
    /// `EN` or `NF`: nothing is there.
    Missing,
    /// `EX`: it has another CAS number.
    Exists,
    /// `NS`: not stored.
    NotStored,
    /// `MN`: everything before is answered.
    Noop,
    /// `VERSION`: what the server is.
    Version(String),
    /// `STAT`: one of the settings; more follow.
    Setting { name: String, value: String },
    /// `END` of the settings.
    End,
    /// `SERVER_ERROR`: it could not do this one.
    Refused(String),
}

/// A value as it lies in the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) value: Vec<u8>,
    pub(super) flags: u32,
    pub(super) cas: u64,
    /// `None` where it lives for ever.
    pub(super) ttl: Option<Duration>,
}

/// An answer that ends the connection: what follows it cannot be told apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Garbled(pub(super) String);

/// The first answer in these bytes, and how many of them it takes; `None` where more are to come.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Answer, usize)>, Garbled> {
    let window = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return if window.len() == MAX_LINE {
            Err(Garbled("a line without end".to_owned()))
        } else {
            Ok(None)
        };
    };
    let line = String::from_utf8_lossy(&bytes[..end]);
    let after = end + 2;
    let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
    let answer = match word {
        "VA" => {
            return item(rest, &bytes[after..])
                .map(|it| it.map(|(item, size)| (item, after + size)));
        }
        "HD" => Answer::Done {
            cas: number(rest, 'c')?.unwrap_or(0),
        },
        "EN" | "NF" => Answer::Missing,
        "EX" => Answer::Exists,
        "NS" => Answer::NotStored,
        "MN" => Answer::Noop,
        "END" => Answer::End,
        "VERSION" => Answer::Version(rest.to_owned()),
        "STAT" => {
            let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
            Answer::Setting {
                name: name.to_owned(),
                value: value.to_owned(),
            }
        }
        "SERVER_ERROR" => Answer::Refused(rest.to_owned()),
        _ => return Err(Garbled(line.chars().take(80).collect())),
    };
    Ok(Some((answer, after)))
}

/// The rest of `VA <size> <flags>*`, and the value that follows.
fn item(line: &str, bytes: &[u8]) -> Result<Option<(Answer, usize)>, Garbled> {
    let (size, flags) = line.split_once(' ').unwrap_or((line, ""));
    let size = size.parse().ok().filter(|size| *size <= MAX_VALUE);
    let size: usize = size.ok_or_else(|| Garbled("a value of no known size".to_owned()))?;
    let Some(value) = bytes.get(..size + 2) else {
        return Ok(None);
    };
    let Some(value) = value.strip_suffix(b"\r\n") else {
        return Err(Garbled("a value of another size than announced".to_owned()));
    };
    let item = Item {
        value: value.to_vec(),
        flags: number(flags, 'f')?.unwrap_or(0),
        cas: number(flags, 'c')?.unwrap_or(0),
        // For ever is -1, which is no number here.
        ttl: number(flags, 't').ok().flatten().map(Duration::from_secs),
    };
    Ok(Some((Answer::Value(item), size + 2)))
}

/// The number after this flag.
fn number<T: std::str::FromStr>(flags: &str, flag: char) -> Result<Option<T>, Garbled> {
    let number = flags.split(' ').find_map(|found| found.strip_prefix(flag));
    match number.map(str::parse) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => Err(Garbled(format!("a flag {flag} without a number"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(answer: &Answer) -> &Item {
        match answer {
            Answer::Value(item) => item,
            other => panic!("no value: {other:?}"),
        }
    }

    #[test]
    fn an_answer_is_read_once_it_is_whole() {
        let bytes = b"VA 3 f1 c77 t60\r\n\r\n1\r\nHD c78\r\nEN\r\n";
        for end in 0..22 {
            assert_eq!(parse(&bytes[..end]), Ok(None), "{end}");
        }
        let (answer, size) = parse(bytes).unwrap().unwrap();
        let item = value(&answer);
        assert_eq!(
            (&item.value[..], item.flags, item.cas),
            (&b"\r\n1"[..], 1, 77)
        );
        assert_eq!(item.ttl, Some(Duration::from_mins(1)));
        let rest = &bytes[size..];
        assert_eq!(parse(rest), Ok(Some((Answer::Done { cas: 78 }, 8))));
        assert_eq!(parse(&rest[8..]), Ok(Some((Answer::Missing, 4))));
    }

    #[test]
    fn a_value_for_ever_has_no_time() {
        let (answer, _) = parse(b"VA 0 f9 c1 t-1\r\n\r\n").unwrap().unwrap();
        assert_eq!(value(&answer).ttl, None);
    }

    #[test]
    fn what_no_server_says_ends_the_connection_and_nothing_else() {
        let long = vec![b'x'; MAX_LINE];
        for garbage in [
            &b"ERROR\r\n"[..],
            b"CLIENT_ERROR bad command line format\r\n",
            b"VA -1 f1\r\n",
            b"VA 99999999999 f1\r\n",
            b"VA 18446744073709551615 f1\r\n",
            b"VA 1 f1 c1\r\n123",
            b"VA 1 fx c1\r\n1\r\n",
            b"HD c-1\r\n",
            b"HD c99999999999999999999\r\n",
            b"\r\n",
            b"\xff\xfe\r\n",
            b"HTTP/1.1 400 Bad Request\r\n",
            &long,
        ] {
            assert!(parse(garbage).is_err(), "{garbage:?}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut state = 1_u64;
        let alphabet = b"VAHDENMSTCfct0129- \r\n\xff\0";
        for _ in 0..20_000 {
            let mut bytes = Vec::new();
            for _ in 0..24 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let n = usize::try_from(state >> 33).unwrap() % alphabet.len();
                bytes.push(alphabet[n]);
            }
            bytes.extend_from_slice(b"\r\n");
            if let Ok(Some((_, size))) = parse(&bytes) {
                assert!(size <= bytes.len());
            }
        }
    }

    #[test]
    fn times_are_whole_seconds_and_zero_is_over() {
        assert_eq!(time(Duration::ZERO), -1);
        assert_eq!(time(Duration::from_millis(1)), 1);
        assert_eq!(time(Duration::from_millis(1001)), 2);
        assert_eq!(time(Duration::from_hours(30 * 24)), 2_592_000);
        let beyond = time(Duration::from_hours(31 * 24));
        assert!(beyond > 1_700_000_000, "a date: {beyond}");
        assert_eq!(time(Duration::MAX), i64::from(i32::MAX));
    }

    #[test]
    fn servers_before_the_protocol_was_settled_do_not_speak_it() {
        for version in ["1.6.10", "1.6.18", "1.6.21-dirty", "1.7", "2.0.0", "1.10.0"] {
            assert!(is_spoken_by(version), "{version}");
        }
        for version in [
            "1.6.9",
            "1.6.9_1",
            "1.5.22",
            "1.6",
            "0.41.0 mcrouter",
            "",
            "é",
            "x.y",
        ] {
            assert!(!is_spoken_by(version), "{version}");
        }
    }

    #[test]
    fn a_key_that_would_be_more_than_a_key_is_none() {
        for key in [
            "",
            "a b",
            "a\r\nflush_all",
            "a\n",
            "a\0",
            "a\u{7f}",
            &"k".repeat(251),
            &"é".repeat(126),
        ] {
            assert!(Key::parse(key).is_none(), "{key:?}");
        }
        for key in [":1:abc", "-", "é", &"k".repeat(250)] {
            assert!(Key::parse(key).is_some(), "{key:?}");
        }
    }
}
