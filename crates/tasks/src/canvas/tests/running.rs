//! Canvas in a worker, on the broker in memory: with a store that counts chords, and with one that needs `celery.chord_unlock`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use quintette_core::json::RawJson;
use serde_json::{Value, json};

use super::super::{chain, chord, chunks, group, map, starmap};
use super::{add, add1, echo, mul, tsum};
use crate::brokers::{ConsumeOptions, MemoryBroker, Queue};
use crate::results::tests::Counting;
use crate::results::{MemoryResults, ResultBackend, State};
use crate::worker::{Context, Tasks, Worker};
use crate::{
    App, Arguments, AsyncResult, GroupResult, OutcomeError, Signature, Task, TaskError,
    TaskSettings,
};

/// No test is as slow as this, unless it fails.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

static ADD: Task<(i64, i64), i64> = Task::new("shop.add", &["x", "y"]);
static MUL: Task<(i64, i64), i64> = Task::new("shop.mul", &["x", "y"]);
static TSUM: Task<(Vec<i64>,), i64> = Task::new("shop.tsum", &["numbers"]);
static FAIL: Task<(String,), ()> = Task::new("shop.fail", &["message"]);

/// What the task `shop.note` was called with.
type Notes = Arc<Mutex<Vec<Value>>>;

struct Site {
    app: App,
    notes: Notes,
    worker: tokio::task::JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

impl Site {
    fn counting() -> Self {
        Self::start(Arc::new(Counting::default()), TaskSettings::default())
    }

    fn unlocking() -> Self {
        Self::unlocking_within(TaskSettings::default().chord_deadline)
    }

    fn unlocking_within(chord_deadline: Duration) -> Self {
        let mut settings = TaskSettings::default();
        settings.chord_deadline = chord_deadline;
        settings.result_chord_retry_interval = Duration::from_millis(20);
        Self::start(Arc::new(MemoryResults::new(None)), settings)
    }

    fn both() -> [Self; 2] {
        [Self::counting(), Self::unlocking()]
    }

    fn start(results: Arc<dyn ResultBackend>, settings: TaskSettings) -> Self {
        let app = App::with(settings, Arc::new(MemoryBroker::default()), Some(results));
        let notes = Notes::default();
        let worker = Worker::new(app.clone(), tasks(notes.clone())).concurrency(4);
        let worker = tokio::spawn(async move {
            worker.run_until(std::future::pending()).await.unwrap();
        });
        Self { app, notes, worker }
    }

    async fn send(&self, signature: &Signature) -> AsyncResult<Value> {
        self.app.send(signature).await.unwrap().typed()
    }

    async fn get(&self, signature: &Signature) -> Value {
        self.send(signature).await.get(PATIENCE).await.unwrap()
    }

    async fn failure(&self, result: &AsyncResult<Value>) -> String {
        match result.get(PATIENCE).await {
            Err(OutcomeError::Failed(exception)) => exception.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// Waits until the task `shop.note` has been called so often.
    async fn noted(&self, times: usize) -> Vec<Value> {
        for _ in 0..2_000 {
            let notes = self.notes.lock().unwrap().clone();
            if notes.len() >= times {
                return notes;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("only {:?} were noted", self.notes.lock().unwrap());
    }
}

fn tasks(notes: Notes) -> Tasks {
    Tasks::new()
        .with(&ADD, |_: Context, (x, y)| async move { Ok(x + y) })
        .with_blocking(&MUL, |_: Context, (x, y)| Ok(x * y))
        .with(&TSUM, |_: Context, (numbers,): (Vec<i64>,)| async move {
            Ok(numbers.iter().sum())
        })
        .with(&FAIL, |_: Context, (message,): (String,)| async move {
            Err::<(), _>(TaskError::failure("ValueError", message))
        })
        .with_any("shop.echo", |_, arguments: Arguments| async move {
            Ok(arguments.args)
        })
        .with_any("shop.note", move |_, arguments: Arguments| {
            let args = RawJson::from_value(&arguments.args).unwrap();
            notes.lock().unwrap().push(args.deserialize().unwrap());
            async { Ok(()) }
        })
        .with_any(
            "shop.replace",
            |context: Context, arguments: Arguments| async move {
                let other: Signature = arguments.args.last().unwrap().deserialize().unwrap();
                Err::<(), _>(context.replace(other).await)
            },
        )
}

fn fail(message: &str) -> Signature {
    FAIL.si((message.to_owned(),)).unwrap()
}

fn note() -> Signature {
    Signature::new("shop.note")
}

fn replace(other: &Signature) -> Signature {
    Signature::new("shop.replace").args((other,)).unwrap()
}

#[tokio::test]
async fn a_chain_hands_its_results_on() {
    let site = Site::unlocking();
    let steps = [add(1, 2), mul(3), ADD.si((5, 5)).unwrap(), add1(1)];
    let result = site.send(&chain(steps).unwrap()).await;
    assert_eq!(result.get(PATIENCE).await.unwrap(), 11);
    let second = result.parent().unwrap().parent().unwrap();
    assert_eq!(second.typed::<i64>().get(PATIENCE).await.unwrap(), 9);
    let first = result.parent().unwrap().parent().unwrap().parent().unwrap();
    let next = first.children().await.unwrap();
    assert_eq!(
        next[0].id(),
        result.parent().unwrap().parent().unwrap().id()
    );
    let meta = result.meta().await.unwrap().unwrap();
    assert_eq!(
        meta.parent_id.as_deref(),
        Some(result.parent().unwrap().id())
    );
}

#[tokio::test]
async fn a_groups_results_are_in_order_and_found_again_by_its_id() {
    let site = Site::unlocking();
    let result = site.send(&group((0..30).map(|n| add(n, n))).unwrap()).await;
    let doubles: Vec<_> = (0..30).map(|n| n * 2).collect();
    assert_eq!(result.get(PATIENCE).await.unwrap(), json!(doubles));
    assert_eq!(result.state().await.unwrap(), State::Success);
    let group: GroupResult<i64> = result.group().unwrap();
    group.save().await.unwrap();
    let again = GroupResult::<i64>::restore(&site.app, group.id())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again.get(PATIENCE).await.unwrap(), doubles);
    assert_eq!(again.completed_count().await.unwrap(), 30);
    assert!(again.ready().await.unwrap());
    again.delete().await.unwrap();
    assert!(
        GroupResult::<i64>::restore(&site.app, group.id())
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_chord_gives_its_body_the_results_in_order() {
    for site in Site::both() {
        let header = [chain([add(1, 1), mul(2)]).unwrap(), add(2, 2), add(3, 3)];
        let result = site.get(&chord(header, echo(("after",))).unwrap()).await;
        assert_eq!(result, json!([[4, 4, 6], "after"]));
    }
}

#[tokio::test]
async fn a_chord_without_parts_calls_its_body_at_once() {
    for site in Site::both() {
        assert_eq!(site.get(&chord([], tsum()).unwrap()).await, 0);
    }
}

#[tokio::test]
async fn chains_groups_and_chords_stand_within_one_another() {
    for site in Site::both() {
        let inner = || group([add1(1), mul(2)]).unwrap();
        let canvas = chain([add(1, 2), inner(), tsum(), mul(2)]).unwrap();
        assert_eq!(site.get(&canvas).await, 20);
        let twice = chain([add(1, 2), inner(), tsum(), inner(), tsum(), add1(1)]).unwrap();
        assert_eq!(site.get(&twice).await, 32);
        let nested = chord(
            [chord([add(1, 1), add(2, 2)], tsum()).unwrap(), add(3, 3)],
            tsum(),
        );
        assert_eq!(site.get(&nested.unwrap()).await, 12);
        let groups = chain([
            group([add(1, 1), add(2, 2)]).unwrap(),
            group([echo((1,)), echo((2,))]).unwrap(),
        ]);
        assert_eq!(
            site.get(&groups.unwrap()).await,
            json!([[[2, 4], 1], [[2, 4], 2]])
        );
    }
}

#[tokio::test]
async fn a_part_that_ends_in_a_group_is_a_list_among_the_results() {
    for site in Site::both() {
        let ends_in_group = chain([add(1, 1), group([add1(1), mul(5)]).unwrap()]).unwrap();
        let canvas = chord([ends_in_group, add(7, 7)], echo(())).unwrap();
        assert_eq!(site.get(&canvas).await, json!([[[3, 10], 14]]));
    }
}

#[tokio::test]
async fn callbacks_are_called_with_the_result() {
    let site = Site::unlocking();
    let linked = add(1, 2)
        .link(&note())
        .link(&note().args(("alone",)).unwrap().immutable());
    site.send(&linked).await;
    let mut notes = site.noted(2).await;
    notes.sort_by_key(ToString::to_string);
    assert_eq!(notes, [json!(["alone"]), json!([3])]);
}

#[tokio::test]
async fn a_step_that_fails_fails_the_rest_of_the_chain_and_calls_the_errback_with_its_id() {
    let site = Site::unlocking();
    let canvas = chain([add(1, 2), fail("no"), mul(2), mul(3)])
        .unwrap()
        .link_error(&note());
    let result = site.send(&canvas).await;
    assert_eq!(site.failure(&result).await, "ValueError: no");
    let failed = result.parent().unwrap().parent().unwrap();
    assert_eq!(site.noted(1).await, [json!([failed.id()])]);
    assert_eq!(
        result.parent().unwrap().state().await.unwrap(),
        State::Failure
    );
}

#[tokio::test]
async fn a_part_that_fails_fails_the_chords_body_and_what_comes_after_it() {
    for site in Site::both() {
        let failing = chord([add(1, 1), fail("no")], tsum())
            .unwrap()
            .link_error(&note());
        let body = site.send(&failing).await;
        let failed = body.parent().unwrap().group::<Value>().unwrap().results()[1]
            .id()
            .to_owned();
        let expected = format!("ChordError: Dependency {failed} raised ValueError('no')");
        assert_eq!(site.failure(&body).await, expected);
        assert_eq!(site.noted(1).await, [json!([body.id()])]);
        let after = chain([
            group([add(1, 1), fail("no")]).unwrap(),
            tsum(),
            mul(2),
            mul(3),
        ])
        .unwrap();
        let after = site.send(&after).await;
        assert!(
            site.failure(&after)
                .await
                .contains("raised ValueError('no')")
        );
    }
}

#[tokio::test]
async fn a_chord_within_a_chord_that_fails_fails_the_outer_one() {
    for site in Site::both() {
        let inner = chord([add(1, 1), fail("deep")], tsum()).unwrap();
        let outer = site.send(&chord([inner, add(3, 3)], tsum()).unwrap()).await;
        assert!(site.failure(&outer).await.contains("deep"));
    }
}

#[tokio::test]
async fn each_task_of_a_group_that_is_a_chords_body_fails_with_the_cause() {
    for site in Site::both() {
        let body = group([echo((1,)), echo((2,))]).unwrap();
        let result = site
            .send(&chord([fail("no"), add(1, 1)], body).unwrap())
            .await;
        let tasks = result.group::<Value>().unwrap().results();
        for task in tasks {
            assert_eq!(site.failure(&task).await, "ValueError: no");
        }
    }
}

#[tokio::test]
async fn a_chord_whose_parts_never_end_fails_at_its_deadline() {
    let site = Site::unlocking_within(Duration::from_millis(300));
    let nowhere = add(1, 1).queue("nobody");
    let result = site
        .send(&chord([add(2, 2), nowhere], tsum()).unwrap())
        .await;
    let error = site.failure(&result).await;
    assert!(
        error.starts_with("ChordError: the parts of the chord were not all done"),
        "{error}"
    );
}

#[tokio::test]
async fn a_task_over_many_items_returns_the_list_of_its_results() {
    let site = Site::unlocking();
    let square = Signature::new("shop.tsum");
    let sums = map(&square, [vec![1, 2], vec![3]]).unwrap();
    assert_eq!(site.get(&sums).await, json!([3, 3]));
    let products = starmap(&Signature::new("shop.mul"), [(2, 3), (4, 5)]).unwrap();
    assert_eq!(site.get(&products).await, json!([6, 20]));
    let parts = chunks(&Signature::new("shop.add"), (0..5).map(|n| (n, n)), 2).unwrap();
    assert_eq!(site.get(&parts).await, json!([[0, 2], [4, 6], [8]]));
    let unknown = site
        .send(&map(&Signature::new("shop.unknown"), [1]).unwrap())
        .await;
    assert_eq!(site.failure(&unknown).await, "NotRegistered: shop.unknown");
}

#[tokio::test]
async fn a_task_is_replaced_by_another_whose_result_is_its_own() {
    for site in Site::both() {
        assert_eq!(site.get(&replace(&add(1, 2))).await, 3);
        let steps = chain([add(1, 2), mul(3)]).unwrap();
        assert_eq!(site.get(&replace(&steps)).await, 9);
        let many = group([add(1, 1), add(2, 2)]).unwrap();
        assert_eq!(site.get(&replace(&many)).await, json!([2, 4]));
        let first = chain([replace(&steps), add1(1), mul(2)]).unwrap();
        assert_eq!(site.get(&first).await, 20);
        let part = chord([replace(&steps), add(5, 5), replace(&add(1, 1))], tsum()).unwrap();
        assert_eq!(site.get(&part).await, 21);
    }
}

#[tokio::test]
async fn what_was_sent_together_is_found_one_by_one() {
    let site = Site::unlocking();
    let calls: Vec<_> = (0..50).map(|n| add(n, 1)).collect();
    let results = site.app.send_all(&calls).await.unwrap();
    for (n, result) in results.into_iter().enumerate() {
        assert_eq!(result.typed::<usize>().get(PATIENCE).await.unwrap(), n + 1);
    }
}

#[tokio::test]
async fn numbers_that_rust_has_no_type_for_go_through_a_chain_unharmed() {
    let site = Site::unlocking();
    let huge = "[123456789012345678901234567890,1e400]";
    let mut later = Signature::new("shop.echo");
    later.args = vec![RawJson::parse(huge).unwrap()];
    let first = add(1, 1).link(&later);
    let last = chain([first, later.clone(), later]).unwrap();
    let result = site.app.send(&last).await.unwrap();
    let backend = site.app.results().unwrap();
    let meta = backend.wait(result.id(), PATIENCE).await.unwrap().unwrap();
    assert_eq!(meta.result.as_str(), format!("[[2,{huge}],{huge}]"));
}

#[tokio::test]
async fn a_client_that_is_asked_to_says_what_it_sent() {
    let mut settings = TaskSettings::default();
    settings.task_send_sent_event = true;
    let app = App::with(settings, Arc::new(MemoryBroker::default()), None);
    let mut queue = Queue::new("watching");
    queue.exchange = crate::events::destination("memory", "").exchange;
    queue.routing_key = "task.#".to_owned();
    let options = ConsumeOptions {
        prefetch: 0,
        no_ack: true,
    };
    let mut consumer = app.broker().consume(&[queue], options).await.unwrap();
    let sent = app.send(&add(2, 3)).await.unwrap();
    let batch = tokio::time::timeout(PATIENCE.unwrap(), consumer.next())
        .await
        .unwrap();
    let message = batch.unwrap().remove(0).message.unwrap();
    let events: Value = serde_json::from_slice(&message.body).unwrap();
    assert_eq!(events[0]["type"], "task-sent");
    assert_eq!(events[0]["uuid"], sent.id());
    assert_eq!(events[0]["args"], "(2, 3)");
    assert_eq!(events[0]["queue"], "celery");
}
