//! `probe beat`: the schedule in django-celery-beat's tables, with a line of JSON for each run in the place of a broker.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use quintette::time::TimeZone;
use quintette_tasks::beat::{Beat, DjangoStore, Tick, TickSender};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug)]
struct Printer;

#[async_trait]
impl TickSender for Printer {
    async fn send(&self, tick: &Tick) -> Result<(), Box<dyn Error + Send + Sync>> {
        let signature = tick.signature();
        let line = json!({
            "name": tick.entry.name,
            "task": signature.task,
            "args": signature.args,
            "kwargs": signature.kwargs,
            "options": signature.options,
        });
        println!("{line}");
        Ok(())
    }
}

/// Until SIGTERM: then another beat may lead at once.
pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let mut terminated = signal(SignalKind::terminate())?;
    let zone = match std::env::var("CELERY_TIMEZONE") {
        Ok(name) => name.parse()?,
        Err(_) => chrono_tz::UTC,
    };
    let utc = TimeZone {
        use_tz: true,
        zone: chrono_tz::UTC,
    };
    let store = DjangoStore::open(&std::env::var("DATABASE_URL")?, utc)?;
    let beat = Beat::over("probe", Arc::new(Printer), Arc::new(store)).zone(zone);
    beat.run(async move {
        terminated.recv().await;
    })
    .await;
    Ok(())
}
