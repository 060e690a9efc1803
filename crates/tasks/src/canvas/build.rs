//! Chains, groups and chords from code.

use quintette_core::json::RawJson;
use serde::Serialize;

use super::compose::fold;
use super::node::{CanvasError, Chord, Node};
use crate::signature::Signature;

fn nodes(tasks: impl IntoIterator<Item = Signature>) -> Result<Vec<Node>, CanvasError> {
    tasks.into_iter().map(Node::read).collect()
}

/// One after the other: each is given the result of the one before as its first argument, but where it is
/// [`immutable`](Signature::immutable). A group in it that is followed by a task is a chord. Celery's `chain`.
///
/// ```
/// use quintette_tasks::Signature;
/// use quintette_tasks::canvas::chain;
///
/// let steps = chain([Signature::new("shop.fetch"), Signature::new("shop.parse")])?;
/// assert_eq!(steps.task, "celery.chain");
/// # Ok::<(), quintette_tasks::canvas::CanvasError>(())
/// ```
///
/// # Errors
///
/// A canvas among the tasks that cannot be read, is nested too deeply or has too many tasks.
pub fn chain(tasks: impl IntoIterator<Item = Signature>) -> Result<Signature, CanvasError> {
    fold(nodes(tasks)?).write()
}

/// All at once. The result is the list of their results. Celery's `group`.
///
/// ```
/// use quintette_tasks::Signature;
/// use quintette_tasks::canvas::group;
///
/// let both = group([Signature::new("shop.fetch"), Signature::new("shop.parse")])?;
/// assert_eq!(both.task, "celery.group");
/// # Ok::<(), quintette_tasks::canvas::CanvasError>(())
/// ```
///
/// # Errors
///
/// As [`chain`].
pub fn group(tasks: impl IntoIterator<Item = Signature>) -> Result<Signature, CanvasError> {
    Node::group(nodes(tasks)?).write()
}

/// All at once, and then a body that is given the list of their results. Celery's `chord`.
///
/// ```
/// use quintette_tasks::Signature;
/// use quintette_tasks::canvas::chord;
///
/// let sum = chord([Signature::new("shop.one"), Signature::new("shop.two")], Signature::new("shop.tsum"))?;
/// assert_eq!(sum.task, "celery.chord");
/// # Ok::<(), quintette_tasks::canvas::CanvasError>(())
/// ```
///
/// # Errors
///
/// As [`chain`].
pub fn chord(
    header: impl IntoIterator<Item = Signature>,
    body: Signature,
) -> Result<Signature, CanvasError> {
    let header = Node::group(nodes(header)?);
    let chord = Chord::new(header, Some(Node::read(body)?));
    Node::Chord(Box::new(chord)).write()
}

/// A task with each item as its one argument, one after the other, in one worker. Celery's `task.map(items)`.
///
/// ```
/// use quintette_tasks::Signature;
/// use quintette_tasks::canvas::map;
///
/// let squares = map(&Signature::new("shop.square"), [1, 2, 3])?;
/// assert_eq!(squares.kwargs["it"].as_str(), "[1,2,3]");
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
///
/// Items that cannot be written as JSON.
pub fn map<T: Serialize>(
    task: &Signature,
    items: impl IntoIterator<Item = T>,
) -> Result<Signature, serde_json::Error> {
    over("celery.map", task, &items.into_iter().collect::<Vec<_>>())
}

/// A task with each item as its arguments, one after the other, in one worker. Celery's `task.starmap(items)`.
///
/// ```
/// use quintette_tasks::Signature;
/// use quintette_tasks::canvas::starmap;
///
/// let sums = starmap(&Signature::new("shop.add"), [(1, 1), (2, 2)])?;
/// assert_eq!(sums.kwargs["it"].as_str(), "[[1,1],[2,2]]");
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
///
/// As [`map`].
pub fn starmap<T: Serialize>(
    task: &Signature,
    items: impl IntoIterator<Item = T>,
) -> Result<Signature, serde_json::Error> {
    over(
        "celery.starmap",
        task,
        &items.into_iter().collect::<Vec<_>>(),
    )
}

/// As [`starmap`], in parts of so many items, each of which may run in another worker: a group. Celery's `task.chunks(items, size).group()`.
///
/// ```
/// use quintette_tasks::Signature;
/// use quintette_tasks::canvas::chunks;
///
/// let sums = chunks(&Signature::new("shop.add"), (0..10).map(|n| (n, n)), 4)?;
/// assert_eq!(sums.task, "celery.group");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Items that cannot be written as JSON, parts of none, too many of them.
pub fn chunks<T: Serialize>(
    task: &Signature,
    items: impl IntoIterator<Item = T>,
    size: usize,
) -> Result<Signature, crate::send::SendError> {
    if size == 0 {
        return Err(CanvasError::Unfit("chunks are of one item or more").into());
    }
    let items: Vec<_> = items.into_iter().collect();
    let parts = items
        .chunks(size)
        .map(|part| over("celery.starmap", task, part));
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    Ok(group(parts)?)
}

fn over<T: Serialize>(
    name: &str,
    task: &Signature,
    items: &[T],
) -> Result<Signature, serde_json::Error> {
    let json = task.to_json().map_err(serde::ser::Error::custom)?;
    let mut signature = Signature::new(name).immutable();
    signature.kwargs.insert("task".to_owned(), json);
    signature
        .kwargs
        .insert("it".to_owned(), RawJson::from_value(items)?);
    Ok(signature)
}
