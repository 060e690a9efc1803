//! `user` and `perms`.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use minijinja::value::{Enumerator, Object, Value};
use minijinja::{Error, ErrorKind, State, context};

use super::super::context::Page;
use super::super::later::Later;
use super::super::handles::{Auth, User};

pub(super) fn values(page: &Arc<Page>) -> Value {
    context! { user => user(page), perms => permissions(page) }
}

/// Nobody is looked up until a template asks for more than the name `user`.
pub(super) fn user(page: &Page) -> Value {
    let auth = page.request.extensions().get::<Auth>().cloned();
    Value::from_object(UserObject {
        user: page.later(async move {
            match auth {
                Some(auth) => Ok(auth.user().await?),
                // As in Django: without the middleware, nobody has logged in.
                None => Ok(None),
            }
        }),
    })
}

const NAMES: [&str; 16] = [
    "id",
    "pk",
    "username",
    "get_username",
    "first_name",
    "last_name",
    "get_full_name",
    "get_short_name",
    "email",
    "is_authenticated",
    "is_anonymous",
    "is_active",
    "is_staff",
    "is_superuser",
    "last_login",
    "date_joined",
];

/// The request's user, or Django's `AnonymousUser`. It prints as the user's name.
#[derive(Debug)]
struct UserObject {
    user: Arc<Later<Option<User>>>,
}

impl UserObject {
    fn attribute(&self, name: &str) -> Option<Value> {
        if !NAMES.contains(&name) {
            return None;
        }
        Some(match self.user.value() {
            Err(error) => Value::from(error),
            Ok(Some(user)) => of_user(&user, name)?,
            Ok(None) => of_anonymous(name)?,
        })
    }
}

fn of_user(user: &User, name: &str) -> Option<Value> {
    Some(match name {
        // Django's keys are mostly numbers, and are compared with numbers.
        "id" | "pk" => {
            let id = user.id();
            id.parse::<i64>().map_or_else(|_| Value::from(id), Value::from)
        }
        "username" | "get_username" => Value::from(user.username()),
        "first_name" | "get_short_name" => Value::from(user.first_name()),
        "last_name" => Value::from(user.last_name()),
        "get_full_name" => Value::from(user.full_name()),
        "email" => Value::from(user.email()),
        "is_authenticated" => Value::from(true),
        "is_anonymous" => Value::from(false),
        "is_active" => Value::from(user.is_active()),
        "is_staff" => Value::from(user.is_staff()),
        "is_superuser" => Value::from(user.is_superuser()),
        "last_login" => time(user.last_login()),
        "date_joined" => time(user.date_joined()),
        _ => return None,
    })
}

/// As text of RFC 3339, which the filters of `minijinja-contrib` take for a time.
fn time(time: Option<DateTime<Utc>>) -> Value {
    time.map_or(Value::from(()), |time| Value::from(time.to_rfc3339()))
}

fn of_anonymous(name: &str) -> Option<Value> {
    Some(match name {
        "id" | "pk" => Value::from(()),
        "username" | "get_username" => Value::from(""),
        "is_anonymous" => Value::from(true),
        "is_authenticated" | "is_active" | "is_staff" | "is_superuser" => Value::from(false),
        _ => return None,
    })
}

impl Object for UserObject {
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
        let value = method.starts_with("get_").then(|| self.attribute(method));
        let value = value.flatten().ok_or_else(|| Error::from(ErrorKind::UnknownMethod))?;
        minijinja::value::from_args(args).map(|()| value)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.user.value() {
            Ok(Some(user)) => f.write_str(user.username()),
            Ok(None) => f.write_str("AnonymousUser"),
            // The page is thrown away.
            Err(_) => Ok(()),
        }
    }
}

fn permissions(page: &Page) -> Value {
    let auth = page.request.extensions().get::<Auth>().cloned();
    let granted = page.later(async move {
        let Some(auth) = auth else {
            return Ok(Granted::default());
        };
        let user = auth.user().await?;
        // To a superuser everything is permitted, also what nobody has heard of.
        if user.is_some_and(|user| user.is_active() && user.is_superuser()) {
            return Ok(Granted { everything: true, ..Granted::default() });
        }
        Ok(Granted { everything: false, permissions: auth.permissions().await? })
    });
    Value::from_object(PermWrapper { granted })
}

#[derive(Clone, Debug, Default)]
struct Granted {
    everything: bool,
    permissions: Arc<BTreeSet<String>>,
}

impl Granted {
    fn permission(&self, permission: &str) -> bool {
        self.everything || self.permissions.contains(permission)
    }

    fn module(&self, app_label: &str) -> bool {
        let prefix = format!("{app_label}.");
        let mut after = self.permissions.range(prefix.clone()..);
        self.everything || after.next().is_some_and(|next| next.starts_with(&prefix))
    }
}

/// `perms`: what the user may do. `perms.app.codename`, `perms.app`, `"app.codename" in perms`, `"app" in perms`.
#[derive(Debug)]
struct PermWrapper {
    granted: Arc<Later<Granted>>,
}

impl Object for PermWrapper {
    /// What `in` asks, and `perms["app"]`.
    fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
        let name = name.as_str()?;
        let granted = match self.granted.value() {
            Ok(granted) => granted,
            Err(error) => return Some(Value::from(error)),
        };
        match name.split_once('.') {
            Some(_) => granted.permission(name).then(|| Value::from(true)),
            None => granted.module(name).then(|| self.module(name)),
        }
    }

    /// What `perms.app` asks: it is there for every application, so that `perms.app.codename` is false and no error.
    fn get_value_by_str(self: &Arc<Self>, app_label: &str) -> Option<Value> {
        Some(self.module(app_label))
    }

    /// As in Django, nobody can list what is permitted.
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PermWrapper")
    }
}

impl PermWrapper {
    fn module(&self, app_label: &str) -> Value {
        Value::from_object(PermLookupDict {
            granted: Arc::clone(&self.granted),
            app_label: app_label.to_owned(),
        })
    }
}

/// `perms.app`: true where the user may do anything there.
#[derive(Debug)]
struct PermLookupDict {
    granted: Arc<Later<Granted>>,
    app_label: String,
}

impl PermLookupDict {
    fn permission(&self, codename: &str) -> Value {
        let permission = format!("{}.{codename}", self.app_label);
        match self.granted.value() {
            Ok(granted) => Value::from(granted.permission(&permission)),
            Err(error) => Value::from(error),
        }
    }
}

impl Object for PermLookupDict {
    /// What `in` asks: to be there is to be permitted. Django refuses the question.
    fn get_value(self: &Arc<Self>, codename: &Value) -> Option<Value> {
        let permission = self.permission(codename.as_str()?);
        let is_refused = permission == Value::from(false);
        (!is_refused).then_some(permission)
    }

    fn get_value_by_str(self: &Arc<Self>, codename: &str) -> Option<Value> {
        Some(self.permission(codename))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }

    fn is_true(self: &Arc<Self>) -> bool {
        self.granted.value().is_ok_and(|granted| granted.module(&self.app_label))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PermLookupDict({})", self.app_label)
    }
}
