//! Another task in place of the one that runs. Celery's `Task.replace`.

use super::apply::{Given, Planner};
use super::compose::then;
use super::freeze::{Place, freeze};
use super::link::{link_error_node, link_node};
use super::node::{CanvasError, Node};
use crate::app::App;
use crate::send::SendError;
use crate::signature::{Options, Signature};
use crate::worker::Request;

/// Sends `signature` in place of the task that runs: with its id, its group, its callbacks and the rest of its chain.
pub(crate) async fn replace(
    app: &App,
    request: &Request,
    signature: Signature,
) -> Result<(), SendError> {
    let mut planner = Planner::new(app);
    let mut options = Options::default();
    options.set("parent_id", request.id());
    options.set("root_id", request.root_id());
    let node = in_place(app, request, Node::read(signature)?)?;
    let sent = planner.apply(node, &Given::default(), &options)?;
    app.carry_out(planner.finish()).await?;
    request.add_child(sent.to_value());
    Ok(())
}

fn in_place(app: &App, request: &Request, node: Node) -> Result<Node, SendError> {
    if node.signature().options.get("chord").is_some() {
        return Err(CanvasError::Unfit("what replaces a task must not be part of a chord").into());
    }
    let mut node = with_one_result(node)?;
    for callback in &request.embed.callbacks {
        link_node(&mut node, callback.to_json()?);
    }
    for errback in &request.embed.errbacks {
        link_error_node(&mut node, &errback.to_json()?);
    }
    links_to_last(&mut node);
    let place = Place {
        id: Some(request.id()),
        ..Place::default()
    };
    freeze(&mut node, app.oid(), place)?;
    let nesting = request.headers.replaced_task_nesting.saturating_add(1);
    let options = &mut node.signature_mut().options;
    if let Some(chord) = &request.embed.chord {
        options.set_json("chord", chord.to_json()?);
    }
    options.set("group_id", &request.headers.group);
    options.set("group_index", &request.headers.group_index);
    options.set("root_id", request.root_id());
    options.set("replaced_task_nesting", &nesting);
    if let Node::Chain(chain) = &mut node {
        for task in &mut chain.tasks {
            task.signature_mut()
                .options
                .set("replaced_task_nesting", &nesting);
        }
    }
    for next in request.embed.chain.iter().rev() {
        let mut next = Node::read(next.clone())?;
        next.signature_mut()
            .options
            .set("replaced_task_nesting", &nesting);
        node = then(node, next);
    }
    Ok(node)
}

/// A group, or one at the end of a chain, becomes a chord whose body returns the list: something must have the replaced task's id.
fn with_one_result(node: Node) -> Result<Node, CanvasError> {
    let accumulate = || {
        let mut body = Signature::new("celery.accumulate");
        body.kwargs
            .insert("index".to_owned(), quintette_core::json::RawJson::from(0));
        Node::Task(body)
    };
    Ok(match node {
        group @ Node::Group(_) => then(group, accumulate()),
        Node::Chain(mut chain) => {
            let last = chain
                .tasks
                .pop()
                .ok_or(CanvasError::Empty("a chain that replaces a task"))?;
            chain.tasks.push(match last {
                group @ Node::Group(_) => then(group, accumulate()),
                other => other,
            });
            Node::Chain(chain)
        }
        other => other,
    })
}

/// A chain's callbacks go to its last task, since more may be put after it.
fn links_to_last(node: &mut Node) {
    if let Node::Chain(chain) = node
        && let Some(last) = chain.tasks.last_mut()
    {
        for link in chain.signature.options.list("link") {
            last.signature_mut().options.append("link", link);
        }
        chain.signature.options.remove("link");
    }
}
