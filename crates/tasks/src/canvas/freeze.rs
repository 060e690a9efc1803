//! Ids for tasks that are not sent yet, so that those before can name them. Celery's `freeze`.

use quintette_core::json::RawJson;
use uuid::Uuid;

use super::node::{CanvasError, Chord, Node, Steps};
use super::steps::flat;
use crate::outcome::ResultTree;
use crate::signature::{Options, Signature};

/// Where a canvas stands among others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place<'a> {
    /// Its id, where it has none.
    pub id: Option<&'a str>,
    /// The group it is part of.
    pub group: Option<&'a str>,
    /// The body of the chord it is part of.
    pub chord: Option<&'a RawJson>,
    pub root: Option<&'a str>,
    pub parent: Option<&'a str>,
    /// Its place in the group.
    pub index: Option<usize>,
}

/// Gives ids, and returns them.
pub(super) fn freeze(
    node: &mut Node,
    oid: &str,
    place: Place<'_>,
) -> Result<ResultTree, CanvasError> {
    match node {
        Node::Task(signature) => Ok(freeze_task(signature, oid, place)),
        Node::Chain(chain) => {
            chain.tasks = flat(std::mem::take(&mut chain.tasks), false);
            let result = freeze_steps(&mut chain.tasks, oid, place)?;
            chain.signature.options.set("task_id", &result.id);
            Ok(result)
        }
        Node::Group(group) => freeze_group(group, oid, place),
        Node::Chord(chord) => freeze_chord(chord, oid, place),
    }
}

fn freeze_task(signature: &mut Signature, oid: &str, place: Place<'_>) -> ResultTree {
    let options = &mut signature.options;
    let id = id_of(options, place.id);
    set(options, "root_id", place.root);
    set(options, "parent_id", place.parent);
    if options.get("reply_to").is_none() {
        options.set("reply_to", oid);
    }
    set_place(options, place);
    ResultTree::task(id)
}

fn set(options: &mut Options, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        options.set(name, value);
    }
}

fn set_place(options: &mut Options, place: Place<'_>) {
    if let Some(group) = place.group
        && options.get("group_id").is_none()
    {
        options.set("group_id", group);
    }
    if let Some(chord) = place.chord {
        options.set_json("chord", chord.clone());
    }
    if let Some(index) = place.index {
        options.set("group_index", &index);
    }
}

/// The id that is set, or else this one or a new one.
pub(super) fn id_of(options: &mut Options, id: Option<&str>) -> String {
    options.text("task_id").unwrap_or_else(|| {
        let id = id.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
        options.set("task_id", &id);
        id
    })
}

/// A chain's steps, flat: the last one stands for the chain.
pub(super) fn freeze_steps(
    tasks: &mut [Node],
    oid: &str,
    place: Place<'_>,
) -> Result<ResultTree, CanvasError> {
    let count = tasks.len();
    let mut before: Option<ResultTree> = None;
    for (index, task) in tasks.iter_mut().enumerate() {
        let place = if index + 1 == count {
            place
        } else {
            Place {
                root: place.root,
                ..Place::default()
            }
        };
        let result = freeze(task, oid, place)?;
        before = Some(match before {
            Some(before) => result.after(before),
            None => result,
        });
    }
    before.ok_or(CanvasError::Empty("a chain"))
}

pub(super) fn freeze_group(
    group: &mut Steps,
    oid: &str,
    place: Place<'_>,
) -> Result<ResultTree, CanvasError> {
    let options = &mut group.signature.options;
    let id = id_of(options, None);
    if let Some(group) = place.group {
        options.set("group_id", group);
    }
    set_place(
        options,
        Place {
            group: None,
            ..place
        },
    );
    if options.get("root_id").is_none() {
        set(options, "root_id", place.root);
    }
    if options.get("parent_id").is_none() {
        set(options, "parent_id", place.parent);
    }
    let (root, parent) = (options.text("root_id"), options.text("parent_id"));
    group.tasks = members(std::mem::take(&mut group.tasks));
    let mut children = Vec::with_capacity(group.tasks.len());
    for (index, task) in group.tasks.iter_mut().enumerate() {
        let place = Place {
            group: place.group,
            chord: place.chord,
            root: root.as_deref(),
            parent: parent.as_deref(),
            index: Some(index),
            id: None,
        };
        children.push(freeze(task, oid, place)?);
    }
    Ok(ResultTree::group(id, children))
}

/// A group's tasks, with those of groups within; an empty chain is none.
pub(super) fn members(tasks: Vec<Node>) -> Vec<Node> {
    let mut all = Vec::with_capacity(tasks.len());
    for task in tasks {
        match task {
            Node::Group(inner) => all.extend(members(inner.tasks)),
            Node::Chain(chain) if chain.tasks.is_empty() => {}
            task => all.push(task),
        }
    }
    all
}

/// The parts are given the body when they are sent, and not before: within one another, bodies would be written twice at each level.
fn freeze_chord(chord: &mut Chord, oid: &str, place: Place<'_>) -> Result<ResultTree, CanvasError> {
    let body = match &mut chord.body {
        Some(body) => Some(freeze(
            body,
            oid,
            Place {
                parent: None,
                ..place
            },
        )?),
        None => None,
    };
    let mut group = take_header(chord);
    let header = freeze_group(
        &mut group,
        oid,
        Place {
            root: place.root,
            parent: place.parent,
            ..Place::default()
        },
    )?;
    chord.header = group.tasks;
    chord.group = Some(group.signature);
    chord.signature.options.set("task_id", &header.id);
    Ok(match body {
        Some(body) => body.after(header),
        None => header,
    })
}

/// The header as a group.
pub(super) fn take_header(chord: &mut Chord) -> Steps {
    let tasks = std::mem::take(&mut chord.header);
    match chord.group.take() {
        Some(signature) => Steps { signature, tasks },
        None => Steps::new("group", tasks),
    }
}

/// Takes the body away from the parts of chords that are yet to be sent, where a client has put it there: the chord has it, and it is put there
/// again then.
pub(super) fn strip_links(node: &mut Node) {
    match node {
        Node::Task(_) => {}
        Node::Chain(steps) | Node::Group(steps) => steps.tasks.iter_mut().for_each(strip_links),
        Node::Chord(chord) => {
            if let Some(group) = &mut chord.group {
                group.options.remove("chord");
            }
            chord.header.iter_mut().for_each(clear_chord);
            chord.header.iter_mut().for_each(strip_links);
            if let Some(body) = &mut chord.body {
                strip_links(body);
            }
        }
    }
}

fn clear_chord(node: &mut Node) {
    node.signature_mut().options.remove("chord");
    match node {
        Node::Task(_) => {}
        Node::Group(group) => group.tasks.iter_mut().for_each(clear_chord),
        Node::Chain(chain) => {
            if let Some(last) = chain.tasks.last_mut() {
                clear_chord(last);
            }
        }
        Node::Chord(chord) => {
            if let Some(body) = &mut chord.body {
                clear_chord(body);
            }
        }
    }
}
