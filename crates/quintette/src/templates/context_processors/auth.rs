//! `user` and `perms`.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, Value, from_args};
use minijinja::{Error, ErrorKind, State, context};

use super::super::context::Page;
use super::super::later::Later;

pub(super) fn values(page: &Arc<Page>) -> Value {
    context! { user => user(page), perms => permissions(page) }
}

/// Nobody is looked up until a template asks for more than the name `user`.
pub(super) fn user(page: &Page) -> Value {
    let request = page.request.clone();
    Value::from_object(UserObject {
        user: page.later(async move { who::user(&request).await }),
    })
}

fn permissions(page: &Page) -> Value {
    let request = page.request.clone();
    Value::from_object(PermWrapper {
        granted: page.later(async move { who::granted(&request).await }),
    })
}

/// The attributes of a user; `None` for a stranger.
type Attributes = Option<Value>;

/// The request's user, or Django's `AnonymousUser`. It prints as the user's name.
#[derive(Debug)]
struct UserObject {
    user: Arc<Later<Attributes>>,
}

impl UserObject {
    fn attribute(&self, name: &str) -> Option<Value> {
        let attributes = match self.user.value() {
            Ok(Some(attributes)) => attributes,
            Ok(None) => anonymous(),
            Err(error) => return Some(Value::from(error)),
        };
        let value = attributes.get_attr(name).ok();
        value.filter(|value| !value.is_undefined())
    }
}

fn anonymous() -> Value {
    context! {
        id => (),
        pk => (),
        username => "",
        get_username => "",
        is_authenticated => false,
        is_anonymous => true,
        is_active => false,
        is_staff => false,
        is_superuser => false,
    }
}

impl Object for UserObject {
    fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
        self.attribute(name.as_str()?)
    }

    /// A user is one thing, and true also where it is a stranger.
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }

    /// Django's templates call without parentheses, minijinja's may write them.
    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let value = method.starts_with("get_").then(|| self.attribute(method));
        let value = value
            .flatten()
            .ok_or_else(|| Error::from(ErrorKind::UnknownMethod))?;
        from_args(args).map(|()| value)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.user.value() {
            Ok(None) => f.write_str("AnonymousUser"),
            Ok(Some(_)) => {
                let name = self.attribute("username").unwrap_or_default();
                fmt::Display::fmt(&name, f)
            }
            // The page is thrown away.
            Err(_) => Ok(()),
        }
    }
}

#[cfg(feature = "auth")]
mod who {
    use chrono::{DateTime, Utc};
    use minijinja::{Value, context};

    use super::{Attributes, Granted};
    use crate::auth::{Auth, User};
    use crate::templates::{TemplateError, TemplateRequest};

    pub(super) async fn user(request: &TemplateRequest) -> Result<Attributes, TemplateError> {
        Ok(current(request).await?.as_ref().map(attributes))
    }

    pub(super) async fn granted(request: &TemplateRequest) -> Result<Granted, TemplateError> {
        let Some(user) = current(request).await?.filter(User::is_active) else {
            return Ok(Granted::default());
        };
        // To a superuser everything is permitted, also what nobody has heard of.
        if user.is_superuser() {
            return Ok(Granted {
                everything: true,
                ..Granted::default()
            });
        }
        Ok(Granted {
            everything: false,
            permissions: user.permissions().await?,
        })
    }

    /// As in Django: without the layer, nobody has logged in.
    async fn current(request: &TemplateRequest) -> Result<Option<User>, TemplateError> {
        match request.extensions().get::<Auth>() {
            Some(auth) => Ok(auth.user().await?),
            None => Ok(None),
        }
    }

    fn attributes(user: &User) -> Value {
        // Django's keys are mostly numbers, and are compared with numbers.
        let id = user.id();
        let id = id
            .parse::<i64>()
            .map_or_else(|_| Value::from(id), Value::from);
        context! {
            id => id.clone(),
            pk => id,
            username => user.username(),
            get_username => user.username(),
            first_name => user.first_name(),
            last_name => user.last_name(),
            get_full_name => user.full_name(),
            get_short_name => user.first_name(),
            email => user.email(),
            is_authenticated => true,
            is_anonymous => false,
            is_active => user.is_active(),
            is_staff => user.is_staff(),
            is_superuser => user.is_superuser(),
            last_login => time(user.last_login()),
            date_joined => time(user.record().date_joined()),
        }
    }

    /// As text of RFC 3339, which the filters of `minijinja-contrib` take for a time.
    fn time(time: Option<DateTime<Utc>>) -> Option<String> {
        Some(time?.to_rfc3339())
    }
}

/// Where the crate is built without users, nobody has logged in.
#[cfg(not(feature = "auth"))]
mod who {
    use super::{Attributes, Granted};
    use crate::templates::{TemplateError, TemplateRequest};

    #[expect(clippy::unused_async, reason = "as with the feature")]
    pub(super) async fn user(_: &TemplateRequest) -> Result<Attributes, TemplateError> {
        Ok(None)
    }

    #[expect(clippy::unused_async, reason = "as with the feature")]
    pub(super) async fn granted(_: &TemplateRequest) -> Result<Granted, TemplateError> {
        Ok(Granted::default())
    }
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
        self.granted
            .value()
            .is_ok_and(|granted| granted.module(&self.app_label))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PermLookupDict({})", self.app_label)
    }
}
