use std::sync::Arc;
use std::time::Duration;

use quintette_core::json::RawJson;
use quintette_tasks::brokers::{AmqpBroker, Broker};
use quintette_tasks::results::{
    ResultBackend, ResultErrorKind, RpcResults, State, StoreContext, TaskMeta,
};
use quintette_testkit::servers::Proxy;
use serde_json::json;

use crate::support::{LONG, broker, queue, shared};

fn answer(id: &str, state: State, number: i64) -> TaskMeta {
    TaskMeta::new(id, state, RawJson::from(number))
}

fn context(oid: &str) -> StoreContext {
    StoreContext {
        reply_to: Some(oid.to_owned()),
        ..StoreContext::default()
    }
}

fn results(oid: &str) -> RpcResults {
    RpcResults::new(Arc::new(broker()), oid, Some(Duration::from_hours(1)))
}

#[tokio::test]
async fn a_result_wakes_the_client_that_waits_and_stays_known_to_it() {
    let oid = queue("oid").name;
    let (client, worker) = (results(&oid), results("worker"));
    client.before_sending().await.unwrap();
    assert_eq!(client.load("a").await.unwrap(), None);
    let soon = client
        .wait("a", Some(Duration::from_millis(50)))
        .await
        .unwrap();
    assert_eq!(soon, None);
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.wait("a", Some(LONG)).await }
    });
    let context = context(&oid);
    worker
        .store(&answer("a", State::Started, 0), &context)
        .await
        .unwrap();
    worker
        .store(&answer("a", State::Success, 7), &context)
        .await
        .unwrap();
    worker
        .store(&answer("a", State::Failure, 8), &context)
        .await
        .unwrap();
    worker
        .store(&answer("b", State::Success, 9), &context)
        .await
        .unwrap();
    let meta = waiting.await.unwrap().unwrap().unwrap();
    assert_eq!((meta.status, meta.result.as_str()), (State::Success, "7"));
    assert_eq!(
        client
            .wait("b", Some(LONG))
            .await
            .unwrap()
            .unwrap()
            .result
            .as_str(),
        "9"
    );
    assert_eq!(
        client.load("a").await.unwrap().unwrap().result.as_str(),
        "7"
    );
    client.forget("a").await.unwrap();
    assert_eq!(client.load("a").await.unwrap(), None);
}

#[tokio::test]
async fn results_that_nobody_waits_for_are_no_error_and_groups_are_one() {
    let worker = results("worker");
    worker
        .store(&answer("a", State::Success, 1), &context("nobody"))
        .await
        .unwrap();
    worker
        .store(&answer("a", State::Success, 1), &StoreContext::default())
        .await
        .unwrap();
    let error = worker
        .save_group("g", &RawJson::from_value(&json!([])).unwrap())
        .await;
    assert_eq!(error.unwrap_err().kind(), ResultErrorKind::Unsupported);
    assert!(worker.chords().is_none());
}

#[tokio::test]
async fn a_result_that_comes_while_the_connection_is_lost_is_not() {
    let proxy = Proxy::before(shared().address()).unwrap();
    let url = format!("amqp://guest:guest@{}//", proxy.address());
    let oid = queue("oid").name;
    let broker: Arc<dyn Broker> = Arc::new(AmqpBroker::new(&url).unwrap());
    let client = RpcResults::new(broker, &oid, None);
    client.before_sending().await.unwrap();
    proxy.cut();
    results("worker")
        .store(&answer("a", State::Success, 3), &context(&oid))
        .await
        .unwrap();
    proxy.heal();
    let meta = client.wait("a", Some(LONG)).await.unwrap().unwrap();
    assert_eq!(meta.result.as_str(), "3");
}

#[tokio::test]
async fn a_result_that_no_message_can_carry_is_refused_and_not_tried_for_ever() {
    let long = "x".repeat(300);
    let (worker, somebody) = (results("worker"), context("somebody"));
    let answer = answer(&long, State::Success, 7);
    let sent = worker.store(&answer, &somebody);
    let error = tokio::time::timeout(LONG, sent).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ResultErrorKind::Refused, "{error}");
}
