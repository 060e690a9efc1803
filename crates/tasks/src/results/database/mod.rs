//! `db+sqlite:///`, `db+postgresql://`, `db+mysql://`: results in the tables of Celery's `SQLAlchemy` backend.

mod blob;
mod tables;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};
use quintette_core::json::RawJson;
use serde_json::{Map, Value as Json, json};
use tokio::sync::OnceCell;

use self::blob::Form;
use super::polling::Stored;
use super::{ResultBackend, ResultError, ResultErrorKind, StoreContext, TaskMeta};
use crate::database::{self, Column, Database, DatabaseError, DatabaseErrorKind, Statement, Value};

const TASKS: &str = "celery_taskmeta";
const GROUPS: &str = "celery_tasksetmeta";

/// Results in the tables of Celery's database backend, `celery_taskmeta` and `celery_tasksetmeta`, which are made where they are missing.
///
/// Celery writes JSON there from 5.7 on, and wrote pickles before. Both are read. JSON is written where the table is one of 5.7 (it has the column
/// `children`), and a pickle, which Celery 5.7 reads as well, where it is older or `result_serializer` is `pickle`. A pickle is never run: what
/// is no plain value in it is told by its class.
#[derive(Clone, Debug)]
pub struct DatabaseResults {
    database: Database,
    expires: Option<Duration>,
    pickles: bool,
    layout: Arc<OnceCell<Layout>>,
    stored: Stored,
}

/// What the table is like.
#[derive(Clone, Copy, Debug)]
struct Layout {
    has_children: bool,
    form: Form,
}

impl DatabaseResults {
    /// The database of a URL that `SQLAlchemy` would take, after `db+`; results are deleted by [`clean_up`](ResultBackend::clean_up) when they are older than
    /// `expires`. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// A URL of another database, or of one that this program was built without.
    pub fn new(url: &str, expires: Option<Duration>) -> Result<Self, ResultError> {
        let url = database::parse_url(url.strip_prefix("db+").unwrap_or(url))?;
        Ok(Self {
            database: Database::new(&url)?,
            expires,
            pickles: false,
            layout: Arc::default(),
            stored: Stored::default(),
        })
    }

    /// Writes pickles whatever the table is like, for a Celery before 5.7 that reads what is written here. Celery's `result_serializer`.
    #[must_use]
    pub fn with_pickles(mut self) -> Self {
        self.pickles = true;
        self
    }

    /// The tables, made where they are missing.
    async fn layout(&self) -> Result<Layout, ResultError> {
        let layout = self.layout.get_or_try_init(|| async {
            let mut counts = self.count_columns().await?;
            if counts[0] == 0 {
                let create = tables::create(self.database.dialect());
                // Of two that make them at once, one is told that they are there.
                let created = self.database.write(create).await;
                counts = self.count_columns().await?;
                if counts[0] == 0 {
                    created?;
                }
            }
            let has_children = counts[1] > 0;
            let form = if has_children && !self.pickles {
                Form::Json
            } else {
                Form::Pickle
            };
            Ok::<_, ResultError>(Layout { has_children, form })
        });
        layout.await.copied()
    }

    async fn count_columns(&self) -> Result<[i64; 2], ResultError> {
        let counts = tables::columns(self.database.dialect());
        let rows = self.database.read(counts).await?;
        let mut counts = rows.into_iter().flatten().filter_map(Value::int);
        Ok([counts.next().unwrap_or(0), counts.next().unwrap_or(0)])
    }

    fn upsert(&self, meta: &TaskMeta, layout: Layout) -> Statement {
        let extra = |name: &str| meta.extra.get(name).filter(|value| !value.is_null());
        let text = |name| Value::Text(extra(name).and_then(Json::as_str).map(str::to_owned));
        // Celery encodes these two as JSON in any version.
        let encoded = |name| Value::Bytes(extra(name).map(|value| value.to_string().into_bytes()));
        let mut columns: Vec<(&str, Value)> = vec![
            ("result", layout.form.write(&meta.result).into()),
            ("date_done", Value::Time(date_done(meta))),
            ("traceback", meta.traceback.clone().into()),
            ("name", text("name")),
            ("args", encoded("args")),
            ("kwargs", encoded("kwargs")),
            ("worker", text("worker")),
            (
                "retries",
                Value::Int(extra("retries").and_then(Json::as_i64)),
            ),
            ("queue", text("queue")),
        ];
        if layout.has_children {
            let children = (!meta.children.is_empty()).then(|| {
                layout
                    .form
                    .write(&from_json(&Json::from(meta.children.clone())))
            });
            columns.push(("children", Value::Bytes(children)));
            columns.push(("stamps", Value::Bytes(stamps(&meta.extra))));
        }
        columns.push(("status", meta.status_name().into()));
        let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
        let sql = tables::upsert(self.database.dialect(), TASKS, "task_id", &names);
        Statement::new(sql)
            .with(meta.task_id.as_str())
            .with_all(columns.into_iter().map(|(_, value)| value))
    }
}

/// Celery gives a date to what is ready.
fn date_done(meta: &TaskMeta) -> Option<NaiveDateTime> {
    let given = meta.date_done.as_deref();
    let given = given.and_then(|date| DateTime::parse_from_rfc3339(date).ok());
    let date = given.map(|date| date.to_utc());
    let now = || meta.status.is_ready().then(Utc::now);
    let date = date.or_else(now)?;
    Some(date.naive_utc().trunc_subsecs(6))
}

fn stamps(extra: &Map<String, Json>) -> Option<Vec<u8>> {
    let headers = extra.get("stamped_headers")?.as_array()?;
    let stamps: Map<_, _> = headers
        .iter()
        .filter_map(|name| extra.get_key_value(name.as_str()?))
        .map(|(name, stamp)| (name.clone(), stamp.clone()))
        .collect();
    let stamps = json!({"stamped_headers": headers, "stamps": stamps});
    Some(stamps.to_string().into_bytes())
}

fn from_json(value: &Json) -> RawJson {
    RawJson::from_value(value).unwrap_or_else(|_| super::meta::null())
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
    let mut meta = TaskMeta::new(id, super::State::Pending, super::meta::null());
    if let Some(status) = next().text() {
        meta.set_status(status);
    }
    if let Some(result) = next().bytes() {
        meta.result = blob::read(&result, meta.status.is_failure())?;
    }
    let date = next().time();
    meta.date_done = date.map(|date| date.and_utc().to_rfc3339());
    meta.traceback = next().text();
    for name in ["name", "worker", "queue"] {
        if let Some(text) = next().text() {
            meta.extra.insert(name.to_owned(), text.into());
        }
    }
    if let Some(retries) = next().int() {
        meta.extra.insert("retries".to_owned(), retries.into());
    }
    for name in ["args", "kwargs"] {
        // Written by the result's serializer, which need not be JSON.
        let value = next()
            .bytes()
            .and_then(|bytes| blob::read(&bytes, false).ok());
        if let Some(value) = value.and_then(|value| value.deserialize().ok()) {
            meta.extra.insert(name.to_owned(), value);
        }
    }
    if let Some(children) = next().bytes() {
        let children = blob::read(&children, false)?;
        meta.children = children.deserialize().unwrap_or_default();
    }
    let stamps = next()
        .bytes()
        .and_then(|bytes| blob::read(&bytes, false).ok());
    let stamps = stamps.and_then(|stamps| stamps.deserialize::<Map<String, Json>>().ok());
    for (name, value) in stamps.into_iter().flatten() {
        match value {
            Json::Object(stamps) if name == "stamps" => meta.extra.extend(stamps),
            value => drop(meta.extra.insert(name, value)),
        }
    }
    Ok(meta)
}

#[async_trait]
impl ResultBackend for DatabaseResults {
    async fn store(&self, meta: &TaskMeta, _: &StoreContext) -> Result<(), ResultError> {
        let layout = self.layout().await?;
        self.database.execute(self.upsert(meta, layout)).await?;
        self.stored.tell(&meta.task_id);
        Ok(())
    }

    async fn load(&self, id: &str) -> Result<Option<TaskMeta>, ResultError> {
        const COLUMNS: &[Column] = &[
            Column::Text,
            Column::Bytes,
            Column::Time,
            Column::Text,
            Column::Text,
            Column::Text,
            Column::Text,
            Column::Int,
            Column::Bytes,
            Column::Bytes,
            Column::Bytes,
            Column::Bytes,
        ];
        let layout = self.layout().await?;
        let (newer, columns) = if layout.has_children {
            (", children, stamps", COLUMNS)
        } else {
            ("", &COLUMNS[..10])
        };
        let select = Statement::new(format!(
            "SELECT status, result, date_done, traceback, name, worker, queue, retries, args, kwargs{newer} FROM {TASKS} WHERE task_id = ?"
        ));
        let rows = self
            .database
            .read(select.with(id).returning(columns))
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
        self.layout().await?;
        let delete = format!("DELETE FROM {TASKS} WHERE task_id = ?");
        self.database
            .execute(Statement::new(delete).with(id))
            .await?;
        Ok(())
    }

    async fn save_group(&self, group: &str, children: &RawJson) -> Result<(), ResultError> {
        let layout = self.layout().await?;
        // A pickle of a GroupResult, as Celery wrote before 5.7, is Python's own.
        let upsert = tables::upsert(
            self.database.dialect(),
            GROUPS,
            "taskset_id",
            &["result", "date_done"],
        );
        let upsert = Statement::new(upsert)
            .with(group)
            .with(layout.form.write(children))
            .with(Value::now());
        self.database.execute(upsert).await?;
        Ok(())
    }

    async fn load_group(&self, group: &str) -> Result<Option<RawJson>, ResultError> {
        self.layout().await?;
        let select = Statement::new(format!("SELECT result FROM {GROUPS} WHERE taskset_id = ?"));
        let select = select.with(group).returning(&[Column::Bytes]);
        let rows = self.database.read(select).await?;
        let saved = rows.into_iter().flatten().next().and_then(Value::bytes);
        saved.map(|bytes| blob::read(&bytes, false)).transpose()
    }

    async fn forget_group(&self, group: &str) -> Result<(), ResultError> {
        self.layout().await?;
        let delete = format!("DELETE FROM {GROUPS} WHERE taskset_id = ?");
        self.database
            .execute(Statement::new(delete).with(group))
            .await?;
        Ok(())
    }

    async fn clean_up(&self) -> Result<u64, ResultError> {
        let Some(expires) = self.expires else {
            return Ok(0);
        };
        self.layout().await?;
        delete_older(&self.database, &[TASKS, GROUPS], expires, Value::Time).await
    }

    fn expires_by_itself(&self) -> bool {
        false
    }
}

/// Deletes rows whose `date_done` is past; answers with how many those were.
pub(super) async fn delete_older(
    database: &Database,
    tables: &[&str],
    expires: Duration,
    column: impl Fn(Option<NaiveDateTime>) -> Value,
) -> Result<u64, ResultError> {
    let expires = chrono::TimeDelta::from_std(expires).unwrap_or(chrono::TimeDelta::MAX);
    let Some(oldest) = Utc::now().naive_utc().checked_sub_signed(expires) else {
        return Ok(0);
    };
    let mut deleted = 0;
    for table in tables {
        let delete = Statement::new(format!("DELETE FROM {table} WHERE date_done < ?"));
        let delete = delete.with(column(Some(oldest.trunc_subsecs(6))));
        deleted += database.execute(delete).await?;
    }
    Ok(deleted)
}

impl From<DatabaseError> for ResultError {
    fn from(error: DatabaseError) -> Self {
        let kind = match error.kind() {
            DatabaseErrorKind::Unavailable => ResultErrorKind::Unavailable,
            DatabaseErrorKind::Refused => ResultErrorKind::Refused,
            DatabaseErrorKind::Configuration => ResultErrorKind::Configuration,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}
