//! What every page of a site can name, in [`minijinja`]'s templates: Django's context processors (`django.template.context_processors`,
//! and those of `auth` and `messages`), and the application's own.
//!
//! ```
//! use quintette::settings::Settings;
//! use quintette::templates::minijinja::{Environment, context};
//! use quintette::templates::{TemplateRequest, Templates};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut environment = Environment::new(); // yours: filters, functions, syntax, a loader
//! environment.add_template(
//!     "orders.html",
//!     "{% for message in messages %}<p class=\"{{ message.tags }}\">{{ message }}</p>{% endfor %}\
//!      {% if user.is_authenticated %}{{ user.get_full_name }}{% else %}<a href=\"/login\">Log in</a>{% endif %}\
//!      {% if perms.shop.change_order %}<form method=\"post\">{{ csrf_input }}<button>Pay</button></form>{% endif %}\
//!      {% for order in orders %}<li>{{ order }}</li>{% endfor %}",
//! )?;
//! let templates = Templates::new(environment, Settings::new("a secret"));
//!
//! let request = TemplateRequest::from(&http::Request::get("/orders").body(())?);
//! let page = templates.render(&request, "orders.html", context! { orders => ["a kettle"] }).await?;
//! assert_eq!(page, "<a href=\"/login\">Log in</a><li>a kettle</li>");
//! # Ok(())
//! # }
//! ```
//!
//! In a handler of axum, `TemplatePage` is both at once: the templates from the router's state, and the request.
//!
//! | processor | names | |
//! | --- | --- | --- |
//! | `debug` | `debug`, `sql_queries` | true, and the statements that ran (behind a `QueryLogLayer` of `db`), with `DEBUG` for visitors from `INTERNAL_IPS`; else false, and none |
//! | `request` | `request` | `path`, `method`, `scheme`, `GET`, `COOKIES`, `META`, `headers`, `session`, `user`, `get_full_path`, `get_host`, `build_absolute_uri`, `is_secure` … |
//! | `auth` | `user`, `perms` | who has logged in, or Django's `AnonymousUser`; `perms.app.codename`, `perms.app`, `"app.codename" in perms` |
//! | `messages` | `messages`, `DEFAULT_MESSAGE_LEVELS` | what was left for this visitor to read |
//! | `csrf` | `csrf_token`, `csrf_input` | the token, and the hidden field of a form that holds it |
//! | `static` | `STATIC_URL`, `static` | the setting, and `{{ static("css/site.css") }}` for Django's `{% static "css/site.css" %}` |
//! | `media` | `MEDIA_URL` | the setting |
//! | `tz` | `TIME_ZONE` | the setting |
//! | `i18n` | `LANGUAGES`, `LANGUAGE_CODE`, `LANGUAGE_BIDI` | Django's list, the setting, whether it is written from right to left |
//!
//! The first five are there by default; [`Templates::with_context_processors`] chooses others by their names in Django, and
//! [`Templates::with_processor`] adds the application's own ([`ContextProcessor`]), which may be async. What the view itself gives
//! counts over all of them.
//!
//! # What it costs
//!
//! What a page does not use is not looked up. A page that comes to none of these names asks no store, sets no cookie and adds no `Vary`;
//! `{% if user.is_authenticated %}{{ csrf_input }}{% endif %}` sets the cookie of those who have logged in, and messages are read by the page
//! that loops over them or asks whether there are any. As in Django, all of it is decided while the page is rendered, in whatever it
//! includes, extends or imports. Only a macro takes what it names from around it where it is defined, called or not: `csrf_token`,
//! `csrf_input`, and the values of the application's own processors.
//!
//! # Where templates differ from Django's
//!
//! - Text is escaped where the template's name ends in `.html`, `.htm` or `.xml`: `&`, `<`, `>`, `"` and `'` as by Django, and `/` as
//!   `&#x2f;`, which browsers read as the same text.
//! - `{{ message }}` is escaped also where the message is marked as safe, unless the environment has this module's [`formatter`].
//! - minijinja has a function `debug()`. The context processor's variable hides it.
//! - Methods may be called with parentheses or, as in Django, without: `request.get_full_path`, `request.get_full_path()`.

mod context;
mod context_processors;
mod engine;
mod error;
#[cfg(feature = "axum")]
mod extract;
mod formatter;
mod later;
mod request;

/// The crate whose templates these are, for what an application needs of it.
pub use minijinja;

pub use context_processors::ContextProcessor;
pub use engine::Templates;
pub use error::{TemplateError, TemplateErrorKind};
#[cfg(feature = "axum")]
pub use extract::TemplatePage;
pub use formatter::formatter;
pub use request::TemplateRequest;
