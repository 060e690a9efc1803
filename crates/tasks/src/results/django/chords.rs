//! Chords, counted as django-celery-results counts them.

use async_trait::async_trait;
use quintette_core::json::RawJson;
use serde_json::Value as Json;

use super::DjangoResults;
use crate::database::{Column, Statement, Value};
use crate::results::{
    ChordCounter, ChordPart, ChordProgress, ResultBackend, ResultError, ResultErrorKind, State,
};

const COUNTERS: &str = "django_celery_results_chordcounter";

#[async_trait]
impl ChordCounter for DjangoResults {
    /// Python's workers need the ids of the parts beside their number, and take them from the counter: they are those of the group that was saved.
    async fn set_size(&self, group: &str, size: u64) -> Result<(), ResultError> {
        let saved = self.load_group(group).await?;
        let tree = saved.and_then(|saved| saved.deserialize::<(Json, Vec<Json>)>().ok());
        let Some((_, parts)) = tree else {
            return Err(ResultError::new(
                ResultErrorKind::Corrupt,
                format!("the chord's group {group} is to be saved before its parts are counted"),
            ));
        };
        let insert = Statement::new(format!(
            "INSERT INTO {COUNTERS} (group_id, sub_tasks, count) VALUES (?, ?, ?)"
        ));
        let insert = insert
            .with(group)
            .with(Json::from(parts).to_string())
            .with(i64::try_from(size).unwrap_or(i64::MAX));
        self.database.execute(insert).await?;
        Ok(())
    }

    fn needs_group(&self) -> bool {
        true
    }

    /// The UPDATE locks the row until the SELECT has seen what it made of it: one part finds nothing left. The counter stays until the body has been
    /// sent, so that a part that is delivered again after a crash sends it; then it is nobody's last part, but all of them are there.
    async fn part_done(&self, part: &ChordPart<'_>) -> Result<ChordProgress, ResultError> {
        let count_down = Statement::new(format!(
            "UPDATE {COUNTERS} SET count = count - 1 WHERE group_id = ? AND count > 0"
        ));
        let left = Statement::new(format!(
            "SELECT count, sub_tasks FROM {COUNTERS} WHERE group_id = ?"
        ));
        let statements = vec![
            count_down.with(part.group),
            left.with(part.group)
                .returning(&[Column::Int, Column::Text]),
        ];
        let mut written = self.database.write(statements).await?;
        let Some(row) = written.pop().and_then(|left| left.rows.into_iter().next()) else {
            tracing::warn!(
                group = part.group,
                "the chord is not counted, or has been completed"
            );
            return Ok(ChordProgress::Waiting);
        };
        let mut row = row.into_iter();
        if row.next().and_then(Value::int) != Some(0) {
            return Ok(ChordProgress::Waiting);
        }
        let parts = row.next().and_then(Value::text).unwrap_or_default();
        self.collect(&parts, part).await
    }

    async fn finish(&self, group: &str) -> Result<(), ResultError> {
        let delete = Statement::new(format!("DELETE FROM {COUNTERS} WHERE group_id = ?"));
        self.database.execute(delete.with(group)).await?;
        Ok(())
    }
}

impl DjangoResults {
    /// The results of parts that are written `[[[id, parent], children], …]`.
    async fn collect(
        &self,
        parts: &str,
        own: &ChordPart<'_>,
    ) -> Result<ChordProgress, ResultError> {
        let parts: Vec<((String, Json), Json)> = serde_json::from_str(parts).map_err(|error| {
            ResultError::new(
                ResultErrorKind::Corrupt,
                format!(
                    "the counter of the chord {} names no parts: {error}",
                    own.group
                ),
            )
        })?;
        let mut results: Vec<(String, State, RawJson)> = Vec::with_capacity(parts.len());
        for ((id, _), _) in parts {
            if id == own.task_id {
                results.push((id, own.state, own.result.clone()));
                continue;
            }
            match self.load(&id).await? {
                Some(meta) if meta.status.is_ready() => {
                    results.push((id, meta.status, meta.result));
                }
                // A part that was run twice was counted twice.
                _ => return Ok(ChordProgress::Waiting),
            }
        }
        Ok(ChordProgress::Complete(results))
    }
}
