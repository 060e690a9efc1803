#![expect(
    clippy::doc_markdown,
    reason = "these comments are the text of --help, where backticks say nothing"
)]

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use quintette::json::RawJson;

/// What there is to do with tasks.
#[derive(Clone, Debug, Subcommand)]
pub enum TasksCommand {
    /// Call a task, and print its id.
    ///
    /// Whichever worker takes it runs it, Rust's or Python's: the task needs not be known here.
    Send(SendArguments),

    /// Show what became of a task.
    ///
    /// Exits with 1 where it failed, or is not ready when the waiting ends.
    Result(ResultArguments),

    /// Tell all workers not to run tasks. Needs RabbitMQ or Redis.
    ///
    /// A worker forgets it when it ends, unless CELERY_WORKER_STATE_DB (Celery: --statedb) keeps it.
    Revoke(TasksRevokeArguments),

    /// Ask the workers what they do. Needs RabbitMQ or Redis.
    Inspect(InspectArguments),

    /// Drop all tasks that wait in queues. They are lost.
    Purge(PurgeArguments),

    /// Look at messages that were set aside, and send them again.
    ///
    /// A Rust worker sets aside, in the queue <queue>.dead, what is no task, what nobody knows, and what came back too often
    /// (CELERY_WORKER_DELIVERY_LIMIT).
    #[command(subcommand, arg_required_else_help = true)]
    Dead(DeadCommand),
}

/// What to call, and how.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  quintette tasks send shop.tasks.add 2 3 --wait 10
  quintette tasks send shop.tasks.greet '\"Mei\"' --kwargs '{\"loudly\": true}'
  quintette tasks send shop.tasks.sales_report --countdown 60 --expires 3600")]
pub struct SendArguments {
    /// The task's name.
    pub name: String,

    /// Its arguments, each as JSON: 2, true, '\"a text\"', '[1, 2]'.
    #[arg(value_parser = json, allow_negative_numbers = true)]
    pub args: Vec<RawJson>,

    /// Its arguments by name: a JSON object.
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub kwargs: Option<RawJson>,

    /// Into this queue. By default, where CELERY_TASK_ROUTES sends it, or else CELERY_TASK_DEFAULT_QUEUE.
    #[arg(long, short = 'Q')]
    pub queue: Option<String>,

    /// Not before so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, conflicts_with = "eta")]
    pub countdown: Option<Duration>,

    /// Not before this time: 2027-01-31T08:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub eta: Option<DateTime<Utc>>,

    /// Not after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub expires: Option<Duration>,

    /// From 0 to 255: RabbitMQ runs the higher first, Redis the lower.
    #[arg(long)]
    pub priority: Option<u8>,

    /// The id that it shall have. A random one by default.
    #[arg(long)]
    pub id: Option<String>,

    /// Wait so long for the result, and print it.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub wait: Option<Duration>,
}

/// Which task's result.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  quintette tasks result 8f2c1d0e-7a51-4c6b-9f43-0d3a0c1b2e4f
  quintette tasks result 8f2c1d0e-7a51-4c6b-9f43-0d3a0c1b2e4f --wait 30")]
pub struct ResultArguments {
    /// The task's id.
    pub id: String,

    /// Wait so long until it is ready.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub wait: Option<Duration>,

    /// Print the JSON that Celery stores.
    #[arg(long)]
    pub json: bool,
}

/// Which tasks not to run.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  quintette tasks revoke 8f2c1d0e-7a51-4c6b-9f43-0d3a0c1b2e4f
  quintette tasks revoke 8f2c1d0e-7a51-4c6b-9f43-0d3a0c1b2e4f --terminate")]
pub struct TasksRevokeArguments {
    /// The tasks' ids.
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,

    /// Also end those that run.
    #[arg(long)]
    pub terminate: bool,
}

/// What to ask the workers.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  quintette tasks inspect
  quintette tasks inspect active
  quintette tasks inspect stats --worker celery@web1 --json")]
pub struct InspectArguments {
    /// What to ask.
    #[arg(value_enum, default_value_t = Question::Ping)]
    pub question: Question,

    /// Ask this worker alone. May be given several times.
    #[arg(long, short = 'd', value_name = "NAME")]
    pub worker: Vec<String>,

    /// Wait so many seconds for answers.
    #[arg(long, short, value_name = "SECONDS", value_parser = seconds, default_value = "1")]
    pub timeout: Duration,

    /// Print a JSON object.
    #[arg(long)]
    pub json: bool,
}

/// What workers can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Question {
    /// Who is there.
    Ping,
    /// What they run.
    Active,
    /// What they hold, and have not begun.
    Reserved,
    /// What they hold until its time.
    Scheduled,
    /// Which tasks they know.
    Registered,
    /// How long they run, how much they have done.
    Stats,
    /// Which queues they take from.
    Queues,
    /// Which tasks they will not run.
    Revoked,
    /// Their settings.
    Conf,
}

/// Which queues to empty.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  quintette tasks purge
  quintette tasks purge mail slow --yes")]
pub struct PurgeArguments {
    /// The queues. By default, CELERY_TASK_DEFAULT_QUEUE.
    #[arg(value_name = "QUEUE")]
    pub queues: Vec<String>,

    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
}

/// What there is to do with messages that were set aside.
#[derive(Clone, Debug, Subcommand)]
pub enum DeadCommand {
    /// List them.
    #[command(after_help = "Examples:
  quintette tasks dead list
  quintette tasks dead list mail --json")]
    List {
        /// Whose messages.
        #[command(flatten)]
        queue: DeadQueue,
        /// List so many at the most.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// Print a JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Show one of them whole.
    #[command(after_help = "Examples:
  quintette tasks dead show 8f2c1d0e-7a51-4c6b-9f43-0d3a0c1b2e4f mail")]
    Show {
        /// The task's id.
        id: String,
        /// Whose messages.
        #[command(flatten)]
        queue: DeadQueue,
    },
    /// Send them back to the queue that they came from.
    #[command(after_help = "Examples:
  quintette tasks dead replay
  quintette tasks dead replay mail --id 8f2c1d0e-7a51-4c6b-9f43-0d3a0c1b2e4f")]
    Replay {
        /// Whose messages.
        #[command(flatten)]
        queue: DeadQueue,
        /// Only the task with this id. May be given several times.
        #[arg(long, value_name = "ID")]
        id: Vec<String>,
    },
    /// Drop them. They are lost.
    #[command(after_help = "Examples:
  quintette tasks dead purge mail --yes")]
    Purge {
        /// Whose messages.
        #[command(flatten)]
        queue: DeadQueue,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
}

/// Whose messages.
#[derive(Args, Clone, Debug)]
pub struct DeadQueue {
    /// The queue that they came from. By default, CELERY_TASK_DEFAULT_QUEUE.
    #[arg(value_name = "QUEUE")]
    pub queue: Option<String>,
}

fn json(text: &str) -> Result<RawJson, String> {
    RawJson::parse(text)
        .map_err(|_| "it is no JSON; a text needs its quotes: '\"text\"'".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok();
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| "write a number of seconds, such as 30 or 0.5".to_owned())
}

/// A hundred years: what is longer is a mistake.
const LONGEST: Duration = Duration::from_hours(876_000);

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let time = DateTime::parse_from_rfc3339(text);
    time.map(Into::into)
        .map_err(|_| "write a time with its zone, such as 2027-01-31T08:00:00Z".to_owned())
}
