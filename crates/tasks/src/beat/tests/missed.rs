//! What came due while no beat ran.

use std::sync::Arc;
use std::time::Duration;

use super::super::Entry;
use super::super::{FileStore, MissedTicks};
use super::stage::{Broker, Running, TestClock, beat, cron, every, seconds};

/// A beat that stands still for a hundred seconds, and what it sends before and after.
async fn over_a_pause(entry: Entry, missed: MissedTicks) -> Vec<String> {
    let (clock, broker) = (TestClock::at("2026-03-01T12:00:00Z"), Broker::new());
    let directory = tempfile::tempdir().unwrap();
    for (run, pause) in [(25, 100), (25, 0)] {
        // Each time a new process, with nothing but the file.
        let store = Arc::new(FileStore::new(directory.path().join("beat")));
        let beat = beat(&clock, &broker, &store).entry(entry.clone());
        let running = Running::start(beat.missed(missed));
        seconds(run).await;
        running.stop().await;
        seconds(pause).await;
    }
    broker.dues()
}

#[tokio::test(start_paused = true)]
async fn a_restart_makes_up_for_missed_runs_with_one_and_keeps_the_rhythm() {
    let dues = over_a_pause(every(10), MissedTicks::default()).await;
    let expected = [
        "12:00:10", "12:00:20", "12:00:30", "12:02:10", "12:02:20", "12:02:30",
    ];
    assert_eq!(dues, expected.map(|due| format!("every 10 {due}")));
}

#[tokio::test(start_paused = true)]
async fn a_short_restart_loses_no_run_and_doubles_none() {
    let (clock, broker) = (TestClock::at("2026-03-01T12:00:00Z"), Broker::new());
    let directory = tempfile::tempdir().unwrap();
    for run in 0..20 {
        let store = Arc::new(FileStore::new(directory.path().join("beat")));
        let running = Running::start(beat(&clock, &broker, &store).entry(every(3)));
        seconds(run % 4).await;
        running.stop().await;
    }
    let dues = broker.dues();
    assert!(dues.len() > 8, "{dues:?}");
    for (number, due) in (1..).zip(&dues) {
        assert_eq!(*due, format!("every 3 12:00:{:02}", number * 3));
    }
}

#[tokio::test(start_paused = true)]
async fn missed_runs_can_be_passed_over() {
    let later_than = Duration::from_secs(4);
    let dues = over_a_pause(every(10), MissedTicks::Skip { later_than }).await;
    // At 12:02:05 that of 12:02:00 is too late by a second.
    let expected = ["12:00:10", "12:00:20", "12:02:10", "12:02:20", "12:02:30"];
    assert_eq!(dues, expected.map(|due| format!("every 10 {due}")));
}

#[tokio::test(start_paused = true)]
async fn the_last_of_the_missed_runs_is_sent_if_it_is_late_by_little() {
    let later_than = Duration::from_secs(8);
    let dues = over_a_pause(every(10), MissedTicks::Skip { later_than }).await;
    let expected = [
        "12:00:10", "12:00:20", "12:02:00", "12:02:10", "12:02:20", "12:02:30",
    ];
    assert_eq!(dues, expected.map(|due| format!("every 10 {due}")));
}

#[tokio::test(start_paused = true)]
async fn each_missed_run_can_be_made_up_for_up_to_a_bound() {
    let all = over_a_pause(every(40), MissedTicks::RunAll { at_most: 10 }).await;
    let expected = ["12:00:40", "12:01:20", "12:02:00"];
    assert_eq!(all, expected.map(|due| format!("every 40 {due}")));
    let two = over_a_pause(every(20), MissedTicks::RunAll { at_most: 2 }).await;
    let expected = ["12:00:20", "12:00:40", "12:01:00", "12:02:20"];
    assert_eq!(two, expected.map(|due| format!("every 20 {due}")));
}

#[tokio::test(start_paused = true)]
async fn a_crontab_past_its_starting_deadline_waits_for_its_next_time() {
    let deadline = |seconds| MissedTicks::RunOnce {
        starting_deadline: Some(Duration::from_secs(seconds)),
    };
    let late = over_a_pause(cron("1 * * * *"), deadline(30)).await;
    assert_eq!(late, Vec::<String>::new());
    let in_time = over_a_pause(cron("1 * * * *"), deadline(90)).await;
    assert_eq!(in_time, ["cron 12:01:00"]);
}
