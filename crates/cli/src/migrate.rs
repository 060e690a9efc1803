//! `quintette migrate`.

use std::io::Write as _;

use quintette::db::{Database, Migrated};
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
    let mut made = by_app(&migrated);
    made.extend(
        tables
            .into_iter()
            .map(|table| (table, "a cache's table".to_owned())),
    );
    let width =
        |texts: &mut dyn Iterator<Item = &String>| texts.map(String::len).max().unwrap_or_default();
    let name_width = width(&mut made.iter().map(|(name, _)| name));
    let what_width = width(&mut made.iter().map(|(_, what)| what));
    for (name, what) in &made {
        writeln!(
            out,
            "  {name:<name_width$}  {what:<what_width$}  {}",
            styled(GOOD, "made")
        )?;
    }
    if made.is_empty() {
        writeln!(
            out,
            "Every migration was made before; there is nothing to do."
        )?;
    }
    Ok(())
}

/// What was made for each app, in one line: its migrations stand together.
fn by_app(migrated: &[Migrated]) -> Vec<(String, String)> {
    let apps = migrated.chunk_by(|one, next| one.app == next.app);
    let lines = apps.map(|app| {
        let last = app[app.len() - 1].name;
        let what = match app.len() {
            1 => last.to_owned(),
            number => format!("{number} migrations to {last}"),
        };
        (app[0].app.to_string(), what)
    });
    lines.collect()
}
