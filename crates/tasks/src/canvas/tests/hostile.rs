//! Canvases that somebody else wrote, to do harm.

use quintette_core::json::RawJson;
use serde_json::json;

use super::{add, app, tsum};
use crate::canvas::{CanvasError, Given, Node, Planner, chain, chord, group};
use crate::{Options, SendError, Signature};

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

#[test]
fn nesting_has_an_end() {
    let mut nested = add(1, 1);
    let refused = (0..500).find_map(|depth| {
        let outer = chain([nested.clone(), add(1, 1)]).map(|chain| {
            // As Python's from_dict would leave it: not flattened.
            let mut outer = chain;
            let inner = RawJson::from_value(&[&nested]).ok()?;
            outer.kwargs.insert("tasks".to_owned(), inner);
            Some(outer)
        });
        match outer {
            Ok(Some(outer)) => {
                nested = outer;
                send(&nested).err().map(|error| (depth, error.to_string()))
            }
            Ok(None) => Some((depth, "too deep to be written".to_owned())),
            Err(error) => Some((depth, error.to_string())),
        }
    });
    let (depth, error) = refused.expect("an end");
    assert!((100..200).contains(&depth), "{depth}: {error}");
    assert!(error.contains("nested"), "{error}");
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
