//! `quintette tasks revoke`.

use std::io::Write as _;

use quintette_tasks::App;

use crate::arguments::TasksRevokeArguments;
use crate::error::Error;
use crate::output::count;

/// Tells all workers.
pub(crate) async fn run(app: &App, arguments: &TasksRevokeArguments) -> Result<(), Error> {
    let ids = arguments.ids.iter().cloned();
    app.control().revoke(ids, arguments.terminate).await?;
    let number = count(arguments.ids.len() as u64, "task");
    writeln!(anstream::stdout(), "Told the workers not to run {number}.")?;
    Ok(())
}
