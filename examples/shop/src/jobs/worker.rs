//! `shop worker`: a worker in a process of its own.

use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use quintette_tasks::worker::WorkerState;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::{Jobs, Tools, background};
use crate::config::{Config, StartError};
use crate::store::Store;

/// How often the line is drawn anew.
const TICK: Duration = Duration::from_millis(500);

/// Runs tasks until SIGTERM or Ctrl-C, from these queues; from all of the shop's where none is named.
///
/// It logs what it does, a line for each task, and shows a line of numbers below where standard error is a terminal.
///
/// # Errors
///
/// Where the shop's file cannot be used, or the settings make no worker. A broker that is away is waited for.
pub async fn run(queues: &[String]) -> Result<(), StartError> {
    let line = Line::new();
    log(&line);
    let config = Config::from_environment()?;
    let path = config.database_file();
    let store = Store::open(&path)
        .await
        .map_err(|source| StartError::Store { path, source })?;
    let tools = Tools::of(&config, store)?;
    let jobs = Jobs::open(&config)?;
    let mut worker = background::worker(&jobs, &tools);
    if !queues.is_empty() {
        worker = worker.queues(queues.iter().cloned());
    }
    let drawing = tokio::spawn(line.clone().draw(worker.handle().state, tools.clone()));
    let ran = worker.run().await;
    drawing.abort();
    line.bar.finish_and_clear();
    tools.store.close().await;
    Ok(ran?)
}

fn log(line: &Line) {
    let told = "warn,shop=info,quintette_tasks=info";
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(told));
    // A program that embeds the shop may have a log of its own.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(line.clone())
        .try_init();
}

/// The line of numbers below the log; nothing where standard error is no terminal.
#[derive(Clone, Debug)]
struct Line {
    bar: ProgressBar,
}

impl Line {
    fn new() -> Self {
        let bar = ProgressBar::no_length();
        let style = ProgressStyle::with_template("{spinner} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        Self { bar }
    }

    async fn draw(self, state: Arc<WorkerState>, tools: Tools) {
        let mut tick = tokio::time::interval(TICK);
        let mut before = (Instant::now(), 0);
        loop {
            tick.tick().await;
            let active = state.active_count();
            let done = state.processed().saturating_sub(active as u64);
            let failed = tools.failures.load(Ordering::Relaxed);
            let (then, done_then) = before;
            let elapsed = then.elapsed().as_millis().max(1);
            let per_second = u128::from(done.saturating_sub(done_then)) * 1_000 / elapsed;
            before = (Instant::now(), done);
            self.bar.set_message(format!(
                "{done} done · {failed} failed tries · {active} active · {per_second}/s"
            ));
            self.bar.tick();
        }
    }
}

/// Lines of the log go above the line of numbers.
impl<'a> MakeWriter<'a> for Line {
    type Writer = Above<'a>;

    fn make_writer(&'a self) -> Above<'a> {
        Above(&self.bar)
    }
}

struct Above<'a>(&'a ProgressBar);

impl Write for Above<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
