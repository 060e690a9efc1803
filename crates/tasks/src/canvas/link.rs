//! What is called after a canvas: where Celery puts it.

use quintette_core::json::RawJson;

use super::node::Node;
use crate::signature::Signature;

/// `signature.link(callback)`.
pub(crate) fn link(signature: &mut Signature, callback: &Signature) {
    let Ok(callback) = callback.to_json() else {
        return;
    };
    within(signature, |node| link_node(node, callback));
}

/// `signature.link_error(errback)`.
pub(crate) fn link_error(signature: &mut Signature, errback: &Signature) {
    let Ok(errback) = errback.to_json() else {
        return;
    };
    within(signature, |node| link_error_node(node, &errback));
}

/// Changes a canvas in its JSON. One that cannot be read stays as it is: sending it says why.
fn within(signature: &mut Signature, change: impl FnOnce(&mut Node)) {
    let Ok(mut node) = Node::read(signature.clone()) else {
        return;
    };
    change(&mut node);
    if let Ok(changed) = node.write() {
        *signature = changed;
    }
}

pub(super) fn link_node(node: &mut Node, callback: RawJson) {
    match node {
        Node::Task(_) | Node::Chain(_) => {
            node.signature_mut().options.append("link", callback);
        }
        Node::Group(group) => match group.tasks.first_mut() {
            // The first one alone cannot pass on the results of all.
            Some(first) => link_node(first, as_immutable(&callback)),
            None => group.signature.options.append("link", callback),
        },
        Node::Chord(chord) => {
            if let Some(body) = &mut chord.body {
                link_node(body, callback);
            }
        }
    }
}

pub(super) fn link_error_node(node: &mut Node, errback: &RawJson) {
    match node {
        Node::Task(_) | Node::Chain(_) => {
            let options = &mut node.signature_mut().options;
            options.append("link_error", errback.clone());
        }
        Node::Group(group) => {
            for task in &mut group.tasks {
                link_error_node(task, errback);
            }
        }
        Node::Chord(chord) => {
            for task in &mut chord.header {
                if matches!(task, Node::Chord(_)) {
                    link_error_node(task, errback);
                }
            }
            if let Some(body) = &mut chord.body {
                link_error_node(body, errback);
            }
        }
    }
}

fn as_immutable(callback: &RawJson) -> RawJson {
    let changed = Signature::from_json(callback).map(Signature::immutable);
    changed
        .ok()
        .and_then(|signature| signature.to_json().ok())
        .unwrap_or_else(|| callback.clone())
}

/// `signature.stamp(name=value)`: it, what is in it, and what is linked to it.
pub(crate) fn stamp(signature: &mut Signature, name: &str, value: &serde_json::Value) {
    within(signature, |node| stamp_node(node, name, value));
}

fn stamp_node(node: &mut Node, name: &str, value: &serde_json::Value) {
    stamp_links(node, "link", name, value);
    stamp_links(node, "link_error", name, value);
    match node {
        Node::Task(signature) => {
            let options = &mut signature.options;
            let mut stamps = options.stamp_names();
            if !stamps.iter().any(|stamp| stamp == name) {
                stamps.push(name.to_owned());
            }
            options.set(name, value);
            options.set("stamped_headers", &stamps);
        }
        Node::Chain(steps) | Node::Group(steps) => {
            let tasks = steps.tasks.iter_mut();
            tasks.for_each(|task| stamp_node(task, name, value));
        }
        Node::Chord(chord) => {
            let tasks = chord.header.iter_mut().chain(&mut chord.body);
            tasks.for_each(|task| stamp_node(task, name, value));
        }
    }
}

fn stamp_links(node: &mut Node, links: &str, name: &str, value: &serde_json::Value) {
    let options = &mut node.signature_mut().options;
    let stamped = options.list(links).into_iter().map(|json| {
        let mut link = Signature::from_json(&json).ok()?;
        stamp(&mut link, name, value);
        link.to_json().ok()
    });
    // A link that cannot be read stays as it is: sending it says why.
    if let Some(stamped) = stamped.collect::<Option<Vec<_>>>()
        && !stamped.is_empty()
    {
        options.set_json(links, crate::arguments::list(&stamped));
    }
}
