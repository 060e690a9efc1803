//! Chords that the server counts.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use quintette_core::json::{RawJson, parse_array, parse_object, write_array};
use redis::Value;
use uuid::Uuid;

use super::scripts::{FINISH, PART};
use super::{Core, State, corrupt, error, json, parse};
use crate::redis::Failure;
use crate::results::{ChordCounter, ChordPart, ChordProgress, ResultError};

/// For how many seconds the body is one worker's to send. Less than it takes to find out that a worker is dead: whoever gets
/// its part again must find the body free.
const OURS: &str = "10";

/// For how many seconds it is known that a chord is done, as Celery has it.
const DONE: &str = "300";

/// How deeply groups in groups are followed.
const DEPTH: usize = 32;

/// How many claims are remembered; each is of use for seconds.
const CLAIMS: usize = 4096;

/// The tokens by which the server knows who sends a chord's body.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<Tokens>);

#[derive(Debug, Default)]
struct Tokens {
    /// Of parts that are to be counted again, by group and task: the server may have heard of them.
    unsure: HashMap<(String, String), String>,
    /// Of chords whose bodies are this process' to send, with the part that found them complete.
    ours: HashMap<String, (String, String)>,
}

impl Claims {
    /// The token of a part; of one that is counted again, the same.
    fn begin(&self, part: &ChordPart<'_>) -> String {
        let mut tokens = self.lock();
        if tokens.unsure.len() >= CLAIMS {
            tokens.unsure.clear();
        }
        let key = (part.group.to_owned(), part.task_id.to_owned());
        let token = tokens.unsure.entry(key);
        token
            .or_insert_with(|| Uuid::new_v4().simple().to_string())
            .clone()
    }

    /// The server has answered.
    fn counted(&self, part: &ChordPart<'_>, token: String, is_ours: bool) {
        let mut tokens = self.lock();
        let (group, task_id) = (part.group.to_owned(), part.task_id.to_owned());
        tokens.unsure.remove(&(group.clone(), task_id.clone()));
        if is_ours {
            if tokens.ours.len() >= CLAIMS {
                tokens.ours.clear();
            }
            tokens.ours.insert(group, (task_id, token));
        }
    }

    /// The body could not be sent: the part is to be counted again.
    fn give_back(&self, group: &str) {
        let mut tokens = self.lock();
        if let Some((task_id, token)) = tokens.ours.remove(group) {
            tokens.unsure.insert((group.to_owned(), task_id), token);
        }
    }

    fn end(&self, group: &str) -> Option<String> {
        let ended = self.lock().ours.remove(group);
        ended.map(|(_, token)| token)
    }

    fn lock(&self) -> MutexGuard<'_, Tokens> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Part = (String, State, RawJson);

#[async_trait]
impl ChordCounter for Core {
    async fn set_size(&self, group: &str, size: u64) -> Result<(), ResultError> {
        let key = self.group(group);
        let mut commands = redis::pipe();
        // A chord that is sent again counts from the beginning.
        commands.cmd("DEL").arg(format!("{key}.c"));
        self.set(
            &mut commands,
            &format!("{key}.s"),
            size.to_string().as_bytes(),
        );
        let set = self.link.pipeline_again(&commands).await;
        set.map(drop)
            .map_err(|failure| error("begin a chord", failure))
    }

    async fn part_done(&self, part: &ChordPart<'_>) -> Result<ChordProgress, ResultError> {
        let token = self.claims.begin(part);
        let answer = self.count_part(part, &token).await;
        let answer = answer.map_err(|failure| error("count a part of a chord", failure))?;
        let Value::Array(answer) = answer else {
            return Err(error("count a part of a chord", Failure::unexpected()));
        };
        let mut answer = answer.into_iter();
        let is_complete = answer.next() == Some(Value::Int(1));
        self.claims.counted(part, token, is_complete);
        if !is_complete {
            return Ok(ChordProgress::Waiting);
        }
        let (saved, entries) = (answer.next(), answer.next());
        if let Some(Value::BulkString(saved)) = saved {
            let joined = self.join(part.group, &saved).await;
            let joined = joined.inspect_err(|_| self.claims.give_back(part.group))?;
            return Ok(ChordProgress::Complete(joined));
        }
        let Some(Value::Array(entries)) = entries else {
            return Err(error("count a part of a chord", Failure::unexpected()));
        };
        let parts: Option<Vec<_>> = entries.iter().map(read_entry).collect();
        parts
            .map(ChordProgress::Complete)
            .ok_or_else(|| corrupt(part.group))
    }

    fn give_back(&self, group: &str) {
        self.claims.give_back(group);
    }

    async fn finish(&self, group: &str) -> Result<(), ResultError> {
        let Some(token) = self.claims.end(group) else {
            return Ok(());
        };
        let key = self.group(group);
        let keys = [".j", ".t", ".s", ".d", ".c"].map(|end| format!("{key}{end}"));
        let keys: Vec<_> = keys.iter().map(String::as_bytes).collect();
        let arguments = [token.as_bytes(), DONE.as_bytes()];
        let finished = self.link.script_again(&FINISH, &keys, &arguments).await;
        finished
            .map(drop)
            .map_err(|failure| error("finish a chord", failure))
    }
}

impl Core {
    async fn count_part(&self, part: &ChordPart<'_>, token: &str) -> Result<Value, Failure> {
        let key = self.group(part.group);
        let keys = [".j", ".t", ".s", ".d", "", ".c"].map(|end| format!("{key}{end}"));
        let keys: Vec<_> = keys.iter().map(String::as_bytes).collect();
        // With the spaces of Python: to Celery 5.6, which compares texts, a part that ran twice is one.
        let entry = format!(
            "[1, {}, \"{}\", {}]",
            RawJson::from(part.task_id),
            part.state.name(),
            part.result
        );
        let place = match part.index {
            Some(index) => index.to_string(),
            None => "+inf".to_owned(),
        };
        let expires = self.expires.to_string();
        let arguments = [part.task_id, &entry, &place, &expires, OURS, token];
        let arguments = arguments.map(str::as_bytes);
        self.link.script_again(&PART, &keys, &arguments).await
    }

    /// The results of a header with groups in it, whose shape was saved before: `[[group, parent], [children]]`.
    async fn join(&self, group: &str, saved: &[u8]) -> Result<Vec<Part>, ResultError> {
        let children = json(saved).and_then(|saved| {
            let saved = parse_object(saved.as_str().as_bytes()).ok()?;
            let (_, children) = split(saved.get("result")?)?;
            children
        });
        let children = children.ok_or_else(|| corrupt(group))?;
        let mut ids = Vec::new();
        for child in &children {
            leaves(child, &mut ids, 0).ok_or_else(|| corrupt(group))?;
        }
        let metas = self.load_all(&ids).await?;
        let built = children.iter().map(|child| build(child, &metas));
        built.collect::<Option<_>>().ok_or_else(|| corrupt(group))
    }

    async fn load_all(&self, ids: &[String]) -> Result<HashMap<String, Part>, ResultError> {
        let mut commands = redis::pipe();
        for id in ids {
            commands.cmd("GET").arg(self.task(id));
        }
        let read = self.link.pipeline_again(&commands).await;
        let read = read.map_err(|failure| error("join the parts of a chord", failure))?;
        let mut metas = HashMap::with_capacity(ids.len());
        for (id, value) in ids.iter().zip(read) {
            let Value::BulkString(value) = value else {
                return Err(corrupt(id));
            };
            let meta = parse(id, &value)?;
            metas.insert(id.clone(), (id.clone(), meta.status, meta.result));
        }
        Ok(metas)
    }
}

/// An entry of the parts: `[1, id, state, result]`.
fn read_entry(entry: &Value) -> Option<Part> {
    let Value::BulkString(entry) = entry else {
        return None;
    };
    let parts = parse_array(json(entry)?.as_str().as_bytes()).ok()?;
    let [_, id, state, result] = parts.as_slice() else {
        return None;
    };
    Some((
        id.deserialize().ok()?,
        state.deserialize().ok()?,
        result.clone(),
    ))
}

/// A result as Celery writes it, `[[id, parent], children]` or `[id, children]`: its id, and the children of a group.
fn split(result: &RawJson) -> Option<(String, Option<Vec<RawJson>>)> {
    let parts = parse_array(result.as_str().as_bytes()).ok()?;
    let [id, children] = parts.as_slice() else {
        return None;
    };
    let id = match parse_array(id.as_str().as_bytes()) {
        Ok(pair) => pair.first()?.deserialize().ok()?,
        Err(_) => id.deserialize().ok()?,
    };
    let children = match children.as_str() {
        "null" => None,
        children => Some(parse_array(children.as_bytes()).ok()?),
    };
    Some((id, children))
}

fn leaves(result: &RawJson, ids: &mut Vec<String>, depth: usize) -> Option<()> {
    let (id, children) = split(result)?;
    match children {
        None => ids.push(id),
        Some(_) if depth >= DEPTH => return None,
        Some(children) => {
            for child in &children {
                leaves(child, ids, depth + 1)?;
            }
        }
    }
    Some(())
}

/// A group's result is the list of those of its children, or the failure of one of them.
fn build(result: &RawJson, metas: &HashMap<String, Part>) -> Option<Part> {
    let (id, children) = split(result)?;
    let Some(children) = children else {
        return metas.get(&id).cloned();
    };
    let built = children.iter().map(|child| build(child, metas));
    let built: Vec<_> = built.collect::<Option<_>>()?;
    if let Some(failed) = built.iter().find(|(_, state, _)| state.is_failure()) {
        return Some(failed.clone());
    }
    let list = write_array(built.iter().map(|(_, _, result)| result));
    Some((id, State::Success, RawJson::parse(&list).ok()?))
}
