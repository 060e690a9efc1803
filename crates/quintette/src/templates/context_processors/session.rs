//! `request.session`.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, Value};
use quintette_core::session::Session;
use serde_json::Value as Json;

use super::super::TemplateError;
use super::super::context::Page;
use super::super::later::Later;

/// The visitor's session, which is loaded when a template asks for what it holds. Without a layer it is empty.
pub(super) fn object(page: &Page) -> Value {
    let session = page.request.session().cloned();
    Value::from_object(SessionObject {
        entries: page.later(async move {
            match session {
                Some(session) => entries(&session).await,
                None => Ok(Value::from_pairs([] as [(&str, Value); 0])),
            }
        }),
    })
}

/// All that JSON can carry: what only Python can read is left out.
async fn entries(session: &Session) -> Result<Value, TemplateError> {
    let mut entries = Vec::new();
    for key in session.keys().await? {
        if let Ok(Some(raw)) = session.raw(&key).await
            && let Ok(value) = raw.deserialize()
        {
            entries.push((key, value_of(value)));
        }
    }
    Ok(Value::from_pairs(entries))
}

/// `serde_json` has bounded the depth.
fn value_of(json: Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::from(number),
            (None, Some(number)) => Value::from(number),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text),
        Json::Array(items) => items.into_iter().map(value_of).collect(),
        Json::Object(entries) => {
            let entries = entries.into_iter();
            Value::from_pairs(entries.map(|(key, value)| (key, value_of(value))))
        }
    }
}

#[derive(Debug)]
struct SessionObject {
    entries: Arc<Later<Value>>,
}

impl Object for SessionObject {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match self.entries.value() {
            Ok(entries) => entries
                .get_item(key)
                .ok()
                .filter(|value| !value.is_undefined()),
            Err(error) => Some(Value::from(error)),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let keys = self.entries.value().and_then(|entries| entries.try_iter());
        match keys {
            Ok(keys) => Enumerator::Values(keys.collect()),
            Err(error) => Enumerator::Values(vec![Value::from(error)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_as_deep_in_a_template() {
        let cart = json!({"cart": {"books": [7, -1, 1.5, "x", null, true], "big": u64::MAX}});
        let value = value_of(cart);
        let text = value.get_attr("cart").unwrap().to_string();
        assert_eq!(
            text,
            "{'big': 18446744073709551615, 'books': [7, -1, 1.5, 'x', None, True]}"
        );
    }
}
