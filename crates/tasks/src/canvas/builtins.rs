//! Celery's own tasks, which a worker that shares a queue with others must know: `celery/app/builtins.py`.

use indexmap::IndexMap;
use quintette_core::json::{RawJson, parse_array};

use super::apply::{Given, Planner};
use super::node::{Chord, Node, Steps};
use super::unlock::unlock;
use crate::arguments::{Arguments, list};
use crate::error::TaskError;
use crate::signature::{Options, Signature};
use crate::task::TaskOptions;
use crate::worker::{Context, Tasks};

type Outcome = Result<RawJson, TaskError>;

/// `tasks` are those that the worker knows beside these: `celery.map` and its like run them.
pub(crate) fn builtins(tasks: &Tasks) -> Tasks {
    let (for_map, for_starmap) = (tasks.clone(), tasks.clone());
    let unlocking = TaskOptions {
        ignore_result: Some(true),
        max_retries: None,
        ..TaskOptions::DEFAULT
    };
    Tasks::new()
        .with_any("celery.backend_cleanup", |context, _| clean_up(context))
        .with_any("celery.accumulate", |_, arguments| async move {
            accumulate(&arguments)
        })
        .with_any_options("celery.chord_unlock", unlocking, unlock)
        .with_any("celery.map", move |context, arguments| {
            over(for_map.clone(), context, arguments, |item| {
                Ok(vec![item.clone()])
            })
        })
        .with_any("celery.starmap", move |context, arguments| {
            over(for_starmap.clone(), context, arguments, elements)
        })
        .with_any("celery.chunks", chunks)
        .with_any("celery.group", group)
        .with_any("celery.chord", chord)
        .with_any("celery.chain", |_, _| async {
            Err::<(), _>(TaskError::failure(
                "NotImplementedError",
                "chain is not a real task",
            ))
        })
}

/// The builtin's parameters, by position or by name, as far as they are given.
pub(super) struct Call<'a>(pub(super) &'a Arguments);

impl Call<'_> {
    pub(super) fn get(&self, place: usize, name: &str) -> Option<&RawJson> {
        let by_place = self.0.args.get(place);
        let given = by_place.or_else(|| self.0.kwargs.get(name));
        given.filter(|value| value.as_str() != "null")
    }

    pub(super) fn required(&self, place: usize, name: &str) -> Result<&RawJson, TaskError> {
        self.get(place, name).ok_or_else(|| {
            let what = format_args!("missing 1 required positional argument: '{name}'");
            TaskError::failure("TypeError", what)
        })
    }
}

/// What is iterated over must be a list.
fn elements(list: &RawJson) -> Result<Vec<RawJson>, TaskError> {
    parse_array(list.as_str().as_bytes())
        .map_err(|error| TaskError::failure("TypeError", format_args!("must be a list: {error}")))
}

fn signature(json: &RawJson) -> Result<Signature, TaskError> {
    if json.as_str().starts_with('"') {
        return Ok(Signature::new(json.deserialize::<String>()?));
    }
    Ok(Signature::from_json(json)?)
}

async fn clean_up(context: Context) -> Result<(), TaskError> {
    if let Some(results) = context.app().results() {
        let deleted = results.clean_up().await?;
        tracing::info!(deleted, "expired results are deleted");
    }
    Ok(())
}

fn accumulate(arguments: &Arguments) -> Outcome {
    let Some(index) = arguments
        .kwargs
        .get("index")
        .filter(|index| index.as_str() != "null")
    else {
        return Ok(list(&arguments.args));
    };
    let index: i64 = index.deserialize()?;
    let count = i64::try_from(arguments.args.len())?;
    let place = usize::try_from(if index < 0 { index + count } else { index }).ok();
    let found = place.and_then(|place| arguments.args.get(place));
    found
        .cloned()
        .ok_or_else(|| TaskError::failure("IndexError", "tuple index out of range"))
}

/// A task for each item, one after the other, in this worker.
async fn over(
    tasks: Tasks,
    context: Context,
    arguments: Arguments,
    args: impl Fn(&RawJson) -> Result<Vec<RawJson>, TaskError>,
) -> Outcome {
    let given = Call(&arguments);
    let task = signature(given.required(0, "task")?)?.task;
    let items = elements(given.required(1, "it")?)?;
    let mut results = Vec::with_capacity(items.len());
    for item in &items {
        let call = Arguments {
            args: args(item)?,
            kwargs: IndexMap::new(),
        };
        results.push(tasks.call(&context, &task, call).await?);
    }
    Ok(list(&results))
}

/// Sends a canvas from within a task. Returns the result's ids.
async fn send(context: &Context, node: Node, given: Given, mut options: Options) -> Outcome {
    options.set("root_id", context.root_id());
    options.set("parent_id", context.id());
    let mut planner = Planner::new(context.app());
    let sent = planner.apply(node, &given, &options)?.to_value();
    context.app().carry_out(planner.finish()).await?;
    context.request().add_child(sent.clone());
    Ok(RawJson::from_value(&sent)?)
}

async fn chunks(context: Context, arguments: Arguments) -> Outcome {
    let given = Call(&arguments);
    let task = signature(given.required(0, "task")?)?;
    let items = elements(given.required(1, "it")?)?;
    let size: usize = given.required(2, "n")?.deserialize()?;
    let node = Node::read(super::chunks(&task, items, size)?)?;
    send(&context, node, Given::default(), Options::default()).await
}

/// Signatures, with no more of them than a canvas may have.
fn nodes(tasks: &RawJson) -> Result<Vec<Node>, TaskError> {
    let mut steps = Steps::new("group", Vec::new()).signature;
    steps.kwargs.insert("tasks".to_owned(), tasks.clone());
    match Node::read(steps)? {
        Node::Group(group) => Ok(group.tasks),
        _ => Ok(Vec::new()),
    }
}

async fn group(context: Context, arguments: Arguments) -> Outcome {
    let given = Call(&arguments);
    let tasks = nodes(given.required(0, "tasks")?)?;
    let mut options = Options::default();
    if let Some(id) = given.get(2, "group_id") {
        options.set_json("task_id", id.clone());
    }
    let args = given.get(3, "partial_args").map(elements).transpose()?;
    let partial = Given {
        args: args.unwrap_or_default(),
        kwargs: IndexMap::new(),
    };
    send(&context, Node::group(tasks), partial, options).await
}

async fn chord(context: Context, arguments: Arguments) -> Outcome {
    let given = Call(&arguments);
    let header = given.required(0, "header")?;
    let header = if header.as_str().starts_with('[') {
        Node::group(nodes(header)?)
    } else {
        Node::read(signature(header)?)?
    };
    let body = Node::read(signature(given.required(1, "body")?)?)?;
    let args = given.get(2, "partial_args").map(elements).transpose()?;
    let partial = Given {
        args: args.unwrap_or_default(),
        kwargs: IndexMap::new(),
    };
    let chord = Chord::new(header, Some(body));
    send(
        &context,
        Node::Chord(Box::new(chord)),
        partial,
        Options::default(),
    )
    .await
}
