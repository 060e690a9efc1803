//! A canvas as a tree. Signatures hold theirs as JSON.

use quintette_core::json::{JsonError, RawJson, parse_array};

use crate::arguments::list;
use crate::signature::Signature;

/// How deep canvases may stand within one another: what a thread's stack of 2 MiB bears, without optimisation, half as often again.
pub(crate) const MAX_DEPTH: usize = 64;

/// How many tasks a canvas may have.
pub(crate) const MAX_TASKS: usize = 100_000;

/// How many bytes the messages of a canvas may have together: each part of a chord carries its body, and what is given to a group is given
/// to each of its tasks, so that a small canvas can be many times its size.
pub(crate) const MAX_BYTES: usize = 512 << 20;

/// A signature with the signatures in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Task(Signature),
    Chain(Steps),
    Group(Steps),
    Chord(Box<Chord>),
}

/// A chain or a group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Steps {
    /// Without its tasks.
    pub signature: Signature,
    pub tasks: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chord {
    /// Without header and body.
    pub signature: Signature,
    /// The header's own signature, which it has once its tasks have ids; a mere list before.
    pub group: Option<Signature>,
    pub header: Vec<Node>,
    pub body: Option<Node>,
}

/// A canvas that cannot be read, put together or sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CanvasError {
    /// Canvases within canvases.
    #[error("the canvas is nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// Too many tasks.
    #[error("the canvas has more than {MAX_TASKS} tasks: send it in parts")]
    TooLarge,
    /// Too much in them.
    #[error(
        "the messages of the canvas have more than {MAX_BYTES} bytes together: send it in parts"
    )]
    TooHeavy,
    /// A signature in it is none.
    #[error("the canvas {name} cannot be read: {source}")]
    Signature {
        /// The canvas.
        name: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// What is written is nested too deeply to be read again.
    #[error("the canvas cannot be written: {0}")]
    Json(#[from] JsonError),
    /// It has no tasks, and must have some.
    #[error("{0} without tasks cannot be sent")]
    Empty(&'static str),
    /// Something else.
    #[error("{0}")]
    Unfit(&'static str),
}

impl Node {
    /// Reads the canvases within a signature.
    pub(crate) fn read(signature: Signature) -> Result<Self, CanvasError> {
        Reader { left: MAX_TASKS }.node(signature, 0)
    }

    pub(crate) fn group(tasks: Vec<Self>) -> Self {
        Self::Group(Steps::new("group", tasks))
    }

    pub(crate) fn chain(tasks: Vec<Self>) -> Self {
        Self::Chain(Steps::new("chain", tasks))
    }

    pub(crate) fn signature(&self) -> &Signature {
        match self {
            Self::Task(signature) => signature,
            Self::Chain(steps) | Self::Group(steps) => &steps.signature,
            Self::Chord(chord) => &chord.signature,
        }
    }

    pub(crate) fn signature_mut(&mut self) -> &mut Signature {
        match self {
            Self::Task(signature) => signature,
            Self::Chain(steps) | Self::Group(steps) => &mut steps.signature,
            Self::Chord(chord) => &mut chord.signature,
        }
    }

    /// The signature that Python reads.
    pub(crate) fn write(&self) -> Result<Signature, CanvasError> {
        match self {
            Self::Task(signature) => Ok(signature.clone()),
            Self::Chain(steps) | Self::Group(steps) => steps.write(),
            Self::Chord(chord) => chord.write(),
        }
    }

    pub(crate) fn to_json(&self) -> Result<RawJson, CanvasError> {
        Ok(match self {
            Self::Task(signature) => signature.to_json()?,
            other => other.write()?.to_json()?,
        })
    }
}

impl Steps {
    pub(crate) fn new(kind: &str, tasks: Vec<Node>) -> Self {
        let mut signature = Signature::new(format!("celery.{kind}"));
        signature.subtask_type = Some(kind.to_owned());
        Self { signature, tasks }
    }

    fn write(&self) -> Result<Signature, CanvasError> {
        let mut signature = self.signature.clone();
        signature
            .kwargs
            .insert("tasks".to_owned(), write_list(&self.tasks)?);
        Ok(signature)
    }
}

impl Chord {
    /// A chord as Python's constructor makes one: of a group or a chain, its tasks are the header.
    pub(crate) fn new(header: Node, body: Option<Node>) -> Self {
        let header = match header {
            Node::Group(steps) | Node::Chain(steps) => steps.tasks,
            task => vec![task],
        };
        let mut signature = Signature::new("celery.chord");
        signature.subtask_type = Some("chord".to_owned());
        let empty = RawJson::parse("{}").expect("an empty object is JSON");
        signature.kwargs.insert("kwargs".to_owned(), empty);
        Self {
            signature,
            group: None,
            header,
            body,
        }
    }

    fn write(&self) -> Result<Signature, CanvasError> {
        let mut signature = self.signature.clone();
        let header = match &self.group {
            None => write_list(&self.header)?,
            Some(group) => {
                let mut group = group.clone();
                group
                    .kwargs
                    .insert("tasks".to_owned(), write_list(&self.header)?);
                group.to_json()?
            }
        };
        let body = match &self.body {
            Some(body) => body.to_json()?,
            None => crate::arguments::null(),
        };
        signature.kwargs.insert("header".to_owned(), header);
        signature.kwargs.insert("body".to_owned(), body);
        Ok(signature)
    }
}

pub(super) fn write_list(tasks: &[Node]) -> Result<RawJson, CanvasError> {
    let mut written = Vec::with_capacity(tasks.len());
    for task in tasks {
        written.push(task.to_json()?);
    }
    Ok(list(&written))
}

struct Reader {
    left: usize,
}

impl Reader {
    fn node(&mut self, signature: Signature, depth: usize) -> Result<Node, CanvasError> {
        if depth > MAX_DEPTH {
            return Err(CanvasError::TooDeep);
        }
        self.left = self.left.checked_sub(1).ok_or(CanvasError::TooLarge)?;
        match signature.subtask_type.as_deref() {
            Some("chain") => Ok(Node::Chain(self.steps(signature, depth)?)),
            Some("group") => Ok(Node::Group(self.steps(signature, depth)?)),
            Some("chord") => Ok(Node::Chord(Box::new(self.chord(signature, depth)?))),
            _ => Ok(Node::Task(signature)),
        }
    }

    fn steps(&mut self, mut signature: Signature, depth: usize) -> Result<Steps, CanvasError> {
        let tasks = match signature.kwargs.shift_remove("tasks") {
            Some(tasks) => self.list(&tasks, &signature.task, depth)?,
            None => Vec::new(),
        };
        Ok(Steps { signature, tasks })
    }

    fn chord(&mut self, mut signature: Signature, depth: usize) -> Result<Chord, CanvasError> {
        let (mut group, mut header, mut body) = (None, Vec::new(), None);
        match signature.kwargs.shift_remove("header") {
            Some(json) if json.as_str().starts_with('{') => {
                let steps = read(&json, &signature.task)?;
                let steps = self.steps(steps, depth + 1)?;
                (group, header) = (Some(steps.signature), steps.tasks);
            }
            Some(json) => header = self.list(&json, &signature.task, depth)?,
            None => {}
        }
        if let Some(json) = signature.kwargs.shift_remove("body")
            && json.as_str() != "null"
        {
            body = Some(self.node(read(&json, &signature.task)?, depth + 1)?);
        }
        Ok(Chord {
            signature,
            group,
            header,
            body,
        })
    }

    // A loop, and not iterators: each level takes less of the stack.
    fn list(&mut self, json: &RawJson, name: &str, depth: usize) -> Result<Vec<Node>, CanvasError> {
        let elements = parse_array(json.as_str().as_bytes())?;
        let mut nodes = Vec::with_capacity(elements.len());
        for element in &elements {
            nodes.push(self.node(read(element, name)?, depth + 1)?);
        }
        Ok(nodes)
    }
}

fn read(json: &RawJson, name: &str) -> Result<Signature, CanvasError> {
    Signature::from_json(json).map_err(|source| CanvasError::Signature {
        name: name.to_owned(),
        source,
    })
}
