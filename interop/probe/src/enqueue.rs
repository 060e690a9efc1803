//! `probe enqueue NAME --count N [--queue Q]`: sends tasks without arguments as fast as the library can.

use std::error::Error;
use std::time::Instant;

use quintette_tasks::Signature;

use crate::arguments::{Flags, app};

/// Calls that are looked at before they are sent: not all at once, or a million would be in memory.
const BATCH: usize = 10_000;

pub(crate) async fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let name = arguments
        .next()
        .ok_or("enqueue NAME --count N [--queue Q]")?;
    let flags = Flags::parse(arguments)?;
    let count = flags.number("count")?.unwrap_or(1);
    let app = app()?;
    let mut call = Signature::new(name);
    if let Some(queue) = flags.get("queue") {
        call = call.queue(queue);
    }
    let start = Instant::now();
    for first in (0..count).step_by(BATCH) {
        let calls = vec![call.clone(); BATCH.min(count - first)];
        app.send_all(&calls).await?;
    }
    println!("{count} tasks in {:.3} s", start.elapsed().as_secs_f64());
    Ok(())
}
