//! A store that counts chords, in this process.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use quintette_core::json::RawJson;

use super::{
    ChordCounter, ChordPart, ChordProgress, MemoryResults, ResultBackend, ResultError, State,
    StoreContext, TaskMeta,
};

type Parts = Vec<(i64, String, State, RawJson)>;

/// As Redis counts, with the results in memory.
#[derive(Debug)]
pub(crate) struct Counting {
    results: MemoryResults,
    sizes: Mutex<HashMap<String, u64>>,
    parts: Mutex<HashMap<String, Parts>>,
}

impl Default for Counting {
    fn default() -> Self {
        Self {
            results: MemoryResults::new(None),
            sizes: Mutex::default(),
            parts: Mutex::default(),
        }
    }
}

#[async_trait]
impl ResultBackend for Counting {
    async fn store(&self, meta: &TaskMeta, request: &StoreContext) -> Result<(), ResultError> {
        self.results.store(meta, request).await
    }

    async fn load(&self, id: &str) -> Result<Option<TaskMeta>, ResultError> {
        self.results.load(id).await
    }

    async fn wait(
        &self,
        id: &str,
        timeout: Option<Duration>,
    ) -> Result<Option<TaskMeta>, ResultError> {
        self.results.wait(id, timeout).await
    }

    async fn forget(&self, id: &str) -> Result<(), ResultError> {
        self.results.forget(id).await
    }

    async fn save_group(&self, group: &str, children: &RawJson) -> Result<(), ResultError> {
        self.results.save_group(group, children).await
    }

    async fn load_group(&self, group: &str) -> Result<Option<RawJson>, ResultError> {
        self.results.load_group(group).await
    }

    async fn forget_group(&self, group: &str) -> Result<(), ResultError> {
        self.results.forget_group(group).await
    }

    fn chords(&self) -> Option<&dyn ChordCounter> {
        Some(self)
    }
}

#[async_trait]
impl ChordCounter for Counting {
    async fn set_size(&self, group: &str, size: u64) -> Result<(), ResultError> {
        self.sizes.lock().unwrap().insert(group.to_owned(), size);
        Ok(())
    }

    async fn part_done(&self, part: &ChordPart<'_>) -> Result<ChordProgress, ResultError> {
        let mut parts = self.parts.lock().unwrap();
        let parts = parts.entry(part.group.to_owned()).or_default();
        parts.push((
            part.index.unwrap_or(i64::MAX),
            part.task_id.to_owned(),
            part.state,
            part.result.clone(),
        ));
        parts.sort_by_key(|(index, ..)| *index);
        if self.sizes.lock().unwrap().get(part.group) != Some(&(parts.len() as u64)) {
            return Ok(ChordProgress::Waiting);
        }
        let parts = parts.iter().cloned();
        Ok(ChordProgress::Complete(
            parts
                .map(|(_, id, state, result)| (id, state, result))
                .collect(),
        ))
    }

    async fn finish(&self, group: &str) -> Result<(), ResultError> {
        self.parts.lock().unwrap().remove(group);
        Ok(())
    }
}
