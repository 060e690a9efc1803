//! Canvases that somebody else wrote, to do harm.

use quintette_core::json::RawJson;
use serde_json::json;

use super::{add, add1, app, tsum};
use crate::canvas::chord::{Part, part_done};
use crate::canvas::{CanvasError, Given, Node, Planner, chain, chord, group};
use crate::results::State;
use crate::{Exception, Options, SendError, Signature};

fn send(signature: &Signature) -> Result<usize, SendError> {
    let app = app(true);
    let mut planner = Planner::new(&app);
    planner.apply(
        Node::read(signature.clone())?,
        &Given::default(),
        &Options::default(),
    )?;
    Ok(planner.finish().calls.len())
}

/// A chain, a chord's body and a chord's header by turns, so often.
fn nested(times: usize) -> Signature {
    (0..times).fold(add(1, 1), |inner, level| match level % 3 {
        0 => {
            // As Python's from_dict leaves it: not spliced.
            let mut outer = chain([add(1, 1)]).unwrap();
            let inner = RawJson::from_value(&[&inner]).unwrap();
            outer.kwargs.insert("tasks".to_owned(), inner);
            outer
        }
        1 => chord([add(1, 1)], inner).unwrap(),
        _ => chord([inner], add(1, 1)).unwrap(),
    })
}

#[test]
fn nesting_has_an_end_before_the_stack_has() {
    let deep = nested(64);
    let text = deep.to_json().unwrap().as_str().len();
    assert!(send(&deep).is_ok());
    assert!(text < 20_000, "{text}");
    let deeper = Signature {
        kwargs: [("tasks".to_owned(), RawJson::from_value(&[&deep]).unwrap())].into(),
        ..chain([]).unwrap()
    };
    let error = send(&deeper).unwrap_err();
    assert!(
        matches!(error, SendError::Canvas(CanvasError::TooDeep)),
        "{error}"
    );
}

#[test]
fn chords_within_chords_do_not_grow_with_each_level() {
    let app = app(true);
    let size = |times| {
        let mut planner = Planner::new(&app);
        let node = Node::read(nested(times)).unwrap();
        planner
            .apply(node, &Given::default(), &Options::default())
            .unwrap();
        let calls = planner.finish().calls;
        calls
            .iter()
            .map(|call| call.message.body.len())
            .sum::<usize>()
    };
    assert!(size(60) < 8 * size(30), "{} {}", size(30), size(60));
}

#[test]
fn links_within_links_end_where_json_does() {
    let mut signature = json!({"task": "shop.add"});
    for _ in 0..40 {
        signature = json!({"task": "shop.add", "options": {"link": [signature]}});
    }
    let signature: Signature = serde_json::from_value(signature).unwrap();
    assert_eq!(send(&signature).unwrap(), 1);
}

#[test]
fn a_canvas_has_no_more_tasks_than_its_limit() {
    let tasks = std::iter::repeat_n(add(1, 1), 100_001);
    let error = group(tasks).and_then(|group| Node::read(group).map(|_| ()));
    assert!(matches!(error, Err(CanvasError::TooLarge)), "{error:?}");
}

#[test]
fn what_is_no_canvas_is_an_error() {
    let broken = [
        json!({"task": "celery.chain", "subtask_type": "chain", "kwargs": {"tasks": [5]}}),
        json!({"task": "celery.chain", "subtask_type": "chain", "kwargs": {"tasks": "abc"}}),
        json!({"task": "celery.chain", "subtask_type": "chain", "kwargs": {"tasks": []}}),
        json!({"task": "celery.chain", "subtask_type": "chain"}),
        json!({"task": "celery.group", "subtask_type": "group", "kwargs": {"tasks": [{}]}}),
        json!({"task": "celery.chord", "subtask_type": "chord", "kwargs": {"header": [], "body": null}}),
        json!({"task": "celery.chord", "subtask_type": "chord", "kwargs": {"header": 1, "body": {"task": "a"}}}),
        json!({"task": "celery.chord", "subtask_type": "chord"}),
    ];
    for canvas in broken {
        let signature: Signature = serde_json::from_value(canvas.clone()).unwrap();
        assert!(send(&signature).is_err(), "{canvas}");
    }
}

#[test]
fn a_group_refuses_callbacks_of_its_own() {
    let app = app(true);
    let mut options = Options::default();
    options.set("link", &tsum());
    let node = Node::read(group([add(1, 1), add(2, 2)]).unwrap()).unwrap();
    assert!(
        Planner::new(&app)
            .apply(node, &Given::default(), &options)
            .is_err()
    );
}

#[test]
fn a_chord_needs_a_store() {
    let app = crate::App::with(
        crate::TaskSettings::default(),
        app(true).broker().clone(),
        None,
    );
    let node = Node::read(chord([add(1, 1)], tsum()).unwrap()).unwrap();
    let error = Planner::new(&app)
        .apply(node, &Given::default(), &Options::default())
        .unwrap_err();
    assert!(
        error.to_string().contains("CELERY_RESULT_BACKEND"),
        "{error}"
    );
}

#[test]
fn what_python_adds_to_a_signature_is_kept() {
    let text = r#"{"task":"shop.add","args":[1],"kwargs":{},"options":{"x":1e400},"subtask_type":null,"immutable":false,"chord_size":3,"later":[1]}"#;
    let signature = Signature::from_json(&RawJson::parse(text).unwrap()).unwrap();
    assert_eq!(signature.to_json().unwrap().as_str(), text);
}

/// Chords whose bodies are parts of the next one.
#[test]
fn a_failure_passes_through_chords_within_chords_and_not_through_the_stack() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let app = app(true);
    let counter = app.results().unwrap().chords().unwrap();
    let mut body = json!({"task": "shop.last", "options": {"task_id": "last"}});
    for level in 0..440 {
        let group = format!("g{level}");
        runtime.block_on(counter.set_size(&group, 1)).unwrap();
        body = json!({"task": "shop.body", "options": {"task_id": level.to_string(), "group_id": group, "chord": body}});
    }
    runtime.block_on(counter.set_size("g", 1)).unwrap();
    let part = Part {
        group: "g".to_owned(),
        index: None,
        task_id: "first".to_owned(),
        body: Signature::from_json(&RawJson::parse(&body.to_string()).unwrap()).unwrap(),
        state: State::Failure,
        result: Exception::new("ValueError", "x").to_json(),
    };
    let handle = app.clone();
    // On a thread of the runtime, whose stack is smaller than the test's.
    let done = runtime.spawn(async move { part_done(&handle, part).await });
    runtime.block_on(done).unwrap().unwrap();
    let last = runtime.block_on(app.results().unwrap().load("last"));
    assert_eq!(last.unwrap().unwrap().status, State::Failure);
}

#[test]
fn a_small_canvas_does_not_grow_beyond_memory() {
    let body = Signature::new("shop.body")
        .args(("x".repeat(1 << 20),))
        .unwrap();
    let parts = std::iter::repeat_n(Signature::new("a"), 5_000);
    let error = send(&chord(parts, body).unwrap()).unwrap_err();
    assert!(
        matches!(error, SendError::Canvas(CanvasError::TooHeavy)),
        "{error}"
    );
}

#[test]
fn a_call_of_nothing_is_not_sent() {
    assert!(send(&Signature::new("")).is_err());
}

#[test]
fn a_long_chain_is_sent_step_by_step_and_not_through_the_stack() {
    let steps = chain(std::iter::repeat_n(add1(1), 50_000)).unwrap();
    let sent = std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || {
            let app = app(true);
            let mut planner = Planner::new(&app);
            let node = Node::read(steps).unwrap();
            let given = Given::one(&RawJson::from(1));
            let result = planner.apply(node, &given, &Options::default()).unwrap();
            let written = result.to_value();
            drop(result);
            (planner.finish().calls.len(), written.is_array())
        });
    assert_eq!(sent.unwrap().join().unwrap(), (1, true));
}
