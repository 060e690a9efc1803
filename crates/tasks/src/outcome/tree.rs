//! Results by their ids, as Celery passes them: `[[id, parent], children]`.

use quintette_core::json::RawJson;
use serde_json::{Value, json};

/// How deep results may stand within one another.
const MAX_DEPTH: usize = 256;

/// How high a tree grows here: what came before the last steps of a long chain is left out. As JSON it has twice as many levels, of which
/// `serde_json` reads 128.
const MAX_HEIGHT: usize = 60;

/// A task's id or a group's, with those that came before and those within.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ResultTree {
    pub id: String,
    pub parent: Option<Box<ResultTree>>,
    /// Of a group.
    pub children: Option<Vec<ResultTree>>,
    /// No way through parents and children is longer.
    height: usize,
}

impl ResultTree {
    pub(crate) fn task(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            parent: None,
            children: None,
            height: 1,
        }
    }

    pub(crate) fn group(id: impl Into<String>, children: Vec<Self>) -> Self {
        Self {
            id: id.into(),
            parent: None,
            height: 1 + highest(&children),
            children: Some(children),
        }
    }

    /// Puts `parent` in place of what came before.
    pub(crate) fn with_parent(mut self, parent: Self) -> Self {
        self.forget_parents();
        self.after(parent)
    }

    fn forget_parents(&mut self) {
        self.parent = None;
        self.height = 1 + highest(self.children.as_deref().unwrap_or_default());
    }

    /// Puts `parent` before the first of those that came before. What would be too high does without what came before that.
    pub(crate) fn after(mut self, mut parent: Self) -> Self {
        if self.height + parent.height > MAX_HEIGHT {
            parent.forget_parents();
        }
        if self.height + parent.height > MAX_HEIGHT {
            return self;
        }
        self.height += parent.height;
        let mut first = &mut self.parent;
        while let Some(earlier) = first {
            first = &mut earlier.parent;
        }
        *first = Some(Box::new(parent));
        self
    }

    /// Celery's `as_tuple`.
    pub(crate) fn to_value(&self) -> Value {
        let children = self.children.as_ref().map(|children| {
            let children = children.iter().map(Self::to_value);
            children.collect::<Vec<_>>()
        });
        let parent = self.parent.as_ref().map(|parent| parent.to_value());
        json!([[self.id, parent], children])
    }

    /// Celery's `result_from_tuple`. `None` for what is none, or is nested too deeply.
    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        Self::read(value, 0)
    }

    pub(crate) fn from_json(json: &RawJson) -> Option<Self> {
        Self::from_value(&json.deserialize().ok()?)
    }

    fn read(value: &Value, depth: usize) -> Option<Self> {
        let [head, children] = value.as_array()?.as_slice() else {
            return None;
        };
        if depth > MAX_DEPTH {
            return None;
        }
        let (id, parent) = match head {
            Value::String(id) => (id, &Value::Null),
            Value::Array(pair) => match pair.as_slice() {
                [Value::String(id), parent] => (id, parent),
                _ => return None,
            },
            _ => return None,
        };
        let parent = match parent {
            Value::Null => None,
            parent => Some(Box::new(Self::read(parent, depth + 1)?)),
        };
        let children = match children {
            Value::Null => None,
            Value::Array(children) => {
                let children = children.iter().map(|child| Self::read(child, depth + 1));
                Some(children.collect::<Option<_>>()?)
            }
            _ => return None,
        };
        let mut tree = match children {
            None => Self::task(id.as_str()),
            Some(children) => Self::group(id.as_str(), children),
        };
        tree.height += parent.as_ref().map_or(0, |parent| parent.height);
        tree.parent = parent;
        Some(tree)
    }

    /// The tasks' ids, in order, groups within groups in their place.
    pub(crate) fn task_ids(&self) -> Vec<&str> {
        match &self.children {
            None => vec![&self.id],
            Some(children) => children.iter().flat_map(Self::task_ids).collect(),
        }
    }
}

fn highest(trees: &[ResultTree]) -> usize {
    trees.iter().map(|tree| tree.height).max().unwrap_or(0)
}
