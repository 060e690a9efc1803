//! What a template can name: the view's own values, and those of the context processors.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use minijinja::value::{Enumerator, Object, Value};
use quintette_core::settings::Settings;

use super::context_processors::Processor;
use super::later::{Interruption, Later, Rendering};
use super::{TemplateError, TemplateRequest};

/// A page on its way, for context processors.
pub(super) struct Page {
    pub(super) request: TemplateRequest,
    pub(super) settings: Arc<Settings>,
    pub(super) rendering: Arc<Rendering>,
    shows_messages: AtomicBool,
}

impl Page {
    pub(super) fn new(request: TemplateRequest, settings: Arc<Settings>) -> Self {
        Self {
            request,
            settings,
            rendering: Arc::default(),
            shows_messages: AtomicBool::new(false),
        }
    }

    /// Notes that the page goes through the visitor's messages.
    pub(super) fn shows_messages(&self) {
        self.shows_messages.store(true, Ordering::Relaxed);
    }

    /// Whether it did, since it was asked last.
    pub(super) fn has_shown_messages(&self) -> bool {
        self.shows_messages.swap(false, Ordering::Relaxed)
    }

    /// A value that is there at once, or ends the page.
    pub(super) fn now<T: Into<Value>>(&self, value: Result<T, impl Into<TemplateError>>) -> Value {
        match value {
            Ok(value) => value.into(),
            Err(error) => {
                let failed = Interruption::Failed(error.into());
                Value::from(self.rendering.interrupt(failed))
            }
        }
    }

    /// A value that is found out when a template asks for it.
    pub(super) fn later<T: Clone + Send + 'static>(
        &self,
        find: impl Future<Output = Result<T, TemplateError>> + Send + 'static,
    ) -> Arc<Later<T>> {
        Later::new(&self.rendering, find)
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Page({:?})", self.request)
    }
}

/// The context that a template is rendered with. The view's own values count over those of the processors, and a later
/// processor over an earlier one, as in Django.
#[derive(Debug)]
pub(super) struct PageContext {
    own: Value,
    page: Arc<Page>,
    processors: Arc<[Processor]>,
    /// What each processor gave for its names, so that a page asks each of them once.
    given: Box<[OnceLock<Given>]>,
}

/// What a processor gives.
#[derive(Debug)]
pub(super) enum Given {
    /// An object that knows itself what to look up when.
    Now(Value),
    /// A map, once somebody asks for one of its names.
    Later(Arc<Later<Value>>),
}

impl PageContext {
    pub(super) fn new(own: Value, page: Arc<Page>, processors: Arc<[Processor]>) -> Self {
        let given = processors.iter().map(|_| OnceLock::new()).collect();
        Self {
            own,
            page,
            processors,
            given,
        }
    }

    fn processed(&self, name: &str) -> Option<Value> {
        let mut processors = self.processors.iter().zip(&self.given).rev();
        processors.find_map(|(processor, given)| {
            if !processor.names(name) {
                return None;
            }
            let values = match given.get_or_init(|| processor.give(&self.page)) {
                Given::Now(values) => values.clone(),
                Given::Later(values) => match values.value() {
                    Ok(values) => values,
                    Err(error) => return Some(Value::from(error)),
                },
            };
            values
                .get_attr(name)
                .ok()
                .filter(|value| !value.is_undefined())
        })
    }
}

impl Object for PageContext {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        let own = self.own.get_attr(name).ok();
        own.filter(|value| !value.is_undefined())
            .or_else(|| self.processed(name))
    }

    /// The view's own: to list the others would be to ask for them.
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.own.try_iter() {
            Ok(keys) => Enumerator::Iter(Box::new(keys)),
            Err(_) => Enumerator::Empty,
        }
    }
}
