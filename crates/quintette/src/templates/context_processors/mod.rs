//! What every template can name without its view having given it: Django's `django.template.context_processors`, and those of
//! `auth` and `messages`.

mod auth;
mod constants;
mod csrf;
mod debug;
mod languages;
mod messages;
mod query_dict;
mod request;
mod session;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use minijinja::Value;

use super::context::{Given, Page};
use super::{TemplateError, TemplateErrorKind, TemplateRequest};

pub(super) use messages::{MessageObject, shown as messages_shown};

/// A context processor of an application's own: values for every template, found out for a request when a template names one of
/// them.
///
/// ```
/// use async_trait::async_trait;
/// use quintette::templates::minijinja::{Environment, Value, context};
/// use quintette::templates::{ContextProcessor, TemplateError, TemplateRequest, Templates};
/// use quintette::settings::Settings;
///
/// /// How many things are in the cart, for the head of every page.
/// struct CartCount;
///
/// #[async_trait]
/// impl ContextProcessor for CartCount {
///     fn names(&self) -> &[&str] {
///         &["cart_count"]
///     }
///
///     async fn values(&self, request: &TemplateRequest) -> Result<Value, TemplateError> {
///         let cart: Option<Vec<String>> = match request.session() {
///             Some(session) => session.get("cart").await?,
///             None => None,
///         };
///         Ok(context! { cart_count => cart.unwrap_or_default().len() })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut environment = Environment::new();
/// environment.add_template("head.html", "Cart ({{ cart_count }})")?;
/// let templates = Templates::new(environment, Settings::new("a secret")).with_processor(CartCount);
///
/// let request = TemplateRequest::from(&http::Request::new(()));
/// assert_eq!(templates.render(&request, "head.html", ()).await?, "Cart (0)");
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait ContextProcessor: Send + Sync + 'static {
    /// The names that templates have for the values. It is asked only where a template uses one of them.
    fn names(&self) -> &[&str];

    /// The values, as a map from the names: `context! { … }`. One that is missing is as if the processor had not named it.
    ///
    /// It is asked at most once for a page, whatever the page names, and is dropped unfinished where the request is.
    ///
    /// # Errors
    ///
    /// Where a value cannot be had: then there is no page.
    async fn values(&self, request: &TemplateRequest) -> Result<Value, TemplateError>;
}

/// A context processor, Django's or the application's.
#[derive(Clone)]
pub(super) enum Processor {
    Django(DjangoProcessor),
    Own(Arc<dyn ContextProcessor>),
}

impl Processor {
    pub(super) fn names(&self, name: &str) -> bool {
        let names = match self {
            Self::Django(processor) => processor.names(),
            Self::Own(processor) => processor.names(),
        };
        names.contains(&name)
    }

    pub(super) fn give(&self, page: &Arc<Page>) -> Given {
        match self {
            Self::Django(processor) => Given::Now(processor.values(page)),
            Self::Own(processor) => {
                let (processor, request) = (Arc::clone(processor), page.request.clone());
                Given::Later(page.later(async move { processor.values(&request).await }))
            }
        }
    }
}

impl fmt::Debug for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Django(processor) => f.write_str(processor.path()),
            Self::Own(processor) => write!(f, "{:?}", processor.names()),
        }
    }
}

/// The processors that come with Django.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DjangoProcessor {
    Debug,
    Request,
    Auth,
    Messages,
    Csrf,
    Static,
    Media,
    Tz,
    I18n,
}

impl DjangoProcessor {
    const ALL: [Self; 9] = [
        Self::Debug,
        Self::Request,
        Self::Auth,
        Self::Messages,
        Self::Csrf,
        Self::Static,
        Self::Media,
        Self::Tz,
        Self::I18n,
    ];

    /// Those of a new project of Django's, and `csrf`, which is always there.
    pub(super) const DEFAULT: [Self; 5] = [
        Self::Csrf,
        Self::Debug,
        Self::Request,
        Self::Auth,
        Self::Messages,
    ];

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Debug => "django.template.context_processors.debug",
            Self::Request => "django.template.context_processors.request",
            Self::Auth => "django.contrib.auth.context_processors.auth",
            Self::Messages => "django.contrib.messages.context_processors.messages",
            Self::Csrf => "django.template.context_processors.csrf",
            Self::Static => "django.template.context_processors.static",
            Self::Media => "django.template.context_processors.media",
            Self::Tz => "django.template.context_processors.tz",
            Self::I18n => "django.template.context_processors.i18n",
        }
    }

    pub(super) fn from_path(path: &str) -> Result<Self, TemplateError> {
        let found = Self::ALL.into_iter().find(|known| known.path() == path);
        found.ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|known| known.path()).collect();
            TemplateError::new(
                TemplateErrorKind::Misconfigured,
                format!(
                    "there is no context processor {path:?}. Django's are {}; the application's own go to \
                     `Templates::with_processor`",
                    known.join(", ")
                ),
            )
        })
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Debug => &["debug", "sql_queries"],
            Self::Request => &["request"],
            Self::Auth => &["user", "perms"],
            Self::Messages => &["messages", "DEFAULT_MESSAGE_LEVELS"],
            Self::Csrf => &["csrf_token", "csrf_input"],
            Self::Static => &["STATIC_URL", "static"],
            Self::Media => &["MEDIA_URL"],
            Self::Tz => &["TIME_ZONE"],
            Self::I18n => &["LANGUAGES", "LANGUAGE_CODE", "LANGUAGE_BIDI"],
        }
    }

    fn values(self, page: &Arc<Page>) -> Value {
        match self {
            Self::Debug => debug::values(page),
            Self::Request => request::values(page),
            Self::Auth => auth::values(page),
            Self::Messages => messages::values(page),
            Self::Csrf => csrf::values(page),
            Self::Static => constants::static_files(&page.settings),
            Self::Media => constants::media(&page.settings),
            Self::Tz => constants::tz(&page.settings),
            Self::I18n => constants::i18n(&page.settings),
        }
    }
}
