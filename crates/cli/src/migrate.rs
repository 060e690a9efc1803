//! `quintette migrate`.

use std::io::Write as _;

use quintette::db::Database;
use quintette::settings::{DatabaseUrl, Settings, SqliteLocation};

use crate::error::Error;
use crate::output::{self, GOOD, styled};

/// Makes the missing tables, whatever the engine: a site may move to the database later. Those of caches as well, which
/// are `manage.py createcachetable` in Django.
pub(crate) async fn run(settings: &Settings) -> Result<(), Error> {
    let Some(url) = &settings.database_url else {
        return Err(Error::Other(
            "DATABASE_URL is not set: name the database to migrate, such as sqlite:///srv/shop/db.sqlite3"
                .to_owned(),
        ));
    };
    if *url == DatabaseUrl::Sqlite(SqliteLocation::Memory) {
        output::print_warning("this database is in memory, and gone when this command ends");
    }
    let database = Database::create(settings).await?;
    let migrated = database.migrate().await?;
    let tables = database.create_cache_tables(settings).await?;
    let mut out = anstream::stdout();
    writeln!(out, "Database  {url}")?;
    let migrations = migrated
        .iter()
        .map(|migration| format!("{}.{}", migration.app, migration.name));
    let made: Vec<_> = migrations.chain(tables).collect();
    let width = made.iter().map(String::len).max().unwrap_or_default();
    for name in &made {
        writeln!(out, "  {name:<width$}  {}", styled(GOOD, "made"))?;
    }
    if made.is_empty() {
        writeln!(
            out,
            "Every migration was made before; there is nothing to do."
        )?;
    }
    Ok(())
}
