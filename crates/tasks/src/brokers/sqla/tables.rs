//! The tables: kombu's two, and one of ours for what kombu forgets.
//!
//! kombu's transport takes a message by setting `visible` to false, and keeps nothing of who has it: what a worker held that was killed is
//! lost. Here a message that is taken moves to `quintette_unacked`, under its id, and from there back or away. Without an owner it is parked.

use crate::database::{Column, Statement, places};

/// The statements that make the tables, as `SQLAlchemy` writes them for kombu.
pub(super) fn create() -> Vec<Statement> {
    const TABLES: [&str; 7] = [
        r"CREATE TABLE IF NOT EXISTS kombu_queue (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name VARCHAR(200), 
	UNIQUE (name)
)",
        r#"CREATE TABLE IF NOT EXISTS kombu_message (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	visible BOOLEAN, 
	timestamp DATETIME, 
	payload TEXT NOT NULL, 
	version SMALLINT NOT NULL, 
	queue_id INTEGER, 
	CONSTRAINT "FK_kombu_message_queue" FOREIGN KEY(queue_id) REFERENCES kombu_queue (id)
)"#,
        "CREATE INDEX IF NOT EXISTS ix_kombu_message_timestamp ON kombu_message (timestamp)",
        "CREATE INDEX IF NOT EXISTS ix_kombu_message_timestamp_id ON kombu_message (timestamp, id)",
        "CREATE INDEX IF NOT EXISTS ix_kombu_message_visible ON kombu_message (visible)",
        "CREATE TABLE IF NOT EXISTS quintette_unacked (id INTEGER NOT NULL PRIMARY KEY, queue_id INTEGER, payload TEXT NOT NULL, \
         version SMALLINT NOT NULL, owner TEXT, until INTEGER NOT NULL)",
        "CREATE INDEX IF NOT EXISTS quintette_unacked_until ON quintette_unacked (until)",
    ];
    TABLES.map(Statement::new).into()
}

pub(super) fn create_queue(name: &str) -> Statement {
    Statement::new("INSERT INTO kombu_queue (name) VALUES (?) ON CONFLICT (name) DO NOTHING")
        .with(name)
}

pub(super) fn queue_ids(names: &[String]) -> Statement {
    let places = places(names.len());
    Statement::new(format!(
        "SELECT id, name FROM kombu_queue WHERE name IN ({places})"
    ))
    .with_all(names.iter().map(String::as_str))
    .returning(&[Column::Int, Column::Text])
}

/// Changes one row where the queue is there.
pub(super) fn publish(queue: &str, payload: String) -> Statement {
    Statement::new(
        "INSERT INTO kombu_message (visible, payload, version, queue_id) SELECT 1, ?, 1, id FROM kombu_queue WHERE name = ?",
    )
    .with(payload)
    .with(queue)
}

pub(super) fn purge(queue: &str) -> Vec<Statement> {
    const OF_QUEUE: &str = "queue_id IN (SELECT id FROM kombu_queue WHERE name = ?)";
    // What Python has taken is kept there, invisible, and goes too; but only what waits is counted.
    ["visible <> 0", "visible = 0"]
        .map(|visible| {
            let sql = format!("DELETE FROM kombu_message WHERE {visible} AND {OF_QUEUE}");
            Statement::new(sql).with(queue)
        })
        .into()
}

pub(super) fn waiting(queue: &str) -> Statement {
    Statement::new(
        "SELECT COUNT(*) FROM kombu_message WHERE visible <> 0 AND queue_id IN (SELECT id FROM kombu_queue WHERE name = ?)",
    )
    .with(queue)
    .returning(&[Column::Int])
}

/// Whether messages wait in these queues, and when the first of what is held or parked is to go back.
pub(super) fn look(queues: &[i64]) -> Statement {
    let places = places(queues.len());
    Statement::new(format!(
        "SELECT EXISTS (SELECT 1 FROM kombu_message WHERE visible <> 0 AND queue_id IN ({places})), (SELECT MIN(until) FROM quintette_unacked)"
    ))
    .with_all(queues.iter().copied())
    .returning(&[Column::Int, Column::Int])
}

/// Takes the first messages of these queues; rows of [`TAKEN`].
pub(super) fn take(queues: &[i64], owner: &str, until: i64, most: i64) -> Vec<Statement> {
    let places = places(queues.len());
    let taken = Statement::new(format!(
        "INSERT INTO quintette_unacked (id, queue_id, payload, version, owner, until) SELECT id, queue_id, payload, version, ?, ? FROM kombu_message \
         WHERE visible <> 0 AND queue_id IN ({places}) ORDER BY timestamp, id LIMIT ? RETURNING id, queue_id, payload, version"
    ))
    .with(owner)
    .with(until)
    .with_all(queues.iter().copied())
    .with(most)
    .returning(TAKEN);
    let moved = Statement::new(
        "DELETE FROM kombu_message WHERE id IN (SELECT id FROM quintette_unacked WHERE owner = ?)",
    )
    .with(owner);
    vec![taken, moved]
}

/// Takes messages that need no acknowledgement; rows of [`TAKEN`].
pub(super) fn take_away(queues: &[i64], most: i64) -> Vec<Statement> {
    let places = places(queues.len());
    let taken = Statement::new(format!(
        "DELETE FROM kombu_message WHERE id IN (SELECT id FROM kombu_message WHERE visible <> 0 AND queue_id IN ({places}) \
         ORDER BY timestamp, id LIMIT ?) RETURNING id, queue_id, payload, version"
    ))
    .with_all(queues.iter().copied())
    .with(most)
    .returning(TAKEN);
    vec![taken]
}

/// The payload as bytes: a file takes anything for a text.
pub(super) const TAKEN: &[Column] = &[Column::Int, Column::Int, Column::Bytes, Column::Int];

pub(super) fn done(owner: &str, ids: &[i64]) -> Statement {
    let places = places(ids.len());
    Statement::new(format!(
        "DELETE FROM quintette_unacked WHERE owner = ? AND id IN ({places})"
    ))
    .with(owner)
    .with_all(ids.iter().copied())
}

/// The same of what begins now: all of it, or nothing where some is not held any more.
pub(super) fn done_early(owner: &str, ids: &[i64]) -> Statement {
    let places = places(ids.len());
    let held = format!("owner = ? AND id IN ({places})");
    let all = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    Statement::new(format!(
        "DELETE FROM quintette_unacked WHERE {held} AND (SELECT COUNT(*) FROM quintette_unacked WHERE {held}) = ?"
    ))
    .with(owner)
    .with_all(ids.iter().copied())
    .with(owner)
    .with_all(ids.iter().copied())
    .with(all)
    .changing()
}

/// Holds on to what is held.
pub(super) fn renew(owner: &str, until: i64) -> Statement {
    Statement::new("UPDATE quintette_unacked SET until = ? WHERE owner = ?")
        .with(until)
        .with(owner)
}

pub(super) fn park(owner: &str, id: i64, until: i64) -> Statement {
    Statement::new(
        "UPDATE quintette_unacked SET owner = NULL, until = ? WHERE owner = ? AND id = ?",
    )
    .with(until)
    .with(owner)
    .with(id)
}

/// Puts back what is due, and what nobody holds on to any more.
pub(super) fn restore(now: i64) -> Vec<Statement> {
    put_back("until <= ?", |statement| statement.with(now))
}

/// Puts back what an owner holds: these, or all.
pub(super) fn requeue(owner: &str, ids: Option<&[i64]>) -> Vec<Statement> {
    let Some(ids) = ids else {
        return put_back("owner = ?", |statement| statement.with(owner));
    };
    let places = places(ids.len());
    put_back(&format!("owner = ? AND id IN ({places})"), |statement| {
        statement.with(owner).with_all(ids.iter().copied())
    })
}

/// Under its id a message is at its old place again. Its `version`, which `SQLAlchemy` counts changes with, counts deliveries.
fn put_back(which: &str, values: impl Fn(Statement) -> Statement) -> Vec<Statement> {
    let back = format!(
        "INSERT INTO kombu_message (id, visible, payload, version, queue_id) SELECT id, 1, \
         CASE WHEN owner IS NOT NULL AND json_valid(payload) \
         THEN json_set(payload, '$.properties.delivery_info.redelivered', json('true')) ELSE payload END, \
         CASE WHEN owner IS NULL THEN version ELSE MIN(version + 1, 32767) END, queue_id FROM quintette_unacked WHERE {which}"
    );
    let gone = format!("DELETE FROM quintette_unacked WHERE {which}");
    vec![values(Statement::new(back)), values(Statement::new(gone))]
}
