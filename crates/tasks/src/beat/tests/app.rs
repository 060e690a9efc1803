//! A beat of an app: what reaches its queues, and what its results say.

use std::sync::Arc;
use std::time::Duration;

use super::super::{Beat, Clock, MemoryStore};
use super::stage::{Running, TestClock};
use crate::app::App;
use crate::brokers::ConsumeOptions;
use crate::results::MemoryResults;
use crate::settings::TaskSettings;
use crate::signature::Signature;

#[tokio::test(start_paused = true)]
async fn a_due_task_is_a_message_with_beats_header_and_the_runs_id() {
    let app = App::new(TaskSettings::default()).unwrap();
    let options = ConsumeOptions {
        prefetch: 0,
        no_ack: true,
    };
    let slow = [app.queue("slow")];
    let mut consumer = app.broker().consume(&slow, options).await.unwrap();
    let clock = TestClock::at("2026-03-01T12:00:00Z");
    let report = Signature::new("shop.report").args((1,)).unwrap();
    let report = report.queue("slow").option("expires", 43_200);
    let beat = Beat::new(&app, "shop", Arc::new(MemoryStore::new()))
        .schedule("report", Duration::from_mins(1), report)
        .clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let running = Running::start(beat);
    let delivery = consumer.next().await.unwrap().remove(0);
    running.stop().await;

    let message = delivery.message.unwrap();
    let headers = &message.headers;
    assert_eq!(headers["task"], "shop.report");
    assert_eq!(headers["celery_beat_task"], true);
    let id = uuid::Uuid::parse_str(headers["id"].as_str().unwrap()).unwrap();
    assert_eq!(id.get_version_num(), 5);
    assert!(headers["expires"].is_string());
    assert!(message.body.starts_with(b"[[1],{},"));
}

#[tokio::test]
async fn results_that_do_not_expire_are_cleaned_up_at_four() {
    let with = |settings: TaskSettings| {
        let app = App::new(TaskSettings::default()).unwrap();
        let results = MemoryResults::new(settings.result_expires);
        let app = App::with(settings, app.broker().clone(), Some(Arc::new(results)));
        let beat = Beat::new(&app, "shop", Arc::new(MemoryStore::new()));
        let expires = app.results().unwrap().expires_by_itself();
        (
            expires,
            format!("{beat:?}").contains("celery.backend_cleanup"),
        )
    };
    let (expires, cleans_up) = with(TaskSettings::default());
    assert_ne!(expires, cleans_up);
    let mut for_ever = TaskSettings::default();
    for_ever.result_expires = None;
    assert!(!with(for_ever).1);
}
