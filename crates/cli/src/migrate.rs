//! `quintette migrate`.

use std::io::Write as _;

use quintette::db::{Database, Migrated};
use quintette::settings::{DatabaseUrl, Settings, SqliteLocation};

use crate::error::Error;
use crate::output::{self, GOOD, count, styled};

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
    for (app, number) in by_app(&migrated) {
        let made = count(number, "migration");
        writeln!(out, "  {app:<24}  {made:<13}  {}", styled(GOOD, "made"))?;
    }
    for table in &tables {
        writeln!(
            out,
            "  {table:<24}  {:<13}  {}",
            "cache table",
            styled(GOOD, "made")
        )?;
    }
    if migrated.is_empty() && tables.is_empty() {
        writeln!(
            out,
            "Every migration was made before; there is nothing to do."
        )?;
    }
    Ok(())
}

/// How many migrations each app has, in their order: an app's stand together.
fn by_app(migrated: &[Migrated]) -> Vec<(&str, u64)> {
    let apps = migrated.chunk_by(|one, next| one.app == next.app);
    apps.map(|app| (&*app[0].app, app.len() as u64)).collect()
}
