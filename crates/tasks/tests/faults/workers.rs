//! Workers in processes of their own: this test program once more.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use quintette_tasks::Task;
use quintette_tasks::worker::{Context, Tasks, Worker};
use rustix::process::{Pid, Signal, kill_process};

use crate::book::{Book, Kind, Pen};
use crate::site::Site;
use crate::until;

pub(crate) static LATE: Task<(u32,), u32> = Task::new("faults.late", &["number"]).acks_late();
pub(crate) static EARLY: Task<(u32,), u32> = Task::new("faults.early", &["number"]);
/// Takes its process along.
pub(crate) static POISON: Task<(u32,), u32> = Task::new("faults.poison", &["number"]).acks_late();

const BOOK: &str = "QUINTETTE_FAULTS_BOOK";

/// Not a test: what each process runs that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is run by the other tests"]
async fn a_worker_of_its_own() {
    let (Some(site), Some(book)) = (Site::told(), std::env::var_os(BOOK)) else {
        return;
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    end_with_the_test();
    let pen = Arc::new(Pen::open(&PathBuf::from(book)));
    let of = |task: &Task<(u32,), u32>, kind: Kind| {
        let pen = pen.clone();
        Tasks::new().with(task, move |_: Context, (number,)| {
            let pen = pen.clone();
            async move {
                pen.begun(kind, number);
                tokio::time::sleep(Duration::from_millis(5)).await;
                pen.done(kind, number);
                Ok(number)
            }
        })
    };
    let tasks = of(&LATE, Kind::Late).and(&of(&EARLY, Kind::Early));
    let tasks = tasks.with(&POISON, move |_: Context, (number,)| {
        pen.begun(Kind::Late, number);
        kill_process(rustix::process::getpid(), Signal::KILL).unwrap();
        std::future::pending()
    });
    let name = format!("w{}@faults", std::process::id());
    let worker = Worker::new(site.app(), tasks)
        .concurrency(site.concurrency)
        .hostname(name);
    worker.run().await.unwrap();
}

/// The other end of its standard input is held by the test, and goes with it.
fn end_with_the_test() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
}

/// Processes that run one site's tasks.
pub(crate) struct Workers {
    site: Site,
    book: Arc<Book>,
    running: Vec<Child>,
    started: usize,
}

impl Workers {
    pub(crate) fn start(site: &Site, book: &Arc<Book>, count: usize) -> Self {
        let mut workers = Self {
            site: site.clone(),
            book: book.clone(),
            running: Vec::new(),
            started: 0,
        };
        for _ in 0..count {
            workers.start_one();
        }
        workers
    }

    pub(crate) fn start_one(&mut self) {
        self.started += 1;
        let log = self
            .book
            .directory()
            .join(format!("worker{}.log", self.started));
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([
                "--exact",
                "workers::a_worker_of_its_own",
                "--ignored",
                "--nocapture",
            ])
            .env(BOOK, self.book.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(log).unwrap());
        self.site.tell(&mut command);
        self.running.push(command.spawn().unwrap());
    }

    /// Kills the one that has run for the longest, by SIGKILL.
    pub(crate) fn kill_the_oldest(&mut self) {
        let mut oldest = self.running.remove(0);
        oldest.kill().unwrap();
        oldest.wait().unwrap();
    }

    /// Whether the only one has died; then there is none.
    pub(crate) fn the_only_one_died(&mut self) -> bool {
        let died = self.running[0].try_wait().unwrap().is_some();
        if died {
            self.running.clear();
        }
        died
    }

    pub(crate) fn ids(&self) -> Vec<u32> {
        self.running.iter().map(Child::id).collect()
    }

    pub(crate) fn assert_all_alive(&mut self) {
        for worker in &mut self.running {
            let ended = worker.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "worker {} has ended: {ended:?}",
                worker.id()
            );
        }
    }

    pub(crate) fn signal(&self, place: usize, signal: Signal) {
        let id = i32::try_from(self.running[place].id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Asks all for a warm shutdown; they must end in order and in time.
    pub(crate) async fn end(mut self) {
        self.assert_all_alive();
        for place in 0..self.running.len() {
            self.signal(place, Signal::TERM);
        }
        for worker in &mut self.running {
            until("a worker ends", async || {
                worker.try_wait().unwrap().is_some()
            })
            .await;
            let status = worker.wait().unwrap();
            assert!(
                status.success(),
                "worker {} ended with {status}",
                worker.id()
            );
        }
        self.running.clear();
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.running {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}
