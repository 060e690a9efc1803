//! A chain's steps as they are run: one task after the other, with no chain in the chain.

use std::collections::VecDeque;

use super::compose::{chord, is_empty_group, unchained, unrolled};
use super::node::{Chord, Node};

/// What a chain passes on to its first task, of its own options, is all but these.
const CHAIN_OPTIONS: [&str; 8] = [
    "chord",
    "group_id",
    "group_index",
    "link",
    "link_error",
    "parent_id",
    "root_id",
    "task_id",
];

/// Chains within are spliced in, a group of one is that one, an empty group is no step (but where there is no other), and a group with a
/// task after it is a chord.
///
/// With `split`, a chord whose body is a chain keeps the first task of it as body, and the others come after: each part of the chord
/// carries a copy of the body.
pub(super) fn flat(tasks: Vec<Node>, split: bool) -> Vec<Node> {
    let mut waiting = VecDeque::from(tasks);
    let mut done = Vec::new();
    let mut empty = None;
    while let Some(task) = waiting.pop_back() {
        match unrolled(task) {
            group if is_empty_group(&group) => empty = Some(group),
            Node::Chain(chain) => waiting.extend(chain.tasks),
            Node::Chord(before) if split && is_led_by_task(&before) => {
                waiting.extend(split_body(*before));
            }
            group @ Node::Group(_) => match done.pop() {
                None => done.push(group),
                Some(next) => done.push(chord(group, next)),
            },
            task => done.push(task),
        }
    }
    if done.is_empty() {
        done.extend(empty);
    }
    done.reverse();
    done
}

/// A group first would make of what follows it a chord of its own.
fn is_led_by_task(chord: &Chord) -> bool {
    matches!(&chord.body, Some(Node::Chain(body)) if body.tasks.first().is_some_and(|first| !matches!(first, Node::Group(_))))
}

fn split_body(mut chord: Chord) -> Vec<Node> {
    let Some(Node::Chain(body)) = chord.body.take() else {
        return vec![Node::Chord(Box::new(chord))];
    };
    let options = body.signature.options.without(&CHAIN_OPTIONS);
    let mut rest = unchained(body).into_iter();
    chord.body = rest.next();
    if let Some(first) = &mut chord.body {
        first.signature_mut().options.merge(&options);
    }
    let mut steps = vec![Node::Chord(Box::new(chord))];
    steps.extend(rest);
    steps
}
