//! Signatures and canvases from the JSON that describes them.

use indexmap::IndexMap;
use quintette::json::RawJson;
use quintette_tasks::{Signature, canvas};
use serde::Deserialize;

/// `{"name", "args"?, "kwargs"?, "options"?, "immutable"?}`, or `{"kind", "tasks", "body"?, "options"?}`.
#[derive(Deserialize)]
pub(crate) struct Described {
    kind: Option<String>,
    name: Option<String>,
    #[serde(default)]
    args: Vec<RawJson>,
    #[serde(default)]
    kwargs: IndexMap<String, RawJson>,
    #[serde(default)]
    options: Options,
    #[serde(default)]
    immutable: bool,
    #[serde(default)]
    tasks: Vec<Described>,
    body: Option<Box<Described>>,
    /// What `map`, `starmap` and `chunks` go through, and how many at a time.
    #[serde(default)]
    items: Vec<RawJson>,
    #[serde(default)]
    size: usize,
}

/// Celery's, of which two are signatures themselves.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Options {
    link: Vec<Described>,
    link_error: Vec<Described>,
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
}

impl Described {
    pub(crate) fn signature(self) -> Result<Signature, String> {
        let options = self.options;
        let mut signature = match self.kind {
            Some(kind) => composed(&kind, self.tasks, self.body, self.items, self.size)?,
            None => Signature {
                args: self.args,
                kwargs: self.kwargs,
                immutable: self.immutable,
                ..Signature::new(self.name.ok_or("name is missing")?)
            },
        };
        for (name, value) in options.others {
            signature = signature.option(name, value);
        }
        for link in options.link {
            signature = signature.link(&link.signature()?);
        }
        for link in options.link_error {
            signature = signature.link_error(&link.signature()?);
        }
        Ok(signature)
    }
}

fn composed(
    kind: &str,
    tasks: Vec<Described>,
    body: Option<Box<Described>>,
    items: Vec<RawJson>,
    size: usize,
) -> Result<Signature, String> {
    let tasks: Result<Vec<_>, _> = tasks.into_iter().map(Described::signature).collect();
    let tasks = tasks?;
    let one = || tasks.first().ok_or("tasks is missing");
    match kind {
        "chain" => canvas::chain(tasks).map_err(|error| error.to_string()),
        "group" => canvas::group(tasks).map_err(|error| error.to_string()),
        "chord" => {
            let body = body.ok_or("body is missing")?.signature()?;
            canvas::chord(tasks, body).map_err(|error| error.to_string())
        }
        "map" => canvas::map(one()?, items).map_err(|error| error.to_string()),
        "starmap" => canvas::starmap(one()?, items).map_err(|error| error.to_string()),
        "chunks" => canvas::chunks(one()?, items, size).map_err(|error| error.to_string()),
        other => Err(format!("unknown kind {other:?}")),
    }
}
