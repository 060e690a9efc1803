//! The books on every run: a line of a file for its beginning and one for its end, which outlive whoever is killed.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tempfile::TempDir;

/// How a task's message is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Late,
    Early,
}

impl Kind {
    pub(crate) fn letter(self) -> char {
        match self {
            Self::Late => 'L',
            Self::Early => 'E',
        }
    }
}

/// What a worker writes into.
pub(crate) struct Pen(File);

impl Pen {
    pub(crate) fn open(path: &Path) -> Self {
        let file = OpenOptions::new().append(true).create(true).open(path);
        Self(file.unwrap())
    }

    pub(crate) fn begun(&self, kind: Kind, number: u32) {
        self.write('+', kind, number);
    }

    pub(crate) fn done(&self, kind: Kind, number: u32) {
        self.write('-', kind, number);
    }

    /// In one call: the kernel lets no two of them mix, and has it even if this process is killed.
    fn write(&self, what: char, kind: Kind, number: u32) {
        let line = format!("{what} {} {number} {}\n", kind.letter(), std::process::id());
        (&self.0).write_all(line.as_bytes()).unwrap();
    }
}

/// The processes in which a task began, and how often it came to its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    pub(crate) begun: Vec<u32>,
    pub(crate) done: u32,
}

impl Runs {
    /// Whether one process began it twice.
    pub(crate) fn is_twice_in_one(&self) -> bool {
        let mut processes = self.begun.clone();
        processes.sort_unstable();
        processes.windows(2).any(|pair| pair[0] == pair[1])
    }
}

/// What was written so far.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    pub(crate) runs: BTreeMap<(Kind, u32), Runs>,
    /// Ends by process.
    pub(crate) by_process: HashMap<u32, usize>,
    /// Ends in all.
    pub(crate) done: usize,
}

pub(crate) struct Book {
    directory: Option<TempDir>,
    read: Mutex<(File, Vec<u8>, Pages)>,
}

impl Book {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("book");
        drop(Pen::open(&path));
        let file = File::open(&path).unwrap();
        Self {
            directory: Some(directory),
            read: Mutex::new((file, Vec::new(), Pages::default())),
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory
            .as_ref()
            .expect("it has not been dropped")
            .path()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory().join("book")
    }

    /// Looks at all that is written by now.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&Pages) -> T) -> T {
        let mut read = self.read.lock().unwrap();
        let (file, rest, pages) = &mut *read;
        file.read_to_end(rest).unwrap();
        let whole = rest
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let lines: Vec<u8> = rest.drain(..whole).collect();
        for line in String::from_utf8(lines).unwrap().lines() {
            pages.enter(line);
        }
        at(pages)
    }
}

impl Pages {
    fn enter(&mut self, line: &str) {
        let words: Vec<_> = line.split(' ').collect();
        let [what, kind, number, process] = words.as_slice() else {
            panic!("a line of the book: {line:?}");
        };
        let kind = if *kind == "L" {
            Kind::Late
        } else {
            Kind::Early
        };
        let runs = self
            .runs
            .entry((kind, number.parse().unwrap()))
            .or_default();
        let process = process.parse().unwrap();
        if *what == "+" {
            runs.begun.push(process);
        } else {
            runs.done += 1;
            self.done += 1;
            *self.by_process.entry(process).or_default() += 1;
        }
    }
}

/// What a failed test leaves behind can be looked at: the book, and what the workers logged.
impl Drop for Book {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(directory) = self.directory.take()
        {
            println!(
                "the book and the logs are in {}",
                directory.keep().display()
            );
        }
    }
}
