//! The no-op tasks of `benches/tasks` on apalis and its Redis storage, at `CELERY_BROKER_URL`.
//!
//! `apalis-peer worker BATCH` and `apalis-peer enqueue one|many COUNT`.

use std::io;

use apalis::prelude::*;
use apalis_redis::{Config, RedisStorage};

type Failure = BoxDynError;

/// Messages of `many` that are on their way together.
const TOGETHER: usize = 10_000;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let connection = apalis_redis::connect(std::env::var("CELERY_BROKER_URL")?).await?;
    let [command, how, count] = parameters();
    let batch = if command == "worker" { how.parse()? } else { 1 };
    // One queue for both: it is named after the worker's type of arguments otherwise.
    let mut storage =
        RedisStorage::<(), _>::new(connection).with_config(Config::default().batch_size(batch));
    match (command.as_str(), how.as_str()) {
        ("worker", _) => {
            let worker = WorkerBuilder::new("apalis")
                .backend(storage)
                .parallelize(tokio::spawn)
                .build(noop);
            Ok(worker.run().await?)
        }
        ("enqueue", "one") => {
            begin();
            for _ in 0..count.parse()? {
                storage.push(()).await?;
            }
            ended()
        }
        ("enqueue", "many") => {
            begin();
            let count = count.parse()?;
            for first in (0..count).step_by(TOGETHER) {
                storage
                    .push_bulk(vec![(); TOGETHER.min(count - first)])
                    .await?;
            }
            ended()
        }
        _ => Err("apalis-peer worker BATCH | enqueue one|many COUNT".into()),
    }
}

async fn noop((): ()) -> Result<(), BoxDynError> {
    Ok(())
}

fn parameters() -> [String; 3] {
    let mut arguments = std::env::args().skip(1);
    std::array::from_fn(|_| arguments.next().unwrap_or_default())
}

fn begin() {
    println!("ready");
    let _ = io::stdin().read_line(&mut String::new());
}

fn ended() -> Result<(), Failure> {
    println!("done");
    Ok(())
}
