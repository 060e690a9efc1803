//! `quintette tasks purge`.

use std::io::Write as _;

use quintette_tasks::App;

use super::may_drop;
use crate::arguments::PurgeArguments;
use crate::error::Error;
use crate::output::{count, harmless};

/// Empties queues, and says how much was in them.
pub(crate) async fn run(app: &App, arguments: &PurgeArguments) -> Result<(), Error> {
    let default = [app.settings().task_default_queue.clone()];
    let queues = match arguments.queues.as_slice() {
        [] => &default,
        queues => queues,
    };
    let mut waiting = 0;
    for queue in queues {
        waiting += app.broker().waiting(queue).await?;
    }
    let place = harmless(&queues.join(", "));
    let mut dropped = 0;
    if may_drop(waiting, &place, arguments.yes).await? {
        for queue in queues {
            dropped += app.broker().purge(queue).await?;
        }
    }
    let number = count(dropped, "message");
    writeln!(anstream::stdout(), "Dropped {number} of {place}.")?;
    Ok(())
}
