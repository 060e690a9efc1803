//! `quintette tasks dead`.

use std::io::{self, Write as _};

use quintette_tasks::App;
use quintette_tasks::worker::dead::{self, DeadMessage, dead_queue};
use serde_json::{Value, json};

use super::may_drop;
use crate::arguments::{DeadCommand, DeadQueue};
use crate::error::Error;
use crate::output::{FAINT, HEADING, count, harmless, print_note, styled};

/// How many messages are searched for one.
const SEARCHED: usize = 100_000;
/// How much of a body is shown, in bytes.
const SHOWN: usize = 16 * 1024;

/// Does what the command says.
pub(crate) async fn run(app: &App, command: &DeadCommand) -> Result<(), Error> {
    match command {
        DeadCommand::List { queue, limit, json } => {
            list(app, name(app, queue), *limit, *json).await
        }
        DeadCommand::Show { id, queue } => show(app, name(app, queue), id).await,
        DeadCommand::Replay { queue, id } => replay(app, name(app, queue), id).await,
        DeadCommand::Purge { queue, yes } => purge(app, name(app, queue), *yes).await,
    }
}

fn name<'a>(app: &'a App, queue: &'a DeadQueue) -> &'a str {
    let default = &app.settings().task_default_queue;
    queue.queue.as_ref().unwrap_or(default)
}

async fn list(app: &App, queue: &str, limit: u32, as_json: bool) -> Result<(), Error> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    // One more than is printed, to know whether there are more.
    let mut found = dead::list(app, queue, limit.saturating_add(1)).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let mut out = anstream::stdout();
    if as_json {
        let rows: Vec<Value> = found.iter().map(row).collect();
        let text = serde_json::to_string_pretty(&rows).map_err(io::Error::from)?;
        writeln!(out, "{text}")?;
    } else if found.is_empty() {
        writeln!(out, "Nothing of {} was set aside.", harmless(queue))?;
    } else {
        let heading = format!("{:36}  {:26}  TASK", "ID", "SET ASIDE");
        writeln!(out, "{}", styled(HEADING, heading))?;
        for dead in &found {
            let id = harmless(dead.id.as_deref().unwrap_or("-"));
            let task = harmless(dead.task.as_deref().unwrap_or("-"));
            let at = harmless(dead.at.get(..26).unwrap_or(&dead.at));
            writeln!(out, "{id:36}  {at:26}  {task}")?;
            writeln!(out, "  {}", styled(FAINT, harmless(&dead.reason)))?;
        }
    }
    if more {
        print_note("there are more than these; --limit shows more");
    }
    Ok(())
}

fn row(dead: &DeadMessage) -> Value {
    json!({
        "id": dead.id,
        "task": dead.task,
        "queue": dead.queue,
        "reason": dead.reason,
        "at": dead.at,
        "worker": dead.worker,
    })
}

async fn show(app: &App, queue: &str, id: &str) -> Result<(), Error> {
    let found = dead::list(app, queue, SEARCHED).await?;
    let dead = found
        .iter()
        .find(|dead| dead.id.as_deref() == Some(id))
        .ok_or_else(|| {
            Error::Other(format!(
                "no task of this id is in {}: `quintette tasks dead list` prints those there are",
                harmless(&dead_queue(queue))
            ))
        })?;
    let mut out = anstream::stdout();
    for (name, value) in [
        ("Id", id),
        ("Task", dead.task.as_deref().unwrap_or("-")),
        ("Queue", &dead.queue),
        ("Reason", &dead.reason),
        ("Set aside", &dead.at),
        ("Worker", &dead.worker),
        ("Content", &dead.message.content_type),
    ] {
        writeln!(out, "{name:10} {}", harmless(value))?;
    }
    writeln!(out, "{}", styled(HEADING, "Headers"))?;
    for (name, value) in &dead.message.headers {
        writeln!(out, "  {} {}", harmless(name), harmless(&value.to_string()))?;
    }
    writeln!(out, "{}", styled(HEADING, "Body"))?;
    let body = &dead.message.body;
    let text = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]);
    writeln!(out, "  {}", harmless(&text))?;
    if body.len() > SHOWN {
        print_note(&format!(
            "the body has {} bytes; the first {SHOWN} are shown",
            body.len()
        ));
    }
    Ok(())
}

async fn replay(app: &App, queue: &str, ids: &[String]) -> Result<(), Error> {
    let ids = (!ids.is_empty()).then_some(ids);
    let replayed = dead::replay(app, queue, ids).await?;
    let number = count(replayed, "message");
    let queue = harmless(queue);
    writeln!(anstream::stdout(), "Sent {number} back to {queue}.")?;
    match ids {
        Some(ids) if replayed < ids.len() as u64 => Err(Error::Other(
            "not all of these tasks were set aside: `quintette tasks dead list` prints those there are".to_owned(),
        )),
        _ => Ok(()),
    }
}

async fn purge(app: &App, queue: &str, is_certain: bool) -> Result<(), Error> {
    let place = dead_queue(queue);
    let waiting = app.broker().waiting(&place).await?;
    let place = harmless(&place);
    let mut dropped = 0;
    if may_drop(waiting, &place, is_certain).await? {
        dropped = dead::purge(app, queue).await?;
    }
    let number = count(dropped, "message");
    writeln!(anstream::stdout(), "Dropped {number} of {place}.")?;
    Ok(())
}
