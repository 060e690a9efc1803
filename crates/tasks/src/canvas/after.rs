//! What a worker calls when a task is done.

use quintette_core::json::RawJson;

use super::apply::{Given, Planner};
use super::chord;
use super::node::{CanvasError, Node};
use crate::app::App;
use crate::arguments::list;
use crate::error::Exception;
use crate::results::State;
use crate::send::SendError;
use crate::signature::{Options, Signature};
use crate::worker::Request;

/// The task returned, and its result is not stored yet: sends its callbacks and the next step of its chain, each of them noted with
/// [`Request::add_child`].
///
/// Called again when it failed because the broker could not be reached.
pub(crate) async fn on_success(
    app: &App,
    request: &Request,
    result: &RawJson,
) -> Result<(), SendError> {
    let embed = &request.embed;
    if embed.callbacks.is_empty() && embed.chain.is_empty() {
        return Ok(());
    }
    let mut planner = Planner::new(app);
    let given = Given::one(result);
    let options = child_options(app, request);
    let mut children = Vec::new();
    for callback in callbacks(&embed.callbacks)? {
        children.push(planner.apply(callback, &given, &options)?);
    }
    if let Some((next, rest)) = embed.chain.split_last() {
        let mut options = options;
        if !rest.is_empty() {
            options.set_json("chain", written(rest)?);
        }
        children.push(planner.apply(Node::read(next.clone())?, &given, &options)?);
    }
    app.carry_out(planner.finish()).await?;
    for child in children {
        request.add_child(child.to_value());
    }
    Ok(())
}

/// What tasks that a task brings about have from it.
fn child_options(app: &App, request: &Request) -> Options {
    let mut options = Options::default();
    options.set("parent_id", request.id());
    options.set("root_id", request.root_id());
    if app.settings().task_inherit_parent_priority
        && let Some(priority) = request.delivery_info.priority
    {
        options.set("priority", &priority);
    }
    options
}

/// Groups by themselves, and the others, where they are more than one, as a group.
fn callbacks(signatures: &[Signature]) -> Result<Vec<Node>, CanvasError> {
    let nodes = signatures.iter().cloned().map(Node::read);
    let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
    if nodes.len() < 2 {
        return Ok(nodes);
    }
    let (mut all, others): (Vec<_>, Vec<_>) = nodes
        .into_iter()
        .partition(|node| matches!(node, Node::Group(_)));
    if !others.is_empty() {
        all.push(Node::group(others));
    }
    Ok(all)
}

fn written(signatures: &[Signature]) -> Result<RawJson, SendError> {
    let signatures = signatures.iter().map(Signature::to_json);
    Ok(list(&signatures.collect::<Result<Vec<_>, _>>()?))
}

/// The task failed or was revoked, and that is stored: fails the rest of its chain and sends its errbacks.
pub(crate) async fn on_failure(
    app: &App,
    request: &Request,
    state: State,
    exception: &Exception,
) -> Result<(), SendError> {
    chord::fail_chain(app, &request.embed.chain, state, exception).await?;
    if state == State::Failure {
        errbacks(
            app,
            request.id(),
            Some(request.root_id()),
            &request.embed.errbacks,
        )
        .await?;
    }
    Ok(())
}

/// Sends errbacks as Celery sends those that it does not know as functions of its own: as a group, with the id of the task that failed.
pub(super) async fn errbacks(
    app: &App,
    id: &str,
    root: Option<&str>,
    signatures: &[Signature],
) -> Result<(), SendError> {
    if signatures.is_empty() {
        return Ok(());
    }
    let nodes = signatures.iter().cloned().map(Node::read);
    let group = Node::group(nodes.collect::<Result<_, _>>()?);
    let mut options = Options::default();
    options.set("parent_id", id);
    options.set("root_id", root.unwrap_or(id));
    let mut planner = Planner::new(app);
    planner.apply(group, &Given::one(&RawJson::from(id)), &options)?;
    app.carry_out(planner.finish()).await
}

/// The result is stored: if the task is part of a chord, the part is done.
pub(crate) async fn part_done(
    app: &App,
    request: &Request,
    state: State,
    result: &RawJson,
) -> Result<(), SendError> {
    let (Some(body), Some(group)) = (&request.embed.chord, &request.headers.group) else {
        return Ok(());
    };
    let part = chord::Part {
        group: group.clone(),
        index: request.headers.group_index,
        task_id: request.id().to_owned(),
        body: Signature::clone(body),
        state,
        result: result.clone(),
    };
    chord::part_done(app, part).await
}
