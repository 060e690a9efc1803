//! `quintette tasks inspect`.

use std::io::{self, Write};

use indexmap::IndexMap;
use quintette_tasks::App;
use serde_json::{Map, Value};

use crate::arguments::{InspectArguments, Question};
use crate::error::Error;
use crate::output::{FAINT, HEADING, count, harmless, styled};

/// Asks, and prints the answers by worker.
pub(crate) async fn run(app: &App, arguments: &InspectArguments) -> Result<(), Error> {
    let mut control = app.control().timeout(arguments.timeout);
    if !arguments.worker.is_empty() {
        control = control.destination(arguments.worker.iter().cloned());
    }
    let mut answers = control.ask(method(arguments.question)).await?;
    if answers.is_empty() {
        return Err(Error::Other(format!(
            "no worker answered within {} seconds: is one running on this broker? --timeout waits longer",
            arguments.timeout.as_secs_f64()
        )));
    }
    answers.sort_unstable_keys();
    let mut out = anstream::stdout();
    if arguments.json {
        let text = serde_json::to_string_pretty(&answers).map_err(io::Error::from)?;
        writeln!(out, "{text}")?;
    } else if arguments.question == Question::Ping {
        ping(&mut out, &answers)?;
    } else {
        for (worker, answer) in &answers {
            writeln!(out, "{}", styled(HEADING, harmless(worker)))?;
            print(&mut out, answer)?;
        }
    }
    Ok(())
}

/// Celery's name of a question.
fn method(question: Question) -> &'static str {
    match question {
        Question::Ping => "ping",
        Question::Active => "active",
        Question::Reserved => "reserved",
        Question::Scheduled => "scheduled",
        Question::Registered => "registered",
        Question::Stats => "stats",
        Question::Queues => "active_queues",
        Question::Revoked => "revoked",
        Question::Conf => "conf",
    }
}

fn ping(out: &mut impl Write, answers: &IndexMap<String, Value>) -> io::Result<()> {
    let width = answers.keys().map(String::len).max().unwrap_or_default();
    for (worker, answer) in answers {
        let answer = answer.get("ok").unwrap_or(answer);
        writeln!(out, "{:width$}  {}", harmless(worker), text(answer))?;
    }
    writeln!(out, "\n{}.", count(answers.len() as u64, "worker"))
}

/// Whatever a worker answers, of Python's or of ours, line by line.
fn print(out: &mut impl Write, answer: &Value) -> io::Result<()> {
    match answer {
        Value::Array(rows) if rows.is_empty() => writeln!(out, "  {}", styled(FAINT, "none")),
        Value::Array(rows) => rows.iter().try_for_each(|row| match row {
            Value::Object(row) => writeln!(out, "  {}", line(row)),
            other => writeln!(out, "  {}", text(other)),
        }),
        Value::Object(fields) => fields_of(out, fields, ""),
        other => writeln!(out, "  {}", text(other)),
    }
}

/// A task, a task that waits for its time, or a queue.
fn line(row: &Map<String, Value>) -> String {
    let request = row.get("request").and_then(Value::as_object);
    let task = request.unwrap_or(row);
    let mut columns = Vec::new();
    columns.extend(row.get("eta").map(text));
    columns.extend(task.get("id").map(text));
    columns.extend(task.get("name").or_else(|| task.get("type")).map(text));
    for name in ["args", "kwargs"] {
        let shown = task.get(name).map(text);
        columns.extend(shown.filter(|shown| !matches!(shown.as_str(), "[]" | "()" | "{}")));
    }
    if task.get("id").is_none() {
        // A queue.
        let key = task.get("routing_key").map(text);
        columns.extend(key.map(|key| styled(FAINT, format!("routing key {key}"))));
    }
    columns.join("  ")
}

fn fields_of(out: &mut impl Write, fields: &Map<String, Value>, before: &str) -> io::Result<()> {
    for (name, value) in fields {
        let name = format!("{before}{name}");
        match value {
            Value::Object(inner) if !inner.is_empty() && before.matches('.').count() < 8 => {
                fields_of(out, inner, &format!("{name}."))?;
            }
            other => writeln!(out, "  {:40}  {}", harmless(&name), text(other))?,
        }
    }
    Ok(())
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => harmless(text),
        other => harmless(&other.to_string()),
    }
}
