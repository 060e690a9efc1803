//! A chord whose parts are done, and a chord or a chain that failed.

use std::collections::{HashMap, VecDeque};

use quintette_core::json::RawJson;

use super::after::errbacks;
use super::apply::{Given, Planner};
use super::freeze::{Place, freeze_group};
use super::node::Node;
use crate::app::App;
use crate::arguments::list;
use crate::error::Exception;
use crate::outcome::{ResultTree, together};
use crate::protocol::repr::value_repr;
use crate::results::{
    ChordCounter, ChordPart, ChordProgress, ResultError, State, StoreContext, TaskMeta,
};
use crate::send::SendError;
use crate::signature::{Options, Signature};

/// A task that is a part of a chord, and is done.
pub(super) struct Part {
    pub group: String,
    pub index: Option<i64>,
    pub task_id: String,
    pub body: Signature,
    pub state: State,
    pub result: RawJson,
}

/// Counts a part, where the store counts; the last one sends the body, or fails it. Elsewhere `celery.chord_unlock` finds out.
///
/// A body that fails may be a part of another chord, and so on: one after the other, since strangers choose how many chords there are.
pub(super) async fn part_done(app: &App, part: Part) -> Result<(), SendError> {
    count(app, VecDeque::from([part])).await
}

async fn count(app: &App, mut parts: VecDeque<Part>) -> Result<(), SendError> {
    let Some(counter) = app.results().and_then(|results| results.chords()) else {
        return Ok(());
    };
    let mut completed = Vec::new();
    while let Some(part) = parts.pop_front() {
        let counted = count_one(app, counter, &part, &mut parts).await;
        if !matches!(counted, Ok(false)) {
            completed.push(part.group);
        }
        if let Err(error) = counted {
            if error.is_unavailable() {
                // The first of them is counted again, and the others with it.
                for group in &completed {
                    counter.give_back(group);
                }
            }
            return Err(error);
        }
    }
    for group in completed {
        counter.finish(&group).await?;
    }
    Ok(())
}

/// Whether it was the last part; what failed with its chord comes behind `parts`.
async fn count_one(
    app: &App,
    counter: &dyn ChordCounter,
    part: &Part,
    parts: &mut VecDeque<Part>,
) -> Result<bool, SendError> {
    let done = ChordPart {
        group: &part.group,
        index: part.index,
        task_id: &part.task_id,
        state: part.state,
        result: &part.result,
        body: &part.body,
    };
    let ChordProgress::Complete(all) = counter.part_done(&done).await? else {
        return Ok(false);
    };
    complete(app, part, &all, parts).await?;
    Ok(true)
}

async fn complete(
    app: &App,
    part: &Part,
    all: &[(String, State, RawJson)],
    parts: &mut VecDeque<Part>,
) -> Result<(), SendError> {
    if let Some((id, _, result)) = all.iter().find(|(_, state, _)| state.is_failure()) {
        let cause = Exception::from_json(result);
        let error = dependency_failed(id, &cause);
        return fail_body(app, &part.body, &error, Some(&cause), parts).await;
    }
    let results = joined(app, &part.group, all).await?;
    match try_send(app, &part.body, &results).await {
        Err(error) if !error.is_unavailable() => {
            let error = cannot_send(&part.body, &error);
            fail_body(app, &part.body, &error, None, parts).await
        }
        sent => sent,
    }
}

/// The results in order; of a header with groups in it, in the shape that was saved when it was sent.
async fn joined(
    app: &App,
    group: &str,
    parts: &[(String, State, RawJson)],
) -> Result<RawJson, ResultError> {
    let saved = match app.results() {
        Some(results) => results.load_group(group).await?,
        None => None,
    };
    let Some(tree) = saved.as_ref().and_then(ResultTree::from_json) else {
        let results: Vec<_> = parts.iter().map(|(_, _, result)| result.clone()).collect();
        return Ok(list(&results));
    };
    let by_id: HashMap<_, _> = parts
        .iter()
        .map(|(id, _, result)| (id.as_str(), result))
        .collect();
    Ok(together(&tree, &|id| {
        by_id.get(id).map(|result| (*result).clone())
    }))
}

/// Sends a chord's body with the results. Where it cannot be sent, it failed; but where the broker is away, that is the caller's to wait for.
pub(super) async fn send_body(
    app: &App,
    body: &Signature,
    results: &RawJson,
) -> Result<(), SendError> {
    match try_send(app, body, results).await {
        Err(error) if !error.is_unavailable() => {
            fail(app, body, &cannot_send(body, &error), None).await
        }
        sent => sent,
    }
}

fn cannot_send(body: &Signature, error: &SendError) -> Exception {
    tracing::error!(task = body.task, %error, "the body of a chord cannot be sent");
    Exception::new("ChordError", format_args!("Callback error: {error}"))
}

async fn try_send(app: &App, body: &Signature, results: &RawJson) -> Result<(), SendError> {
    let mut planner = Planner::new(app);
    let node = Node::read(body.clone())?;
    planner.apply(node, &Given::one(results), &Options::default())?;
    app.carry_out(planner.finish()).await
}

/// What Celery says of a chord one of whose parts failed.
pub(super) fn dependency_failed(id: &str, cause: &Exception) -> Exception {
    let arguments: Vec<_> = cause.exc_message.iter().map(value_repr).collect();
    let shown = format!("{}({})", cause.exc_type, arguments.join(", "));
    let mut error = Exception::new("ChordError", format_args!("Dependency {id} raised {shown}"));
    error.traceback.clone_from(&cause.traceback);
    error
}

/// Fails a chord's body, which never runs: stores that, sends its errbacks, and fails what would have come after it.
pub(super) async fn fail(
    app: &App,
    body: &Signature,
    error: &Exception,
    cause: Option<&Exception>,
) -> Result<(), SendError> {
    let mut parts = VecDeque::new();
    fail_body(app, body, error, cause, &mut parts).await?;
    count(app, parts).await
}

/// The same, but for counting the parts of chords that fail with it.
async fn fail_body(
    app: &App,
    body: &Signature,
    error: &Exception,
    cause: Option<&Exception>,
    parts: &mut VecDeque<Part>,
) -> Result<(), SendError> {
    tracing::error!(task = body.task, %error, "a chord failed");
    let mut waiting = VecDeque::from([(Node::read(body.clone())?, Vec::new())]);
    let mut error = error;
    let mut sent = Ok(());
    while let Some((node, mut links)) = waiting.pop_front() {
        add_links(&mut links, node.signature());
        match node {
            Node::Task(signature) => {
                let one = fail_task(app, &signature, &links, error, parts).await;
                sent = sent.and(one);
            }
            // The last of them has the chain's id; its own errbacks are for its own failure.
            Node::Chain(mut chain) => {
                if let Some(mut last) = chain.tasks.pop() {
                    last.signature_mut().options.remove("link_error");
                    waiting.push_back((last, links));
                }
            }
            Node::Group(mut group) => {
                error = cause.unwrap_or(error);
                freeze_group(&mut group, app.oid(), Place::default())?;
                if let Some(id) = group.signature.options.text("task_id") {
                    store(app, &id, &group.signature, State::Failure, error).await?;
                }
                let tasks = group.tasks.into_iter();
                waiting.extend(tasks.map(|task| (task, links.clone())));
            }
            Node::Chord(chord) => waiting.extend(chord.body.map(|body| (body, links))),
        }
    }
    let chain = signatures(&body.options.list("chain"));
    fail_steps(app, &chain, State::Failure, error, parts).await?;
    sent
}

fn add_links(links: &mut Vec<RawJson>, signature: &Signature) {
    for link in signature.options.list("link_error") {
        if !links.contains(&link) {
            links.push(link);
        }
    }
}

async fn fail_task(
    app: &App,
    task: &Signature,
    links: &[RawJson],
    error: &Exception,
    parts: &mut VecDeque<Part>,
) -> Result<(), SendError> {
    let id = task.options.text("task_id");
    let id = id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let sent = errbacks(app, &id, None, &signatures(links)).await;
    store(app, &id, task, State::Failure, error).await?;
    parts.extend(part(&id, task, State::Failure, error)?);
    sent
}

/// Fails what comes after a task in its chain, so that whoever waits for the last of it is told.
pub(super) async fn fail_chain(
    app: &App,
    chain: &[Signature],
    state: State,
    error: &Exception,
) -> Result<(), SendError> {
    let mut parts = VecDeque::new();
    fail_steps(app, chain, state, error, &mut parts).await?;
    count(app, parts).await
}

async fn fail_steps(
    app: &App,
    chain: &[Signature],
    state: State,
    error: &Exception,
    parts: &mut VecDeque<Part>,
) -> Result<(), SendError> {
    let mut rest: VecDeque<_> = chain.iter().cloned().collect();
    while let Some(step) = rest.pop_front() {
        if let Some(id) = step.options.text("task_id") {
            let in_chord = step.options.get("chord").is_some();
            let failed_before = in_chord && has_failed(app, &id).await?;
            store(app, &id, &step, state, error).await?;
            if !failed_before {
                parts.extend(part(&id, &step, state, error)?);
            }
        }
        if step.subtask_type.as_deref() == Some("chord")
            && let Some(body) = step.kwargs.get("body")
        {
            rest.extend(signatures(std::slice::from_ref(body)));
        }
    }
    Ok(())
}

async fn has_failed(app: &App, id: &str) -> Result<bool, ResultError> {
    let Some(results) = app.results() else {
        return Ok(false);
    };
    let meta = results.load(id).await?;
    Ok(meta.is_some_and(|meta| meta.status.is_failure()))
}

async fn store(
    app: &App,
    id: &str,
    signature: &Signature,
    state: State,
    error: &Exception,
) -> Result<(), ResultError> {
    let options = &signature.options;
    let Some(results) = app.results() else {
        return Ok(());
    };
    if options.read("ignore_result").ok().flatten() == Some(true) {
        return Ok(());
    }
    let mut meta = TaskMeta::failure(id, state, error);
    meta.group_id = options.text("group_id");
    meta.date_done = Some(chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, false));
    let context = StoreContext {
        reply_to: options.text("reply_to"),
        correlation_id: Some(id.to_owned()),
        group: options.text("group_id"),
    };
    results.store(&meta, &context).await
}

/// A task that failed without being run, as the part of a chord that it may be.
fn part(
    id: &str,
    signature: &Signature,
    state: State,
    error: &Exception,
) -> Result<Option<Part>, SendError> {
    let options = &signature.options;
    let (Some(chord), Some(group)) = (options.get("chord"), options.text("group_id")) else {
        return Ok(None);
    };
    Ok(Some(Part {
        group,
        index: options.read("group_index").ok().flatten(),
        task_id: id.to_owned(),
        body: Signature::from_json(chord)?,
        state,
        result: error.to_json(),
    }))
}

/// Those of a list that can be read; of the others there is a line in the log.
fn signatures(list: &[RawJson]) -> Vec<Signature> {
    let read = list
        .iter()
        .filter_map(|json| match Signature::from_json(json) {
            Ok(signature) => Some(signature),
            Err(error) => {
                tracing::error!(%error, "a signature cannot be read, and is left out");
                None
            }
        });
    read.collect()
}
