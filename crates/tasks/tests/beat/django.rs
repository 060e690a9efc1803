//! django-celery-beat's tables.

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use quintette_core::time::TimeZone;
use quintette_tasks::Signature;
use quintette_tasks::beat::schedule::{Crontab, Interval, Schedule, Solar};
use quintette_tasks::beat::{Beat, Entry, Lease as _, ScheduleStore as _, Tick, TickSender};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::databases::Tables;

const LONG: Duration = Duration::from_mins(10);

/// Rows as Django writes them.
const SCHEDULES: &str = "
INSERT INTO django_celery_beat_intervalschedule (id, every, period) VALUES (1, 90, 'minutes'), (2, 200000, 'microseconds');
INSERT INTO django_celery_beat_crontabschedule (id, minute, hour, day_of_week, day_of_month, month_of_year, timezone)
    VALUES (1, '*/15', '8-17', 'mon-fri', '*', '*', 'Europe/Berlin'), (2, '0', '0', '7', '*', '*', 'UTC');
INSERT INTO django_celery_beat_clockedschedule (id, clocked_time) VALUES (1, '2026-03-01 12:00:00Z');
INSERT INTO django_celery_beat_solarschedule (id, event, latitude, longitude) VALUES (1, 'sunset', 52.52, -13.405);
INSERT INTO django_celery_beat_periodictasks (ident, last_update) VALUES (1, '2026-01-01 00:00:00Z');
";

/// A row with these columns, besides those that must be.
fn task(name: &str, columns: &str, values: &str) -> String {
    let yes_no = |flag: bool| if flag { "(1 = 1)" } else { "(1 = 0)" };
    let defaults = [
        ("enabled", yes_no(true)),
        ("one_off", yes_no(false)),
        ("args", "'[]'"),
        ("kwargs", "'{}'"),
        ("headers", "'{}'"),
        ("total_run_count", "0"),
    ];
    let said: Vec<&str> = columns.split(", ").collect();
    let (more, defaults): (String, String) = defaults
        .into_iter()
        .filter(|(column, _)| !said.contains(column))
        .map(|(column, value)| (format!(", {column}"), format!(", {value}")))
        .unzip();
    format!(
        "INSERT INTO django_celery_beat_periodictask (name, task, description, date_changed, {columns}{more}) \
         VALUES ('{name}', 'shop.{name}', '', '2026-02-01 00:00:00Z', {values}{defaults});"
    )
}

fn at(time: &str) -> DateTime<Utc> {
    time.parse().unwrap()
}

/// Writes down what is sent.
#[derive(Debug, Default)]
struct Sent(Mutex<Vec<Tick>>);

#[async_trait]
impl TickSender for Sent {
    async fn send(&self, tick: &Tick) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.0.lock().unwrap().push(tick.clone());
        Ok(())
    }
}

impl Sent {
    fn of(&self, name: &str) -> usize {
        let sent = self.0.lock().unwrap();
        sent.iter().filter(|tick| tick.entry.name == name).count()
    }

    async fn wait_for(&self, name: &str, count: usize) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.of(name) < count {
            assert!(Instant::now() < deadline, "waited too long for {name}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Runs a beat over the tables while `body` runs.
async fn with_beat(
    tables: &Tables,
    beat: impl FnOnce(Beat) -> Beat,
    body: impl AsyncFnOnce(&Sent),
) {
    let sent = Arc::new(Sent::default());
    let beat = beat(Beat::over("test", sent.clone(), Arc::new(tables.store())));
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(beat.max_interval(Duration::from_millis(50)).run(async {
        let _ = stopped.await;
    }));
    body(&sent).await;
    stop.send(()).unwrap();
    running.await.unwrap();
}

#[tokio::test]
async fn every_kind_of_schedule_and_every_option_is_read() {
    for tables in Tables::all().await {
        tables.run(SCHEDULES).await;
        let columns = "interval_id, args, kwargs, queue, exchange, routing_key, headers, priority, expire_seconds, \
                       last_run_at, total_run_count";
        let values = "1, '[1, \"two\"]', '{\"x\": null}', 'slow', 'shop', 'shop.slow', '{\"tenant\": 3}', 9, 60, \
                      '2026-03-01 10:20:30.123456Z', 41";
        tables.run(&task("interval", columns, values)).await;
        tables
            .run(&task("crontab", "crontab_id, queue", "1, ''"))
            .await;
        let columns = "clocked_id, one_off, start_time, expires";
        let values = "1, (1 = 1), '2026-03-02 00:00:00Z', '2026-04-01 00:00:00Z'";
        tables.run(&task("clocked", columns, values)).await;
        tables.run(&task("solar", "solar_id", "1")).await;
        tables
            .run(&task("disabled", "interval_id, enabled", "1, (1 = 0)"))
            .await;

        let entries = tables.store().load().await.unwrap();
        let [interval, crontab, clocked, solar] = &entries[..] else {
            panic!("{tables:?}: {entries:?}");
        };
        let minutes = Schedule::from(Interval::every(Duration::from_mins(90)));
        assert_eq!(interval.name, "interval");
        assert_eq!(interval.schedule, minutes);
        let signature = &interval.signature;
        assert_eq!(signature.task, "shop.interval");
        assert_eq!(signature.args.len(), 2);
        assert_eq!(signature.args[1].as_str(), "\"two\"");
        assert_eq!(signature.kwargs["x"].as_str(), "null");
        let options = json!({
            "queue": "slow", "exchange": "shop", "routing_key": "shop.slow", "priority": 9, "expires": 60,
            "headers": {"tenant": 3, "periodic_task_name": "interval"},
        });
        let read: serde_json::Map<_, _> = signature
            .options
            .iter()
            .map(|(name, value)| (name.to_owned(), value.deserialize().unwrap()))
            .collect();
        assert_eq!(serde_json::Value::Object(read), options);
        assert_eq!(
            interval.last_run_at,
            Some(at("2026-03-01T10:20:30.123456Z"))
        );
        assert_eq!(interval.total_run_count, 41);

        let office: Crontab = "*/15 8-17 * * mon-fri".parse().unwrap();
        assert_eq!(
            crontab.schedule,
            office.zone(chrono_tz::Tz::Europe__Berlin).into()
        );
        assert_eq!(crontab.signature.options.get("queue"), None);
        assert_eq!(crontab.last_run_at, Some(at("2026-02-01T00:00:00Z"))); // when it was saved

        assert_eq!(
            clocked.schedule,
            Schedule::Clocked(at("2026-03-01T12:00:00Z"))
        );
        assert!(clocked.one_off && !interval.one_off);
        assert_eq!(clocked.start_time, Some(at("2026-03-02T00:00:00Z")));
        assert_eq!(clocked.last_run_at, None);
        assert_eq!(clocked.end_time, Some(at("2026-04-01T00:00:00Z")));
        let expires = clocked.signature.options.text("expires");
        assert_eq!(expires.as_deref(), Some("2026-04-01T00:00:00+00:00"));

        assert_eq!(
            solar.schedule,
            Solar::new("sunset", 52.52, -13.405).unwrap().into()
        );
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_left_out_and_the_rest_runs() {
    for tables in Tables::all().await {
        tables.run(SCHEDULES).await;
        tables.run(&task("day 7", "crontab_id", "2")).await;
        tables.run(&task("no schedule", "queue", "'x'")).await;
        tables
            .run(&task("two schedules", "crontab_id, interval_id", "1, 1"))
            .await;
        tables
            .run(&task("no json", "interval_id, args", "1, '(1,)'"))
            .await;
        tables
            .run(&task("no list", "interval_id, args", "1, '{}'"))
            .await;
        tables
            .run(&task("priority", "interval_id, priority", "1, 256"))
            .await;
        tables
            .run(&task("good", "interval_id, args, headers", "2, '', ''"))
            .await;
        with_beat(
            &tables,
            |beat| beat,
            async |sent| {
                sent.wait_for("good", 2).await;
                let all = sent.0.lock().unwrap().len();
                assert!(sent.of("good") >= all);
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_change_is_seen_while_beat_runs() {
    for tables in Tables::all().await {
        tables.run(SCHEDULES).await;
        with_beat(&tables, |beat| beat, async |sent| {
            tables.run(&task("first", "interval_id", "2")).await;
            tables.run("UPDATE django_celery_beat_periodictasks SET last_update = '2026-01-02 00:00:00Z'").await;
            sent.wait_for("first", 1).await;
            let disable = "UPDATE django_celery_beat_periodictask SET enabled = (1 = 0)";
            tables.run(disable).await;
            tables.run(&task("second", "interval_id", "2")).await;
            tables.run("UPDATE django_celery_beat_periodictasks SET last_update = '2026-01-03 00:00:00Z'").await;
            sent.wait_for("second", 1).await;
            let before = sent.of("first");
            sent.wait_for("second", 4).await;
            assert_eq!(sent.of("first"), before, "{tables:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn runs_are_written_back_as_django_celery_beat_does() {
    for tables in Tables::all().await {
        tables.run(SCHEDULES).await;
        tables
            .run(&task("often", "interval_id, total_run_count", "2, 5"))
            .await;
        with_beat(
            &tables,
            |beat| beat,
            async |sent| sent.wait_for("often", 3).await,
        )
        .await;
        let entry = tables.store().load().await.unwrap().remove(0);
        assert!(entry.total_run_count >= 8, "{tables:?}: {entry:?}");
        let ago = Utc::now() - entry.last_run_at.unwrap();
        assert!(ago.num_minutes() < 2, "{tables:?}: {entry:?}");
        // It has saved the row, and told nobody of a change.
        let saved = tables.text("date_changed", "periodictask").await.unwrap();
        assert!(
            saved > Utc::now().format("%Y").to_string(),
            "{tables:?}: {saved}"
        );
        let told = tables.text("last_update", "periodictasks").await.unwrap();
        assert!(
            told.starts_with("2026-01-01 00:00:00"),
            "{tables:?}: {told}"
        );
    }
}

#[tokio::test]
async fn a_single_run_and_one_that_has_expired_are_disabled() {
    for tables in Tables::all().await {
        tables.run(SCHEDULES).await;
        tables
            .run(&task("once", "clocked_id, one_off", "1, (1 = 1)"))
            .await;
        with_beat(
            &tables,
            |beat| beat,
            async |sent| {
                sent.wait_for("once", 1).await;
                while !tables.store().load().await.unwrap().is_empty() {
                    sleep(Duration::from_millis(10)).await;
                }
                sleep(Duration::from_millis(300)).await;
                assert_eq!(sent.of("once"), 1, "{tables:?}");
            },
        )
        .await;
        // Enabled again, it would run again.
        assert_eq!(
            tables
                .text("total_run_count", "periodictask")
                .await
                .as_deref(),
            Some("0")
        );
        assert_eq!(tables.text("last_run_at", "periodictask").await, None);
        let told = tables.text("last_update", "periodictasks").await.unwrap();
        assert!(told.as_str() > "2026-01-01 00:00:01", "{tables:?}: {told}");

        tables
            .run("DELETE FROM django_celery_beat_periodictask")
            .await;
        let values = "2, '2026-02-02 00:00:00Z', 9";
        tables
            .run(&task(
                "expired",
                "interval_id, expires, total_run_count",
                values,
            ))
            .await;
        with_beat(
            &tables,
            |beat| beat,
            async |sent| {
                while !tables.store().load().await.unwrap().is_empty() {
                    sleep(Duration::from_millis(10)).await;
                }
                assert_eq!(sent.of("expired"), 0, "{tables:?}");
            },
        )
        .await;
        assert_eq!(
            tables
                .text("total_run_count", "periodictask")
                .await
                .as_deref(),
            Some("9")
        );
    }
}

#[tokio::test]
async fn the_programs_entries_are_written_into_the_tables() {
    for tables in Tables::all().await {
        let store = tables.store();
        let fence = store.acquire(LONG).await.unwrap().unwrap();
        let seoul = "0 4 * * *"
            .parse::<Crontab>()
            .unwrap()
            .zone(chrono_tz::Tz::Asia__Seoul);
        let report = Signature::new("shop.report").args((1,)).unwrap();
        let report = report.queue("slow").option("expires", 43_200);
        let nightly = Entry::new("nightly", seoul, report);
        let poll = Signature::new("shop.poll");
        let poll = Entry::new("poll", Duration::from_millis(1500), poll);
        let at_noon = Schedule::Clocked(at("2026-03-01T12:00:00Z"));
        let once = Entry::new("once", at_noon, Signature::new("shop.once")).one_off();
        let entries = [nightly, poll, once];
        store.install(fence, &entries).await.unwrap();
        let same = |loaded: &Entry, own: &Entry| {
            let option = |entry: &Entry, name| entry.signature.options.get(name).cloned();
            let what = |entry: &Entry| {
                let signature = entry.signature.clone();
                let schedule = entry.schedule.clone();
                (
                    entry.name.clone(),
                    signature.task,
                    signature.args,
                    schedule,
                    entry.one_off,
                )
            };
            what(loaded) == what(own)
                && ["queue", "expires"]
                    .iter()
                    .all(|name| option(loaded, *name) == option(own, *name))
        };
        let loaded = store.load().await.unwrap();
        assert_eq!(loaded.len(), 3, "{tables:?}");
        assert!(
            loaded
                .iter()
                .zip(&entries)
                .all(|(loaded, own)| same(loaded, own)),
            "{loaded:?}"
        );

        // Once more: what Django was told to do with it stays, and nothing is said to have changed.
        tables
            .run("UPDATE django_celery_beat_periodictask SET enabled = (1 = 0) WHERE name = 'poll'")
            .await;
        store.load().await.unwrap();
        store.install(fence, &entries).await.unwrap();
        assert!(!store.changed().await.unwrap(), "{tables:?}");
        assert_eq!(store.load().await.unwrap().len(), 2, "{tables:?}");
        let mut moved = entries[0].clone();
        moved.signature.task = "shop.other".to_owned();
        store.install(fence, &[moved]).await.unwrap();
        assert!(store.changed().await.unwrap(), "{tables:?}");
        assert_eq!(
            store.load().await.unwrap()[0].signature.task,
            "shop.other",
            "{tables:?}"
        );
    }
}

#[tokio::test]
async fn without_use_tz_times_are_those_of_djangos_time_zone() {
    let seoul = TimeZone {
        use_tz: false,
        zone: chrono_tz::Tz::Asia__Seoul,
    };
    for tables in Tables::all().await {
        tables.run(SCHEDULES).await;
        tables.run(&task("clocked", "clocked_id", "1")).await;
        let schedule = tables
            .store_in(seoul)
            .load()
            .await
            .unwrap()
            .remove(0)
            .schedule;
        // PostgreSQL's columns know their time zone, whatever Django does.
        let zoned = format!("{tables:?}").contains("url: \"postgres");
        let expected = if zoned {
            "2026-03-01T12:00:00Z"
        } else {
            "2026-03-01T03:00:00Z"
        };
        assert_eq!(schedule, Schedule::Clocked(at(expected)), "{tables:?}");
    }
}

/// A file takes anything for a time, and MySQL dates of zeros.
#[tokio::test]
async fn a_row_of_rubbish_is_left_out_and_the_others_are_sent() {
    let tables = Tables::all().await.remove(0);
    tables.run(SCHEDULES).await;
    let rubbish = [
        ("times", "interval_id, last_run_at", "1, 'yesterday'"),
        ("bytes", "interval_id, queue", "1, x'ff00fe'"),
        ("dates", "interval_id, expires", "1, '-9999-99-99'"),
        ("json", "interval_id, args", "1, '{'"),
        ("crontab", "crontab_id", "2"),
        ("none", "queue", "''"),
        ("two", "interval_id, crontab_id", "1, 1"),
        ("urgent", "interval_id, priority", "1, 300"),
    ];
    for (name, columns, values) in rubbish {
        tables.run(&task(name, columns, values)).await;
    }
    tables.run(&task("good", "interval_id", "1")).await;
    let entries = tables.store().load().await.unwrap();
    let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["good"]);
}
