//! Brokers and stores that go away, and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use quintette_core::json::RawJson;
use quintette_tasks::Task;
use quintette_tasks::brokers::{
    Broker, BrokerError, BrokerErrorKind, BrokerInfo, Channel, ConsumeOptions, Consumer, Delivery,
    Destination, MemoryBroker, Queue,
};
use quintette_tasks::protocol::Message;
use quintette_tasks::results::{
    MemoryResults, ResultBackend, ResultError, ResultErrorKind, State, StoreContext, TaskMeta,
};
use quintette_tasks::worker::{Context, Tasks};
use tokio::sync::Notify;

use crate::site::{Site, call, until};

static LATE: Task<(), i64> = Task::new("shop.late", &[]).acks_late();

/// The broker in memory behind a line that can be cut.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    broker: MemoryBroker,
    down: Arc<AtomicBool>,
    cut: Arc<Notify>,
    prefetches: Arc<std::sync::Mutex<Vec<u32>>>,
}

impl Line {
    fn check(&self) -> Result<(), BrokerError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(BrokerError::new(
                BrokerErrorKind::Unavailable,
                "the line is cut",
            ));
        }
        Ok(())
    }

    pub(crate) fn cut(&self) {
        self.down.store(true, Ordering::SeqCst);
        self.cut.notify_waiters();
    }

    pub(crate) fn mend(&self) {
        self.down.store(false, Ordering::SeqCst);
    }
}

struct OverLine {
    line: Line,
    consumer: Box<dyn Consumer>,
}

#[async_trait]
impl Consumer for OverLine {
    async fn next(&mut self) -> Result<Vec<Delivery>, BrokerError> {
        let cut = self.line.cut.notified();
        tokio::pin!(cut);
        cut.as_mut().enable();
        self.line.check()?;
        tokio::select! {
            batch = self.consumer.next() => batch,
            () = cut => Err(BrokerError::new(BrokerErrorKind::Unavailable, "the line is cut")),
        }
    }

    fn channel(&self) -> Arc<dyn Channel> {
        self.consumer.channel()
    }
}

#[async_trait]
impl Broker for Line {
    async fn publish(&self, message: &Message, to: &Destination) -> Result<(), BrokerError> {
        self.check()?;
        self.broker.publish(message, to).await
    }

    async fn consume(
        &self,
        queues: &[Queue],
        options: ConsumeOptions,
    ) -> Result<Box<dyn Consumer>, BrokerError> {
        self.check()?;
        // Remote control takes without acknowledging.
        if !options.no_ack {
            self.prefetches.lock().unwrap().push(options.prefetch);
        }
        let consumer = self.broker.consume(queues, options).await?;
        Ok(Box::new(OverLine {
            line: self.clone(),
            consumer,
        }))
    }

    async fn declare(&self, queue: &Queue) -> Result<(), BrokerError> {
        self.check()?;
        self.broker.declare(queue).await
    }

    async fn purge(&self, queue: &str) -> Result<u64, BrokerError> {
        self.broker.purge(queue).await
    }

    async fn waiting(&self, queue: &str) -> Result<u64, BrokerError> {
        self.broker.waiting(queue).await
    }

    fn info(&self) -> BrokerInfo {
        self.broker.info()
    }
}

fn site(line: &Line) -> Site {
    Site {
        broker: Arc::new(line.clone()),
        ..Site::memory()
    }
}

#[tokio::test]
async fn a_broker_that_is_down_at_the_start_is_waited_for() {
    let line = Line::default();
    let site = site(&line);
    line.cut();
    let worker = site.start(Tasks::new().with_any("shop.quick", |_, _| async { Ok(1) }));
    tokio::time::sleep(Duration::from_millis(50)).await;
    line.mend();
    let id = site.send(call("shop.quick", ())).await;
    assert_eq!(site.result(&id).await, "1");
    worker.stop().await;
}

#[tokio::test]
async fn after_a_lost_connection_the_worker_takes_again_with_its_queues_and_its_prefetch() {
    let line = Line::default();
    let site = site(&line);
    let worker = site.start(Tasks::new().with_any("shop.quick", |_, _| async { Ok(1) }));
    let held = call("shop.quick", [1])
        .id("held")
        .countdown(Duration::from_secs(1));
    site.send(held).await;
    until("it is held", async || {
        worker.handle.state.scheduled().len() == 1
    })
    .await;
    for round in 0..3 {
        worker.handle.pool_grow(1);
        let queue = format!("extra{round}");
        worker
            .handle
            .add_queue(site.app().queue(&queue))
            .await
            .unwrap();
        line.cut();
        tokio::time::sleep(Duration::from_millis(10)).await;
        line.mend();
        let id = round.to_string();
        site.publish(&call("shop.quick", ()).id(&id).message(), &queue)
            .await;
        assert_eq!(site.result(&id).await, "1");
    }
    assert_eq!(site.result("held").await, "1");
    let prefetches = line.prefetches.lock().unwrap().clone();
    assert_eq!(prefetches, [16, 20, 24, 28]);
    worker.stop().await;
}

#[tokio::test]
async fn a_late_task_that_ran_while_the_connection_was_lost_does_not_run_twice_here() {
    let line = Line::default();
    let site = site(&line);
    let (begun, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let tasks = {
        let (begun, go) = (begun.clone(), go.clone());
        Tasks::new()
            .with(&LATE, move |_: Context, ()| {
                begun.fetch_add(1, Ordering::SeqCst);
                let go = go.clone();
                async move {
                    go.notified().await;
                    Ok(1)
                }
            })
            .with_any("shop.quick", |_, _| async { Ok(1) })
    };
    let worker = site.start(tasks);
    let id = site.send(call("shop.late", ())).await;
    until("it runs", async || begun.load(Ordering::SeqCst) == 1).await;
    line.cut();
    tokio::time::sleep(Duration::from_millis(10)).await;
    line.mend();
    // The connection is back, and with it a copy of what runs.
    let quick = site.send(call("shop.quick", ())).await;
    assert_eq!(site.result(&quick).await, "1");
    until("the copy is here", async || {
        !worker.handle.state.reserved().is_empty()
    })
    .await;
    go.notify_one();
    assert_eq!(site.result(&id).await, "1");
    until("the copy is gone", async || {
        worker.handle.state.reserved().is_empty()
    })
    .await;
    worker.stop().await;
    assert_eq!(begun.load(Ordering::SeqCst), 1);
    assert_eq!(site.waiting("celery").await, 0);
}

#[tokio::test]
async fn a_retry_waits_for_the_broker_and_is_not_lost() {
    let line = Line::default();
    let site = site(&line);
    let (begun, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let tasks = {
        let (begun, go) = (begun.clone(), go.clone());
        Tasks::new().with(&LATE, move |context: Context, ()| {
            begun.fetch_add(1, Ordering::SeqCst);
            let go = go.clone();
            async move {
                if context.retries() == 0 {
                    go.notified().await;
                    return Err(context.retry(Some(Duration::ZERO), "once more"));
                }
                Ok(1)
            }
        })
    };
    let worker = site.start(tasks);
    let id = site.send(call("shop.late", ())).await;
    until("it runs", async || begun.load(Ordering::SeqCst) == 1).await;
    line.cut();
    go.notify_one();
    tokio::time::sleep(Duration::from_millis(50)).await;
    line.mend();
    assert_eq!(site.result(&id).await, "1");
    worker.stop().await;
    assert_eq!(begun.load(Ordering::SeqCst), 2);
}

/// Results in memory behind a line that can be cut.
#[derive(Clone, Debug)]
struct Store {
    results: MemoryResults,
    down: Arc<AtomicBool>,
}

#[async_trait]
impl ResultBackend for Store {
    async fn store(&self, meta: &TaskMeta, request: &StoreContext) -> Result<(), ResultError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(ResultError::new(
                ResultErrorKind::Unavailable,
                "the line is cut",
            ));
        }
        self.results.store(meta, request).await
    }

    async fn load(&self, id: &str) -> Result<Option<TaskMeta>, ResultError> {
        self.results.load(id).await
    }

    async fn wait(
        &self,
        id: &str,
        timeout: Option<Duration>,
    ) -> Result<Option<TaskMeta>, ResultError> {
        self.results.wait(id, timeout).await
    }

    async fn forget(&self, id: &str) -> Result<(), ResultError> {
        self.results.forget(id).await
    }

    async fn save_group(&self, group: &str, children: &RawJson) -> Result<(), ResultError> {
        self.results.save_group(group, children).await
    }

    async fn load_group(&self, group: &str) -> Result<Option<RawJson>, ResultError> {
        self.results.load_group(group).await
    }

    async fn forget_group(&self, group: &str) -> Result<(), ResultError> {
        self.results.forget_group(group).await
    }
}

#[tokio::test]
async fn a_late_task_is_acknowledged_after_its_result_is_stored_however_long_that_takes() {
    let store = Store {
        results: MemoryResults::new(None),
        down: Arc::new(AtomicBool::new(true)),
    };
    let site = Site {
        results: Arc::new(store.clone()),
        ..Site::memory()
    };
    let begun = Arc::new(AtomicUsize::new(0));
    let tasks = {
        let begun = begun.clone();
        Tasks::new().with(&LATE, move |_: Context, ()| {
            begun.fetch_add(1, Ordering::SeqCst);
            async { Ok(1) }
        })
    };
    let mut worker = site.start(tasks);
    let id = site.send(call("shop.late", ())).await;
    until("it has run", async || begun.load(Ordering::SeqCst) == 1).await;
    worker.ask_to_stop();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(site.state(&id).await, State::Pending);
    store.down.store(false, Ordering::SeqCst);
    worker.ended().await.unwrap();
    assert_eq!(site.state(&id).await, State::Success);
    assert_eq!(site.waiting("celery").await, 0);
}

#[tokio::test]
async fn a_broker_that_accepts_and_fails_at_once_is_asked_less_and_less_often() {
    let line = Line::default();
    let site = site(&line);
    let worker = site.start(Tasks::new().with_any("shop.quick", |_, _| async { Ok(1) }));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(3);
    while tokio::time::Instant::now() < deadline {
        // Whoever is connected is cut off.
        line.cut.notify_waiters();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let attempts = line.prefetches.lock().unwrap().len();
    assert!(attempts <= 10, "{attempts} connections in three seconds");
    let id = site.send(call("shop.quick", ())).await;
    assert_eq!(site.result(&id).await, "1");
    worker.stop().await;
}
