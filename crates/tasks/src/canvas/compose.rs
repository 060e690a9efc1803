//! One after the other: what Celery's `|` makes of two canvases, and `chain()` of many.

use super::link::{link_error_node, link_node};
use super::node::{Chord, Node, Steps};

/// `a | b`.
pub(crate) fn then(a: Node, b: Node) -> Node {
    match a {
        Node::Task(_) => after_task(a, b),
        Node::Chain(chain) => after_chain(chain, b),
        Node::Group(group) => {
            if is_empty_group(&b) {
                Node::Group(group)
            } else {
                chord(Node::Group(group), b)
            }
        }
        Node::Chord(mut chord) => match unrolled(b) {
            Node::Group(group) => Node::chain(vec![Node::Chord(chord), Node::Group(group)]),
            Node::Chain(chain) => after_task(Node::Chord(chord), Node::Chain(chain)),
            task => {
                extend_body(&mut chord, task);
                Node::Chord(chord)
            }
        },
    }
}

fn after_task(a: Node, b: Node) -> Node {
    let mut tasks = vec![a];
    match b {
        Node::Chain(chain) => tasks.extend(unchained(chain)),
        other => tasks.push(unrolled(other)),
    }
    Node::chain(tasks)
}

fn after_chain(mut chain: Steps, b: Node) -> Node {
    if is_empty_group(&b) {
        return Node::Chain(chain);
    }
    match unrolled(b) {
        Node::Chain(other) => unchained(other).into_iter().fold(Node::Chain(chain), then),
        Node::Group(group) => {
            let mut tasks = unchained(chain);
            match tasks.last_mut() {
                None => return Node::Group(group),
                Some(Node::Chord(chord)) => extend_body(chord, Node::Group(group)),
                Some(_) => tasks.push(Node::Group(group)),
            }
            Node::chain(tasks)
        }
        other => match (chain.tasks.pop(), other) {
            (Some(group @ Node::Group(_)), other) => {
                let next = chord(group, other);
                match chain.tasks.last_mut() {
                    Some(Node::Chord(before)) => extend_body(before, next),
                    _ => chain.tasks.push(next),
                }
                Node::Chain(chain)
            }
            (Some(Node::Chord(mut before)), other @ Node::Task(_)) => {
                extend_body(&mut before, other);
                chain.tasks.push(Node::Chord(before));
                Node::Chain(chain)
            }
            (last, other) => {
                chain.tasks.extend(last);
                let mut tasks = unchained(chain);
                tasks.push(other);
                Node::chain(tasks)
            }
        },
    }
}

/// `chain(a, b, c)`: a chain, but of a group first, which is a chord, or alone, which is itself.
pub(crate) fn fold(tasks: Vec<Node>) -> Node {
    let mut steps = Vec::new();
    let mut tasks = tasks.into_iter();
    while let Some(task) = tasks.next() {
        if let Some(group) = push(&mut steps, task) {
            return tasks.fold(group, then);
        }
    }
    Node::chain(steps)
}

/// Adds a step by the rules of `|`. Returns a group that comes first, which is no chain.
fn push(steps: &mut Vec<Node>, task: Node) -> Option<Node> {
    if is_empty_group(&task) {
        return None;
    }
    match unrolled(task) {
        Node::Chain(inner) => {
            let mut inner = unchained(inner).into_iter();
            while let Some(task) = inner.next() {
                if let Some(group) = push(steps, task) {
                    return Some(inner.fold(group, then));
                }
            }
        }
        group @ Node::Group(_) => match steps.last_mut() {
            None => return Some(group),
            Some(Node::Chord(chord)) => extend_body(chord, group),
            Some(_) => steps.push(group),
        },
        task => match (steps.pop(), task) {
            (Some(group @ Node::Group(_)), task) => steps.push(chord(group, task)),
            (Some(Node::Chord(mut before)), task @ Node::Task(_)) => {
                extend_body(&mut before, task);
                steps.push(Node::Chord(before));
            }
            (last, task) => {
                steps.extend(last);
                steps.push(task);
            }
        },
    }
    None
}

pub(super) fn chord(header: Node, body: Node) -> Node {
    Node::Chord(Box::new(Chord::new(header, Some(body))))
}

fn extend_body(chord: &mut Chord, next: Node) {
    chord.body = Some(match chord.body.take() {
        Some(body) => then(body, next),
        None => next,
    });
}

pub(super) fn is_empty_group(node: &Node) -> bool {
    matches!(node, Node::Group(group) if group.tasks.is_empty())
}

/// A group of one is that one.
pub(super) fn unrolled(node: Node) -> Node {
    match node {
        Node::Group(mut group) if group.tasks.len() == 1 => unrolled(group.tasks.remove(0)),
        other => other,
    }
}

/// A chain's tasks, with what is linked to the chain linked to them: callbacks to the last, errbacks to each.
pub(super) fn unchained(chain: Steps) -> Vec<Node> {
    let mut tasks = chain.tasks;
    let options = &chain.signature.options;
    if let Some(last) = tasks.last_mut() {
        for callback in options.list("link") {
            link_node(last, callback);
        }
    }
    for errback in options.list("link_error") {
        for task in &mut tasks {
            link_error_node(task, &errback);
        }
    }
    tasks
}
