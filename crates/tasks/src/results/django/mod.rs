//! `django-db`: results in the tables of django-celery-results, in the database that `DATABASE_URL` names.

mod chords;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{NaiveDateTime, SubsecRound, Utc};
use quintette_core::json::RawJson;
use quintette_core::settings::DatabaseUrl;
use serde_json::{Map, Value as Json};

use super::database::delete_older;
use super::meta::null;
use super::polling::Stored;
use super::{
    ChordCounter, ResultBackend, ResultError, ResultErrorKind, State, StoreContext, TaskMeta,
};
use crate::database::{Column, Database, Dialect, Statement, Value};

const TASKS: &str = "django_celery_results_taskresult";
const GROUPS: &str = "django_celery_results_groupresult";

/// Results in the tables of django-celery-results, which `manage.py migrate` makes.
///
/// Values are JSON texts there. Times are kept as Django keeps them with `USE_TZ`: in UTC. Chords are counted in the table `chordcounter`, by
/// Rust and Python workers together.
#[derive(Clone, Debug)]
pub struct DjangoResults {
    database: Database,
    expires: Option<Duration>,
    stored: Stored,
}

impl DjangoResults {
    /// The database of a site; results are deleted by [`clean_up`](ResultBackend::clean_up) when they are older than `expires`. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// A database that this program was built without.
    pub fn new(url: &DatabaseUrl, expires: Option<Duration>) -> Result<Self, ResultError> {
        Ok(Self {
            database: Database::new(url)?,
            expires,
            stored: Stored::default(),
        })
    }

    fn upsert(&self, meta: &TaskMeta) -> Statement {
        let extra = |name: &str| meta.extra.get(name).filter(|value| !value.is_null());
        let text = |name| Value::Text(extra(name).and_then(Json::as_str).map(str::to_owned));
        let json = |name| Value::Text(extra(name).map(Json::to_string));
        let mut written = Map::new();
        written.insert("children".to_owned(), meta.children.clone().into());
        let now = Utc::now().naive_utc().trunc_subsecs(6);
        let started = (meta.status == State::Started).then_some(now);
        let mut columns: Vec<(&str, Value)> = vec![
            ("content_type", "application/json".into()),
            ("content_encoding", "utf-8".into()),
            ("result", meta.result.as_str().into()),
            // Django sets it with every change (`auto_now`).
            ("date_done", instant(Some(now))),
            ("traceback", meta.traceback.clone().into()),
            ("meta", Json::from(written).to_string().into()),
            ("task_args", json("args")),
            ("task_kwargs", json("kwargs")),
            ("task_name", text("name")),
            ("worker", text("worker")),
            ("periodic_task_name", text("periodic_task_name")),
        ];
        if started.is_some() {
            columns.push(("date_started", instant(started)));
        }
        columns.push(("status", meta.status_name().into()));
        let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
        let sql = upsert(self.database.dialect(), TASKS, "task_id", &names);
        Statement::new(sql)
            .with(meta.task_id.as_str())
            .with(instant(Some(now)))
            .with_all(columns.into_iter().map(|(_, value)| value))
    }
}

/// A `DateTimeField`'s value.
fn instant(time: Option<NaiveDateTime>) -> Value {
    Value::Instant(time.map(|time| time.and_utc()))
}

/// An INSERT of a row that is keyed by `key`, or an UPDATE of it unless it says SUCCESS. `date_created` is written once. `status`, where there is
/// one, comes last: `MySQL` sets one column after the other, and looks at what the former have become.
fn upsert(dialect: Dialect, table: &str, key: &str, columns: &[&str]) -> String {
    let may_change = columns.contains(&"status");
    let set: Vec<_> = columns
        .iter()
        .map(|column| match dialect {
            Dialect::Mysql if may_change => {
                format!("{column} = IF(status <=> 'SUCCESS', {column}, VALUES({column}))")
            }
            Dialect::Mysql => format!("{column} = VALUES({column})"),
            _ => format!("{column} = excluded.{column}"),
        })
        .collect();
    let set = set.join(", ");
    let places = crate::database::places(columns.len() + 2);
    let names = columns.join(", ");
    let insert = format!("INSERT INTO {table} ({key}, date_created, {names}) VALUES ({places})");
    match dialect {
        Dialect::Mysql => format!("{insert} ON DUPLICATE KEY UPDATE {set}"),
        _ if may_change => {
            format!(
                "{insert} ON CONFLICT ({key}) DO UPDATE SET {set} WHERE {table}.status <> 'SUCCESS'"
            )
        }
        _ => format!("{insert} ON CONFLICT ({key}) DO UPDATE SET {set}"),
    }
}

/// A text that a serializer has written, which must be JSON.
fn parse(content_type: Option<&str>, text: Option<String>) -> Result<RawJson, ResultError> {
    let Some(text) = text else {
        return Ok(null());
    };
    RawJson::parse(&text).map_err(|error| {
        let written = content_type.unwrap_or_default();
        ResultError::new(
            ResultErrorKind::Corrupt,
            format!(
                "the result is no JSON, but {written:?} ({error}); set result_serializer to json"
            ),
        )
    })
}

fn read_row(id: &str, row: Vec<Value>) -> Result<TaskMeta, ResultError> {
    if row.iter().any(Value::is_unreadable) {
        return Err(ResultError::new(
            ResultErrorKind::Corrupt,
            format!("the row of the task {id:?} in {TASKS} holds what its columns do not allow"),
        ));
    }
    let mut row = row.into_iter();
    let mut next = || row.next().unwrap_or(Value::Text(None));
    let mut meta = TaskMeta::new(id, State::Pending, null());
    if let Some(status) = next().text() {
        meta.set_status(status);
    }
    let content_type = next().text();
    meta.result = parse(content_type.as_deref(), next().text())?;
    let date = next().time();
    meta.date_done = date.map(|date| date.and_utc().to_rfc3339());
    meta.traceback = next().text();
    let written = next()
        .text()
        .and_then(|text| serde_json::from_str(&text).ok());
    for (name, value) in written.unwrap_or_else(Map::new) {
        match value {
            Json::Array(children) if name == "children" => meta.children = children,
            Json::Null if name == "children" => {}
            value => drop(meta.extra.insert(name, value)),
        }
    }
    for name in ["name", "worker", "periodic_task_name"] {
        if let Some(text) = next().text() {
            meta.extra.insert(name.to_owned(), text.into());
        }
    }
    for name in ["args", "kwargs"] {
        // As a task of protocol 2 has them: a JSON string that holds what Python prints.
        let value = next()
            .text()
            .and_then(|text| serde_json::from_str(&text).ok());
        if let Some(value) = value {
            meta.extra.insert(name.to_owned(), value);
        }
    }
    Ok(meta)
}

#[async_trait]
impl ResultBackend for DjangoResults {
    async fn store(&self, meta: &TaskMeta, _: &StoreContext) -> Result<(), ResultError> {
        self.database.execute(self.upsert(meta)).await?;
        self.stored.tell(&meta.task_id);
        Ok(())
    }

    async fn load(&self, id: &str) -> Result<Option<TaskMeta>, ResultError> {
        const COLUMNS: &[Column] = &[
            Column::Text,
            Column::Text,
            Column::Text,
            Column::Time,
            Column::Text,
            Column::Text,
            Column::Text,
            Column::Text,
            Column::Text,
            Column::Text,
            Column::Text,
        ];
        let select = Statement::new(format!(
            "SELECT status, content_type, result, date_done, traceback, meta, task_name, worker, periodic_task_name, task_args, task_kwargs \
             FROM {TASKS} WHERE task_id = ?"
        ));
        let rows = self
            .database
            .read(select.with(id).returning(COLUMNS))
            .await?;
        rows.into_iter()
            .next()
            .map(|row| read_row(id, row))
            .transpose()
    }

    async fn wait(
        &self,
        id: &str,
        timeout: Option<Duration>,
    ) -> Result<Option<TaskMeta>, ResultError> {
        self.stored.wait(self, id, timeout).await
    }

    async fn forget(&self, id: &str) -> Result<(), ResultError> {
        let delete = Statement::new(format!("DELETE FROM {TASKS} WHERE task_id = ?"));
        self.database.execute(delete.with(id)).await?;
        Ok(())
    }

    async fn save_group(&self, group: &str, children: &RawJson) -> Result<(), ResultError> {
        let columns = ["date_done", "content_type", "content_encoding", "result"];
        let sql = upsert(self.database.dialect(), GROUPS, "group_id", &columns);
        let now = Utc::now().naive_utc().trunc_subsecs(6);
        let upsert = Statement::new(sql)
            .with(group)
            .with(instant(Some(now)))
            .with(instant(Some(now)))
            .with("application/json")
            .with("utf-8")
            .with(children.as_str());
        self.database.execute(upsert).await?;
        Ok(())
    }

    async fn load_group(&self, group: &str) -> Result<Option<RawJson>, ResultError> {
        let select = Statement::new(format!(
            "SELECT content_type, result FROM {GROUPS} WHERE group_id = ?"
        ));
        let select = select.with(group).returning(&[Column::Text, Column::Text]);
        let Some(row) = self.database.read(select).await?.into_iter().next() else {
            return Ok(None);
        };
        let mut row = row.into_iter().map(Value::text);
        let content_type = row.next().flatten();
        parse(content_type.as_deref(), row.next().flatten()).map(Some)
    }

    async fn forget_group(&self, group: &str) -> Result<(), ResultError> {
        let delete = Statement::new(format!("DELETE FROM {GROUPS} WHERE group_id = ?"));
        self.database.execute(delete.with(group)).await?;
        Ok(())
    }

    fn chords(&self) -> Option<&dyn ChordCounter> {
        Some(self)
    }

    async fn clean_up(&self) -> Result<u64, ResultError> {
        let Some(expires) = self.expires else {
            return Ok(0);
        };
        delete_older(&self.database, &[TASKS, GROUPS], expires, instant).await
    }

    fn expires_by_itself(&self) -> bool {
        false
    }
}
