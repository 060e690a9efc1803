//! Celery's names, from TOML and from the environment into the fields.

use std::time::Duration;

use super::super::super::{CelerySettings, DatabaseUrl, SettingsError};
use super::{complaint, toml, variables};

fn celery(text: &str) -> Result<CelerySettings, SettingsError> {
    CelerySettings::loader().toml_str(text).load_celery()
}

#[test]
fn every_setting_of_celery_is_read_from_toml_by_its_name() {
    let settings = celery(
        r#"
        DATABASE_URL = "sqlite:///srv/shop.db"
        CELERY_BROKER_URL = "amqp://shop:hunter2@broker//"
        CELERY_BROKER_TRANSPORT_OPTIONS = { visibility_timeout = 60, global_keyprefix = "shop:", max_retries = 3 }
        CELERY_ACCEPT_CONTENT = ["json", "pickle"]
        CELERY_MAX_BODY_SIZE = 1000
        CELERY_TIMEZONE = "Asia/Seoul"
        CELERY_TASK_DEFAULT_QUEUE = "shop"
        CELERY_TASK_DEFAULT_QUEUE_TYPE = "quorum"
        CELERY_TASK_DEFAULT_EXCHANGE_TYPE = "topic"
        CELERY_TASK_CREATE_MISSING_QUEUE_TYPE = "quorum"
        CELERY_TASK_CREATE_MISSING_QUEUE_EXCHANGE_TYPE = "fanout"
        CELERY_TASK_ROUTES = [["reports.*", "slow"], ["mail", { queue = "mail", priority = 3 }]]
        CELERY_TASK_QUEUE_MAX_PRIORITY = 9
        CELERY_TASK_DEFAULT_PRIORITY = 5
        CELERY_TASK_INHERIT_PARENT_PRIORITY = true
        CELERY_TASK_ACKS_LATE = true
        CELERY_TASK_ACKS_ON_FAILURE_OR_TIMEOUT = false
        CELERY_TASK_IGNORE_RESULT = true
        CELERY_TASK_TRACK_STARTED = true
        CELERY_TASK_SOFT_TIME_LIMIT = 0.5
        CELERY_TASK_TIME_LIMIT = 60
        CELERY_TASK_DEFAULT_RATE_LIMIT = "10/m"
        CELERY_TASK_SEND_SENT_EVENT = true
        CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = true
        CELERY_RESULT_BACKEND = "django-db"
        CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = { global_keyprefix = "results:" }
        CELERY_RESULT_EXPIRES = 0
        CELERY_RESULT_EXTENDED = true
        CELERY_RESULT_SERIALIZER = "pickle"
        CELERY_RESULT_CHORD_RETRY_INTERVAL = 2
        CELERY_CHORD_DEADLINE = 30
        CELERY_WORKER_CONCURRENCY = 3
        CELERY_WORKER_PREFETCH_MULTIPLIER = 0
        CELERY_WORKER_ETA_TASK_LIMIT = 7
        CELERY_WORKER_SEND_TASK_EVENTS = true
        CELERY_WORKER_ENABLE_REMOTE_CONTROL = false
        CELERY_WORKER_STATE_DB = "/srv/revoked"
        CELERY_WORKER_DELIVERY_LIMIT = 2
        CELERY_WORKER_POOL = "prefork"
        "#,
    )
    .unwrap();
    assert_eq!(settings.broker_url.reveal(), "amqp://shop:hunter2@broker//");
    assert!(!format!("{settings:?}").contains("hunter2"));
    assert!(matches!(
        settings.database_url,
        Some(DatabaseUrl::Sqlite(_))
    ));
    assert_eq!(settings.visibility_timeout, Duration::from_mins(1));
    assert_eq!(settings.global_keyprefix, "shop:");
    assert_eq!(settings.accept_content, ["json", "pickle"]);
    assert_eq!(settings.max_body_size, 1_000);
    assert_eq!(settings.timezone, chrono_tz::Asia::Seoul);
    assert_eq!(settings.task_default_queue, "shop");
    assert_eq!(settings.task_default_queue_type, "quorum");
    assert_eq!(settings.task_default_exchange_type, "topic");
    assert_eq!(settings.task_create_missing_queue_type, "quorum");
    let missing = settings.task_create_missing_queue_exchange_type.as_deref();
    assert_eq!(missing, Some("fanout"));
    assert_eq!(settings.route("reports.sales").unwrap()["queue"], "slow");
    assert_eq!(settings.route("mail").unwrap()["priority"], 3);
    assert!(settings.route("other").is_none());
    assert_eq!(settings.task_queue_max_priority, Some(9));
    assert_eq!(settings.task_default_priority, Some(5));
    assert!(settings.task_inherit_parent_priority && settings.task_acks_late);
    assert!(!settings.task_acks_on_failure_or_timeout && settings.task_ignore_result);
    assert!(settings.task_track_started && settings.task_send_sent_event);
    assert!(settings.task_store_errors_even_if_ignored);
    assert_eq!(
        settings.task_soft_time_limit,
        Some(Duration::from_millis(500))
    );
    assert_eq!(settings.task_time_limit, Some(Duration::from_mins(1)));
    assert_eq!(settings.task_default_rate_limit.as_deref(), Some("10/m"));
    assert_eq!(settings.result_backend.unwrap().reveal(), "django-db");
    assert_eq!(settings.result_global_keyprefix, "results:");
    assert_eq!(settings.result_expires, None);
    assert!(settings.result_extended);
    assert_eq!(settings.result_serializer, "pickle");
    assert_eq!(settings.result_chord_retry_interval, Duration::from_secs(2));
    assert_eq!(settings.chord_deadline, Duration::from_secs(30));
    assert_eq!(settings.worker_concurrency, Some(3));
    assert_eq!(settings.worker_prefetch_multiplier, 0);
    assert_eq!(settings.worker_eta_task_limit, 7);
    assert!(settings.worker_send_task_events && !settings.worker_enable_remote_control);
    assert_eq!(
        settings.worker_state_db.unwrap().as_os_str(),
        "/srv/revoked"
    );
    assert_eq!(settings.worker_delivery_limit, Some(2));
}

#[test]
fn a_site_has_celerys_settings_too() {
    let settings = toml(
        r#"
        DATABASE_URL = "sqlite:///srv/shop.db"
        CELERY_TASK_ACKS_LATE = true
        "#,
    )
    .unwrap();
    assert!(settings.celery.task_acks_late);
    assert_eq!(settings.celery.database_url, settings.database_url);
}

#[test]
fn a_wrong_value_and_an_unknown_name_are_told_without_secrets() {
    let wrong = complaint(variables(&[
        ("CELERY_TASK_ACKS_LAET", "true"),
        ("CELERY_TASK_TIME_LIMIT", "-1"),
        ("CELERY_TASK_DEFAULT_RATE_LIMIT", "10/day"),
        ("CELERY_TASK_DEFAULT_QUEUE_TYPE", "stream"),
        ("CELERY_TASK_DEFAULT_EXCHANGE_TYPE", "headers"),
        ("CELERY_TASK_ROUTES", "7"),
        ("CELERY_WORKER_POOL", "gevent"),
        ("CELERY_BIN", "/usr/bin/celery"),
    ]));
    for part in [
        "CELERY_TASK_ACKS_LATE?",
        "CELERY_TASK_TIME_LIMIT",
        "10/m",
        "quorum",
        "fanout",
        "reports.*",
    ] {
        assert!(wrong.contains(part), "{part}: {wrong}");
    }
    assert!(
        !wrong.contains("CELERY_WORKER_POOL") && !wrong.contains("CELERY_BIN"),
        "{wrong}"
    );
    let wrong = complaint(toml("CELERY_BROKER_URL = [\"redis://:hunter2@host/0\"]"));
    assert!(
        wrong.contains("CELERY_BROKER_URL") && !wrong.contains("hunter2"),
        "{wrong}"
    );
}
