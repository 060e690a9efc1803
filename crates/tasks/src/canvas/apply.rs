//! From a canvas to the messages that are sent first. Celery's `apply_async` of each kind of signature.

use indexmap::IndexMap;
use quintette_core::json::RawJson;
use uuid::Uuid;

use super::freeze::{
    Place, freeze, freeze_group, freeze_steps, id_of, members, strip_links, take_header,
};
use super::link::{link_error_node, link_node};
use super::node::{CanvasError, Chord, MAX_BYTES, Node, Steps};
use super::steps::flat;
use crate::app::App;
use crate::arguments::list;
use crate::outcome::ResultTree;
use crate::send::{Plan, SendError};
use crate::signature::{Options, Signature};

/// Arguments that a canvas is given when it is sent, before its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    pub args: Vec<RawJson>,
    pub kwargs: IndexMap<String, RawJson>,
}

impl Given {
    pub(crate) fn one(argument: &RawJson) -> Self {
        Self {
            args: vec![argument.clone()],
            kwargs: IndexMap::new(),
        }
    }

    fn give(&self, signature: &mut Signature) {
        if !signature.immutable {
            signature.args.splice(0..0, self.args.iter().cloned());
            let kwargs = self.kwargs.iter();
            let kwargs = kwargs.map(|(name, value)| (name.clone(), value.clone()));
            signature.kwargs.extend(kwargs);
        }
    }
}

/// Plans what is sent; nothing waits here.
pub(crate) struct Planner<'a> {
    app: &'a App,
    plan: Plan,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(app: &'a App) -> Self {
        Self {
            app,
            plan: Plan::default(),
        }
    }

    pub(crate) fn finish(self) -> Plan {
        self.plan
    }

    /// Adds a canvas, with options over its own.
    pub(crate) fn apply(
        &mut self,
        node: Node,
        given: &Given,
        options: &Options,
    ) -> Result<ResultTree, SendError> {
        match node {
            Node::Task(signature) => self.task(signature, given, options),
            Node::Chain(chain) => self.chain(chain, given, options),
            Node::Group(group) => self.group(group, given, options),
            Node::Chord(chord) => self.chord(*chord, given, options),
        }
    }

    fn task(
        &mut self,
        mut signature: Signature,
        given: &Given,
        options: &Options,
    ) -> Result<ResultTree, SendError> {
        signature.options.merge(options);
        given.give(&mut signature);
        // Before an id is given: one that is no text would be replaced in silence.
        crate::send::checked_id(&signature.options)?;
        let id = id_of(&mut signature.options, None);
        self.plan.call(self.app, &signature, &id)?;
        if self.plan.bytes > MAX_BYTES {
            return Err(CanvasError::TooHeavy.into());
        }
        Ok(ResultTree::task(id))
    }

    fn chain(
        &mut self,
        chain: Steps,
        given: &Given,
        options: &Options,
    ) -> Result<ResultTree, SendError> {
        let mut own = chain.signature.options;
        own.update(options);
        let text = |name: &str| own.text(name);
        let (id, group, root) = (text("task_id"), text("group_id"), text("root_id"));
        let index = own.read::<usize>("group_index").ok().flatten();
        let mut tasks = flat(chain.tasks, true);
        if let Some(first) = tasks.first_mut() {
            let mut args = chain.signature.args;
            if !chain.signature.immutable {
                args.splice(0..0, given.args.iter().cloned());
            }
            let kwargs = given.kwargs.clone();
            give(&Given { args, kwargs }, first);
        }
        let place = Place {
            id: id.as_deref(),
            group: group.as_deref(),
            chord: own.get("chord"),
            root: root.as_deref(),
            index,
            parent: None,
        };
        let result = freeze_steps(&mut tasks, self.app.oid(), place)?;
        for errback in own.list("link_error") {
            for task in &mut tasks {
                link_error_node(task, &errback);
            }
        }
        tasks.iter_mut().for_each(strip_links);
        if let Some(last) = tasks.last_mut() {
            let links = own.list("link");
            for link in links {
                link_node(last, link);
            }
        }
        let first = tasks.remove(0);
        let mut rest = own.list("chain");
        for task in tasks.iter().rev() {
            rest.push(task.to_json()?);
        }
        let mut options = own.without(&[
            "chain",
            "chord",
            "group_id",
            "group_index",
            "link",
            "link_error",
            "root_id",
            "task_id",
        ]);
        if !rest.is_empty() {
            options.set_json("chain", list(&rest));
        }
        let sent = self.apply(first, &Given::default(), &options)?;
        Ok(if tasks.is_empty() { sent } else { result })
    }

    pub(crate) fn group(
        &mut self,
        mut group: Steps,
        given: &Given,
        options: &Options,
    ) -> Result<ResultTree, SendError> {
        if options.get("link").is_some() || options.get("link_error").is_some() {
            return Err(
                CanvasError::Unfit("a group has no callbacks of its own: make it a chord").into(),
            );
        }
        let mut own = group.signature.options.clone();
        own.merge(options);
        let id = id_of(&mut own, None);
        let chord = own.remove("chord").filter(|chord| chord.as_str() != "null");
        let mut call = own.without(&["task_id", "group_index", "add_to_parent"]);
        call.set("group_id", &id);
        group.tasks = members(group.tasks);
        let root = call.text("root_id");
        let mut children = Vec::with_capacity(group.tasks.len());
        let mut size = 0;
        let mut counted = false;
        for (index, mut task) in group.tasks.into_iter().enumerate() {
            let place = Place {
                group: Some(&id),
                root: root.as_deref(),
                index: Some(index),
                ..Place::default()
            };
            children.push(freeze(&mut task, self.app.oid(), place)?);
            size += parts(&task);
            let mut call = call.clone();
            let body = chord
                .as_ref()
                .or_else(|| task.signature().options.get("chord"));
            if let Some(body) = body.cloned() {
                call.set_json("chord", body);
                counted = true;
            }
            self.apply(task, given, &call)?;
        }
        if counted {
            self.plan.sizes.push((id.clone(), size));
        }
        match children.as_slice() {
            [only] if only.children.is_some() => Ok(children.remove(0)),
            _ => Ok(ResultTree::group(id, children)),
        }
    }

    fn chord(
        &mut self,
        mut chord: Chord,
        given: &Given,
        options: &Options,
    ) -> Result<ResultTree, SendError> {
        let mut own = chord.signature.options.clone();
        own.update(options);
        let body = chord
            .body
            .take()
            .ok_or(CanvasError::Empty("a chord's body"))?;
        let mut header = take_header(&mut chord);
        let group = header.signature.options.text("task_id");
        let group = group.or_else(|| chord.signature.options.text("task_id"));
        let group = group.unwrap_or_else(|| Uuid::new_v4().to_string());
        let (body, body_result) = self.body(body, &own, options.text("task_id"), &group)?;
        let body_json = body.to_json()?;
        // Each part carries it: what is too much is refused before any is written.
        let carried = body_json.as_str().len().saturating_mul(header.tasks.len());
        if carried > MAX_BYTES {
            return Err(CanvasError::TooHeavy.into());
        }
        let root = body.signature().options.text("root_id");
        header.signature.options.set("task_id", &group);
        let place = Place {
            group: Some(&group),
            chord: Some(&body_json),
            root: root.as_deref(),
            ..Place::default()
        };
        let header_result = freeze_group(&mut header, self.app.oid(), place)?;
        if header.tasks.is_empty() {
            let none = RawJson::parse("[]").expect("an empty list is JSON");
            self.apply(body, &Given::one(&none), &Options::default())?;
        } else {
            self.counted(&header_result, &body, &body_json)?;
            let given = header_arguments(&chord.signature, given);
            let mut call = own.without(&["chain", "chord", "link", "link_error", "task_id"]);
            call.set("task_id", &group);
            self.group(header, &given, &call)?;
        }
        Ok(body_result.with_parent(header_result))
    }

    /// A chord's body, with the chord's options and its id.
    fn body(
        &mut self,
        mut body: Node,
        own: &Options,
        id: Option<String>,
        group: &str,
    ) -> Result<(Node, ResultTree), SendError> {
        let links = own.list("link");
        for link in links {
            link_node(&mut body, link);
        }
        for errback in own.list("link_error") {
            link_body_error(&mut body, &errback);
        }
        let passed = own.without(&[
            "add_to_parent",
            "countdown",
            "eta",
            "link",
            "link_error",
            "parent_id",
            "task_id",
        ]);
        body.signature_mut().options.update(&passed);
        if let Node::Chain(chain) = &mut body {
            chain.tasks = flat(std::mem::take(&mut chain.tasks), true);
        }
        let root = body.signature().options.text("root_id");
        let id = id.or_else(|| own.text("task_id"));
        let place = Place {
            id: id.as_deref(),
            group: Some(group),
            root: root.as_deref(),
            ..Place::default()
        };
        let result = freeze(&mut body, self.app.oid(), place)?;
        strip_links(&mut body);
        Ok((body, result))
    }

    /// What finds out that all parts are done: the store, or a task that looks again and again.
    fn counted(
        &mut self,
        header: &ResultTree,
        body: &Node,
        body_json: &RawJson,
    ) -> Result<(), SendError> {
        let results = self.app.results().filter(|results| results.allows_chords());
        let results = results.ok_or(CanvasError::Unfit(
            "a chord needs a store of results that keeps them for all: set CELERY_RESULT_BACKEND to redis:// or a database",
        ))?;
        let children = header.children.as_deref().unwrap_or_default();
        if let Some(counter) = results.chords() {
            let nested = || children.iter().any(|child| child.children.is_some());
            if counter.needs_group() || nested() {
                let saved = RawJson::from_value(&header.to_value())?;
                self.plan.groups.push((header.id.clone(), saved));
            }
            return Ok(());
        }
        let results: Vec<_> = children.iter().map(ResultTree::to_value).collect();
        let interval = self
            .app
            .settings()
            .result_chord_retry_interval
            .as_secs_f64();
        let mut unlock = Signature::new("celery.chord_unlock")
            .kwarg("result", results)?
            .kwarg("interval", None::<f64>)?
            .kwarg("max_retries", None::<u32>)?
            .kwarg("_chord_unlock_exchange_type", "direct")?
            .option("countdown", interval)
            .option("ignore_result", true);
        unlock.args = vec![RawJson::from(header.id.as_str()), body_json.clone()];
        let options = &body.signature().options;
        let stamps = options.stamp_names();
        for name in [
            "queue",
            "priority",
            "exchange",
            "exchange_type",
            "routing_key",
            "headers",
        ] {
            if let Some(value) = options
                .get(name)
                .filter(|_| !stamps.iter().any(|stamp| stamp == name))
            {
                unlock.options.set_json(name, value.clone());
            }
        }
        if unlock.options.get("queue").is_none() {
            unlock = unlock.queue(first_queue(self.app, body));
        }
        self.task(unlock, &Given::default(), &Options::default())?;
        Ok(())
    }
}

/// Where the body goes first. Celery looks at the body alone: that of a chain, it would put into the default queue, which perhaps nobody
/// takes from.
fn first_queue(app: &App, body: &Node) -> String {
    let own = body.signature().options.text("queue");
    own.unwrap_or_else(|| match body {
        Node::Chain(Steps { tasks, .. }) | Node::Group(Steps { tasks, .. })
            if !tasks.is_empty() =>
        {
            first_queue(app, &tasks[0])
        }
        Node::Chord(chord) if !chord.header.is_empty() => first_queue(app, &chord.header[0]),
        _ => crate::send::queue_of(app, &body.signature().task),
    })
}

/// What a chord is given goes to its header.
fn header_arguments(chord: &Signature, given: &Given) -> Given {
    let mut args = chord.args.clone();
    if !chord.immutable {
        args.splice(0..0, given.args.iter().cloned());
    }
    let own = chord.kwargs.get("kwargs");
    let mut kwargs: IndexMap<String, RawJson> = own
        .and_then(|kwargs| kwargs.deserialize().ok())
        .unwrap_or_default();
    kwargs.extend(given.kwargs.clone());
    Given { args, kwargs }
}

fn give(given: &Given, first: &mut Node) {
    match first {
        Node::Group(group) => group.tasks.iter_mut().for_each(|task| give(given, task)),
        Node::Chord(chord) => {
            if !chord.signature.immutable {
                chord
                    .signature
                    .args
                    .splice(0..0, given.args.iter().cloned());
            }
        }
        Node::Task(signature) => given.give(signature),
        Node::Chain(_) => {}
    }
}

/// An errback of a chord goes to its body, and never to its header.
fn link_body_error(body: &mut Node, errback: &RawJson) {
    match body {
        Node::Group(group) => {
            let options = &mut group.signature.options;
            if options.get("link_error").is_some() {
                options.append("link_error", errback.clone());
            } else {
                let tasks = group.tasks.iter_mut();
                tasks.for_each(|task| link_body_error(task, errback));
            }
        }
        other => {
            let options = &mut other.signature_mut().options;
            options.append("link_error", errback.clone());
        }
    }
}

/// How many results a canvas adds to the chord that it is part of.
fn parts(node: &Node) -> u64 {
    match node {
        Node::Task(_) => 1,
        Node::Group(group) => group.tasks.iter().map(parts).sum(),
        Node::Chain(chain) => {
            let counts = chain.tasks.iter().rev().map(parts);
            counts.into_iter().find(|count| *count > 0).unwrap_or(0)
        }
        Node::Chord(chord) => chord.body.as_ref().map_or(0, parts),
    }
}
