//! `csrf_token` and `csrf_input`. For a page to come to one of them is to set the cookie.

use std::sync::Arc;

use minijinja::value::{Object, Value};

use super::super::context::Page;
use super::super::later::Later;
use crate::csrf::Csrf;

/// What Django gives in the place of a token where nothing makes one.
const NOT_PROVIDED: &str = "NOTPROVIDED";

pub(super) fn values(page: &Arc<Page>) -> Value {
    let Some(csrf) = page.request.extensions().get::<Csrf>().cloned() else {
        return Value::from_object(NoToken);
    };
    Value::from_object(Token {
        input: page.later({
            let csrf = csrf.clone();
            async move { Ok(csrf.input().await?) }
        }),
        token: page.later(async move { Ok(csrf.token().await?) }),
    })
}

#[derive(Debug)]
struct Token {
    token: Arc<Later<String>>,
    input: Arc<Later<String>>,
}

impl Object for Token {
    fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
        let value = match name.as_str()? {
            "csrf_token" => self.token.value().map(Value::from),
            "csrf_input" => self.input.value().map(Value::from_safe_string),
            _ => return None,
        };
        Some(value.unwrap_or_else(Value::from))
    }
}

/// Where there is no layer. Django leaves the field out then, so that a form without a token is refused for that.
#[derive(Debug)]
struct NoToken;

impl Object for NoToken {
    fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
        let name = name.as_str()?;
        tracing::warn!(
            target: "quintette::templates",
            "a template asks for {name}, but no CsrfLayer stands before its handler: its forms carry no token"
        );
        Some(Value::from(match name {
            "csrf_token" => NOT_PROVIDED,
            _ => "",
        }))
    }
}
