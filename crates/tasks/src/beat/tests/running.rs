//! What is sent, and when.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;

use super::super::{MemoryStore, ScheduleStore as _};
use super::stage::{Broker, Running, TestClock, beat, cron, every, seconds};

#[tokio::test(start_paused = true)]
async fn entries_are_sent_when_they_are_due() {
    let (clock, broker) = (TestClock::at("2026-03-01T12:00:00Z"), Broker::new());
    let store = Arc::new(MemoryStore::new());
    let running = Running::start(
        beat(&clock, &broker, &store)
            .entry(every(10))
            .entry(every(25)),
    );
    seconds(31).await;
    running.stop().await;
    let dues = [
        "every 10 12:00:10",
        "every 10 12:00:20",
        "every 25 12:00:25",
        "every 10 12:00:30",
    ];
    assert_eq!(broker.dues(), dues);
    let (_, last) = broker.last().unwrap();
    assert_eq!(
        last.signature().options.get("headers").unwrap().as_str(),
        r#"{"celery_beat_task":true}"#
    );
    let recorded = store.load().await.unwrap();
    let counts: Vec<_> = recorded.iter().map(|entry| entry.total_run_count).collect();
    assert_eq!(counts, [3, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_crontab_is_read_on_the_clock_of_the_beats_time_zone() {
    let (clock, broker) = (TestClock::at("2026-03-01T12:00:00Z"), Broker::new());
    let store = Arc::new(MemoryStore::new());
    let seoul = beat(&clock, &broker, &store).zone(chrono_tz::Tz::Asia__Seoul);
    let running = Running::start(seoul.entry(cron("0 4 * * *")));
    seconds(24 * 3600).await;
    running.stop().await;
    assert_eq!(broker.dues(), ["cron 19:00:00"]);
}

#[tokio::test(start_paused = true)]
async fn two_beats_send_each_run_once() {
    let (clock, broker) = (TestClock::at("2026-03-01T12:00:00Z"), Broker::new());
    let store = Arc::new(MemoryStore::new());
    let beats: Vec<_> = (0..2)
        .map(|_| {
            Running::start(
                beat(&clock, &broker, &store)
                    .entry(every(1))
                    .entry(every(7)),
            )
        })
        .collect();
    seconds(700).await;
    for running in beats {
        running.stop().await;
    }
    let ids = broker.ids();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    assert_eq!(ids.len(), 700 + 100);
}

#[tokio::test(start_paused = true)]
async fn a_beat_that_stops_hands_over_at_once() {
    let (clock, broker) = (TestClock::at("2026-03-01T12:00:00Z"), Broker::new());
    let store = Arc::new(MemoryStore::new());
    let [first, second] =
        [(); 2].map(|()| Running::start(beat(&clock, &broker, &store).entry(every(10))));
    seconds(12).await;
    first.stop().await;
    let stopped = Instant::now();
    while broker.dues().len() < 2 {
        seconds(0).await;
    }
    assert!(stopped.elapsed() < Duration::from_secs(9)); // it was due 7.9 s later
    second.stop().await;
    assert_eq!(broker.dues(), ["every 10 12:00:10", "every 10 12:00:20"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_the_broker_refuses_is_sent_later_and_holds_up_no_other() {
    let (clock, broker) = (TestClock::at("2026-03-01T12:00:00Z"), Broker::new());
    let store = Arc::new(MemoryStore::new());
    *broker.refuses_entry.lock().unwrap() = Some("every 30".to_owned());
    let running = Running::start(
        beat(&clock, &broker, &store)
            .entry(every(30))
            .entry(every(20)),
    );
    seconds(41).await;
    assert_eq!(broker.dues(), ["every 20 12:00:20", "every 20 12:00:40"]);
    *broker.refuses_entry.lock().unwrap() = None;
    seconds(17).await;
    running.stop().await;
    assert_eq!(broker.dues()[2], "every 30 12:00:30");
}

#[tokio::test(start_paused = true)]
async fn one_off_entries_run_once_and_those_with_a_start_begin_then() {
    let (clock, broker) = (TestClock::at("2026-03-01T12:00:00Z"), Broker::new());
    let store = Arc::new(MemoryStore::new());
    let start = "2026-03-01T12:01:07Z".parse().unwrap();
    let mut ends = every(15);
    ends.end_time = Some("2026-03-01T12:00:20Z".parse().unwrap());
    let mut disabled = every(2);
    disabled.enabled = false;
    let beat = beat(&clock, &broker, &store)
        .entry(every(10).one_off())
        .entry(every(40).start_time(start))
        .entry(ends)
        .entry(disabled);
    let running = Running::start(beat);
    seconds(110).await;
    running.stop().await;
    let dues = [
        "every 10 12:00:10",
        "every 15 12:00:15",
        "every 40 12:01:07",
        "every 40 12:01:47",
    ];
    assert_eq!(broker.dues(), dues);
}

#[tokio::test(start_paused = true)]
async fn backend_cleanup_is_sent_at_four_with_half_a_day_to_run() {
    let (clock, broker) = (TestClock::at("2026-03-01T12:00:00Z"), Broker::new());
    let store = Arc::new(MemoryStore::new());
    let running = Running::start(beat(&clock, &broker, &store).backend_cleanup());
    seconds(24 * 3600).await;
    running.stop().await;
    assert_eq!(broker.dues(), ["celery.backend_cleanup 04:00:00"]);
    let options = broker.last().unwrap().1.entry.signature.options;
    assert_eq!(options.read("expires").unwrap(), Some(43_200));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_put_back_sends_nothing_twice() {
    let (clock, broker) = (TestClock::at("2026-03-01T12:00:00Z"), Broker::new());
    let store = Arc::new(MemoryStore::new());
    let running = Running::start(beat(&clock, &broker, &store).entry(cron("* * * * *")));
    seconds(130).await;
    clock.jump(TimeDelta::seconds(-100));
    seconds(200).await;
    running.stop().await;
    let dues = ["cron 12:01:00", "cron 12:02:00", "cron 12:03:00"];
    assert_eq!(broker.dues(), dues);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_a_year_ahead_does_not_stop_beat_for_a_year() {
    let (clock, broker) = (TestClock::at("2027-03-01T12:00:00Z"), Broker::new());
    let store = Arc::new(MemoryStore::new());
    let running = Running::start(beat(&clock, &broker, &store).entry(every(10)));
    seconds(11).await;
    clock.jump(TimeDelta::days(-365));
    seconds(330).await; // the schedule is read again every five minutes
    running.stop().await;
    assert!(broker.dues().len() > 2, "{:?}", broker.dues());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ahead_is_seen_within_seconds() {
    let (clock, broker) = (TestClock::at("2026-03-01T12:00:00Z"), Broker::new());
    let store = Arc::new(MemoryStore::new());
    let running = Running::start(beat(&clock, &broker, &store).entry(cron("0 4 * * *")));
    seconds(1).await;
    clock.jump(TimeDelta::hours(17));
    seconds(5).await;
    running.stop().await;
    assert_eq!(broker.dues(), ["cron 04:00:00"]);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_down_for_long_gets_one_run() {
    let (clock, broker) = (TestClock::at("2026-03-01T12:00:00Z"), Broker::new());
    let store = Arc::new(MemoryStore::new());
    broker.refuses.store(20, Ordering::SeqCst);
    let running = Running::start(beat(&clock, &broker, &store).entry(every(60)));
    seconds(40 * 60).await;
    running.stop().await;
    let dues = broker.dues();
    assert_eq!(dues[0], "every 60 12:01:00");
    // 20 tries, a minute apart at most, then on in the old rhythm.
    assert!(
        dues[1].ends_with(":00") && dues[1].as_str() > "every 60 12:10:00",
        "{dues:?}"
    );
}
