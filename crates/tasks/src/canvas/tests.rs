//! Against what Celery 5.7 makes of the same canvases: `tests/canvas/fixtures.py` writes down what it sends.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::{Given, Node, Planner, chain, chord, chunks, group, map, starmap};
use crate::brokers::MemoryBroker;
use crate::results::tests::Counting;
use crate::results::{MemoryResults, ResultBackend};
use crate::send::Call;
use crate::{App, Options, Signature, TaskSettings};

mod hostile;
mod normal;
mod options;
mod running;

use normal::{compare, normal};

const FIXTURES: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/canvas/fixtures.json"
));

fn fixtures() -> Map<String, Value> {
    serde_json::from_str(FIXTURES).unwrap()
}

fn app(counting: bool) -> App {
    let results: Arc<dyn ResultBackend> = if counting {
        Arc::new(Counting::default())
    } else {
        Arc::new(MemoryResults::new(None))
    };
    App::with(
        TaskSettings::default(),
        Arc::new(MemoryBroker::default()),
        Some(results),
    )
}

/// What the first messages of a canvas are, in the shape of the fixtures.
fn planned(app: &App, signature: &Signature) -> Value {
    let mut planner = Planner::new(app);
    let node = Node::read(signature.clone()).unwrap();
    let result = planner
        .apply(node, &Given::default(), &Options::default())
        .unwrap();
    let plan = planner.finish();
    let sizes: Map<String, Value> = plan
        .sizes
        .iter()
        .map(|(id, size)| (id.clone(), json!(size)))
        .collect();
    json!({
        "signature": signature,
        "sent": plan.calls.iter().map(sent).collect::<Vec<_>>(),
        "sizes": sizes,
        "result": result.to_value(),
    })
}

fn sent(call: &Call) -> Value {
    let destination = &call.destination;
    json!({
        "headers": call.message.headers,
        "body": serde_json::from_slice::<Value>(&call.message.body).unwrap(),
        "exchange": destination.exchange.name,
        "routing_key": destination.routing_key,
        "queue": destination.declare.as_ref().map(|queue| queue.name.clone()),
        "priority": call.message.properties.priority,
        "correlation_id": call.message.properties.correlation_id,
        "reply_to": call.message.properties.reply_to,
    })
}

/// With members in the order in which Python wrote them.
#[derive(serde::Deserialize)]
struct Entry {
    signature: Signature,
}

fn differences(name: &str, ours: &Value, theirs: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(name, &normal(ours), &normal(theirs), &mut found);
    found
}

#[test]
fn a_canvas_that_python_wrote_is_sent_as_python_sends_it() {
    let mut found = Vec::new();
    let written: IndexMap<String, Entry> = serde_json::from_str(FIXTURES).unwrap();
    for (name, entry) in fixtures() {
        // Celery gives the header of the inner chord two ids, of which it uses the second.
        if name == "chord_in_chord/unlocking" {
            continue;
        }
        let counting = name.ends_with("/counting");
        let mut ours = planned(&app(counting), &written[&name].signature);
        if !counting {
            ours["sizes"] = Value::Null;
        }
        found.extend(differences(&name, &ours, &entry));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn add(x: i64, y: i64) -> Signature {
    Signature::new("shop.add").args((x, y)).unwrap()
}

fn add1(y: i64) -> Signature {
    Signature::new("shop.add").args((y,)).unwrap()
}

fn mul(y: i64) -> Signature {
    Signature::new("shop.mul").args((y,)).unwrap()
}

fn tsum() -> Signature {
    Signature::new("shop.tsum")
}

fn echo(args: impl serde::Serialize) -> Signature {
    Signature::new("shop.echo").args(args).unwrap()
}

#[expect(clippy::too_many_lines, reason = "a list of canvases")]
fn built() -> HashMap<&'static str, Signature> {
    let immutable = || add(7, 8).immutable();
    let pair = || [add(1, 1), add(2, 2)];
    let echoes = || group([echo((1,)), echo((2,))]).unwrap();
    let inner = || group([add1(1), mul(2)]).unwrap();
    HashMap::from([
        ("task", add(2, 3)),
        (
            "task_kwargs",
            echo((1, (2.5, ())))
                .kwarg("name", "\u{e9}")
                .unwrap()
                .kwarg("deep", json!({"a": [true]}))
                .unwrap(),
        ),
        ("stamped", add(1, 2).stamp("shop", "south")),
        (
            "link",
            add(1, 2)
                .link(&mul(3))
                .link(&echo(("linked",)).immutable())
                .link_error(&echo(("failed",))),
        ),
        (
            "chain",
            chain([add(1, 2), mul(3), immutable(), tsum()]).unwrap(),
        ),
        ("chain_of_one", chain([add(1, 2)]).unwrap()),
        (
            "chain_linked",
            chain([add(1, 2), mul(3)])
                .unwrap()
                .link(&echo(()))
                .link_error(&echo(("errback",))),
        ),
        (
            "chain_in_chain",
            chain([add(1, 2), chain([mul(3), mul(4)]).unwrap(), echo(())]).unwrap(),
        ),
        (
            "group",
            group([
                add(1, 1),
                Signature::new("shop.mul").args((2, 2)).unwrap(),
                immutable(),
            ])
            .unwrap(),
        ),
        ("group_of_one", group([add(1, 1)]).unwrap()),
        ("group_empty", group([]).unwrap()),
        (
            "group_linked",
            group(pair())
                .unwrap()
                .link(&echo(("first",)))
                .link_error(&echo(("each",))),
        ),
        (
            "group_of_chains",
            group([
                chain([add(1, 1), mul(2)]).unwrap(),
                add(5, 5),
                chain([add(1, 1), mul(2), mul(3)]).unwrap(),
            ])
            .unwrap(),
        ),
        (
            "chord",
            chord([add(1, 1), add(2, 2), immutable()], tsum()).unwrap(),
        ),
        (
            "chord_linked",
            chord(pair(), tsum())
                .unwrap()
                .link(&echo(("after",)))
                .link_error(&echo(("chord failed",))),
        ),
        ("chord_empty", chord([], tsum()).unwrap()),
        (
            "chord_immutable",
            chord(pair(), echo(("done",)).immutable()).unwrap(),
        ),
        (
            "chord_options",
            chord(pair(), tsum().queue("slow").priority(5)).unwrap(),
        ),
        (
            "chord_of_chains",
            chord([chain([add(1, 1), mul(2)]).unwrap(), add(2, 2)], tsum()).unwrap(),
        ),
        (
            "chord_body_chain",
            chord(pair(), chain([tsum(), mul(3), echo(())]).unwrap()).unwrap(),
        ),
        ("chord_body_group", chord(pair(), echoes()).unwrap()),
        (
            "chord_in_chord",
            chord([chord(pair(), tsum()).unwrap(), add(3, 3)], tsum()).unwrap(),
        ),
        (
            "group_then_task",
            chain([group(pair()).unwrap(), tsum()]).unwrap(),
        ),
        (
            "task_group_task",
            chain([add(1, 2), inner(), tsum()]).unwrap(),
        ),
        (
            "task_group_task_task",
            chain([add(1, 2), inner(), tsum(), mul(2), echo(())]).unwrap(),
        ),
        ("task_group", chain([add(1, 2), inner()]).unwrap()),
        (
            "two_chords",
            chain([
                add(1, 2),
                inner(),
                tsum(),
                group([add1(1), mul(3)]).unwrap(),
                tsum(),
            ])
            .unwrap(),
        ),
        (
            "group_group",
            chain([group(pair()).unwrap(), echoes(), tsum()]).unwrap(),
        ),
        (
            "chain_empty_group",
            chain([add(1, 2), group([]).unwrap(), mul(3)]).unwrap(),
        ),
        (
            "chain_group_of_one",
            chain([add(1, 2), group([mul(3)]).unwrap(), tsum()]).unwrap(),
        ),
        ("map", map(&Signature::new("shop.add"), [1, 2, 3]).unwrap()),
        (
            "starmap",
            starmap(&Signature::new("shop.add"), [(1, 2), (3, 4)]).unwrap(),
        ),
        (
            "chunks",
            chunks(&Signature::new("shop.add"), [(1, 1), (2, 2), (3, 3)], 2).unwrap(),
        ),
    ])
}

#[test]
fn a_canvas_built_here_is_the_one_that_python_builds() {
    let (fixtures, mut found) = (fixtures(), Vec::new());
    for (name, signature) in built() {
        let theirs = &fixtures[&format!("{name}/counting")]["signature"];
        found.extend(differences(
            name,
            &serde_json::to_value(&signature).unwrap(),
            theirs,
        ));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_chord_whose_body_is_a_chain_is_looked_after_where_the_chain_begins() {
    let body = chain([tsum().queue("slow"), mul(3)]).unwrap();
    let ours = planned(&app(false), &chord([add(1, 1)], body).unwrap());
    let unlock = &ours["sent"][0];
    assert_eq!(unlock["headers"]["task"], "celery.chord_unlock");
    assert_eq!(unlock["queue"], "slow");
}
