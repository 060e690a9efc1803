//! `request`, with the attributes and methods of Django's `HttpRequest` that make sense in a template.

use std::fmt;
use std::sync::{Arc, OnceLock};

use http::header::COOKIE;
use minijinja::value::{Enumerator, Object, Value, from_args};
use minijinja::{Error, ErrorKind, State, context};

use super::super::context::Page;
use super::query_dict::QueryDict;
use super::{auth, session};

pub(super) fn values(page: &Arc<Page>) -> Value {
    let request = RequestObject {
        page: Arc::clone(page),
        get: OnceLock::new(),
        user: OnceLock::new(),
        session: OnceLock::new(),
    };
    context! { request => Value::from_object(request) }
}

const NAMES: [&str; 16] = [
    "path",
    "path_info",
    "method",
    "scheme",
    "GET",
    "COOKIES",
    "META",
    "headers",
    "content_type",
    "session",
    "user",
    "get_full_path",
    "get_host",
    "get_port",
    "build_absolute_uri",
    "is_secure",
];

#[derive(Debug)]
struct RequestObject {
    page: Arc<Page>,
    get: OnceLock<Value>,
    user: OnceLock<Value>,
    session: OnceLock<Value>,
}

impl RequestObject {
    fn attribute(&self, name: &str) -> Option<Value> {
        let (head, settings) = (self.page.request.head(), &self.page.settings);
        Some(match name {
            "path" | "path_info" => Value::from(head.path()),
            "method" => Value::from(head.method().as_str()),
            "scheme" => Value::from(if head.is_secure(settings) {
                "https"
            } else {
                "http"
            }),
            "GET" => {
                let parse = || Value::from_object(QueryDict::parse(head.query()));
                self.get.get_or_init(parse).clone()
            }
            "COOKIES" => self.cookies(),
            "META" => self.part(Part::Meta),
            "headers" => self.part(Part::Headers),
            "content_type" => {
                let value = head.header("content-type").unwrap_or_default();
                Value::from(value.split(';').next().unwrap_or_default().trim())
            }
            "session" => {
                let load = || session::object(&self.page);
                self.session.get_or_init(load).clone()
            }
            "user" => self.user.get_or_init(|| auth::user(&self.page)).clone(),
            "get_full_path" => Value::from(head.full_path()),
            "get_host" => self
                .page
                .now(head.host(settings).map(|host| Value::from(&*host))),
            "get_port" => Value::from(head.port(settings)),
            "build_absolute_uri" => self.page.now(head.absolute_uri(settings)),
            "is_secure" => Value::from(head.is_secure(settings)),
            _ => return None,
        })
    }

    fn cookies(&self) -> Value {
        let headers = self.page.request.head().headers().get_all(COOKIE);
        let headers = headers.iter().filter_map(|value| value.to_str().ok());
        let cookies = headers.flat_map(|header| header.split(';'));
        let pairs = cookies.filter_map(|cookie| cookie.split_once('='));
        Value::from_pairs(pairs.map(|(name, value)| (name.trim(), value.trim())))
    }

    fn part(&self, part: Part) -> Value {
        Value::from_object(PartObject {
            page: Arc::clone(&self.page),
            part,
        })
    }
}

impl Object for RequestObject {
    fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
        self.attribute(name.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        self.attribute(name)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&NAMES)
    }

    /// Django's templates call without parentheses, minijinja's may write them.
    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let is_method =
            method.starts_with("get_") || matches!(method, "build_absolute_uri" | "is_secure");
        let value = is_method.then(|| self.attribute(method)).flatten();
        let value = value.ok_or_else(|| Error::from(ErrorKind::UnknownMethod))?;
        from_args(args).map(|()| value)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = self.page.request.head();
        write!(f, "<{} '{}'>", head.method(), head.full_path())
    }
}

#[derive(Clone, Copy, Debug)]
enum Part {
    /// By the names of CGI: `HTTP_REFERER`.
    Meta,
    /// By the names of HTTP, whatever their case: `headers["Referer"]`.
    Headers,
}

#[derive(Debug)]
struct PartObject {
    page: Arc<Page>,
    part: Part,
}

impl PartObject {
    fn find(&self, name: &str) -> Option<String> {
        let head = self.page.request.head();
        let header = |name: &str| Some(head.header(name)?.to_owned());
        if matches!(self.part, Part::Headers) {
            // A template cannot write a hyphen after a point, so that Django takes an underscore for one, too.
            return header(name).or_else(|| header(&name.replace('_', "-")));
        }
        match name {
            "REQUEST_METHOD" => Some(head.method().to_string()),
            "PATH_INFO" => Some(head.path()),
            "QUERY_STRING" => Some(head.query().to_owned()),
            "REMOTE_ADDR" => {
                let address = head.client_address(&self.page.settings);
                address.map(|address| address.to_string())
            }
            "CONTENT_TYPE" | "CONTENT_LENGTH" => header(&name.replace('_', "-")),
            _ => header(&name.strip_prefix("HTTP_")?.replace('_', "-")),
        }
    }
}

impl Object for PartObject {
    fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
        self.find(name.as_str()?).map(Value::from)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}
