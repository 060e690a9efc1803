//! `csrf_token` and `csrf_input`. To name one of them is to set the cookie.

use std::sync::Arc;

use minijinja::value::{Object, Value};

use super::super::context::Page;
use super::super::handles::Csrf;
use super::super::later::Later;

/// What Django gives in the place of a token where nothing makes one.
const NOT_PROVIDED: &str = "NOTPROVIDED";

pub(super) fn values(page: &Arc<Page>) -> Value {
    let csrf = page.request.extensions().get::<Csrf>().cloned();
    let token = csrf.map(|csrf| page.later(async move { Ok(csrf.token().await?) }));
    Value::from_object(CsrfObject { token })
}

#[derive(Debug)]
struct CsrfObject {
    token: Option<Arc<Later<String>>>,
}

impl Object for CsrfObject {
    fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
        let name = name.as_str()?;
        let Some(token) = &self.token else {
            tracing::warn!(
                target: "quintette::templates",
                "a template asks for {name}, but no CsrfLayer stands before its handler: its forms will be refused"
            );
            // Django leaves the field out, so that the form is not taken for a forged one but for what it is.
            return Some(Value::from(if name == "csrf_input" {
                ""
            } else {
                NOT_PROVIDED
            }));
        };
        Some(match token.value() {
            Err(error) => Value::from(error),
            // A token is made of letters and digits, so that nothing in it needs to be escaped.
            Ok(token) if name == "csrf_input" => Value::from_safe_string(format!(
                "<input type=\"hidden\" name=\"csrfmiddlewaretoken\" value=\"{token}\">"
            )),
            Ok(token) => Value::from(token),
        })
    }
}
