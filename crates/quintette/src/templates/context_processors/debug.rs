//! `debug` and `sql_queries`, for visitors from `INTERNAL_IPS` while `DEBUG` is on.

use std::sync::Arc;

use minijinja::{Value, context};

use super::super::context::Page;

/// Where it is not for this visitor, `debug` is false and not undefined: minijinja has a function of that name, which is true.
pub(super) fn values(page: &Arc<Page>) -> Value {
    let settings = &page.settings;
    let is_internal = || {
        let address = page.request.head().client_address(settings);
        address.is_some_and(|address| settings.internal_ips.contains(&address))
    };
    let debug = settings.debug && is_internal();
    let sql_queries = if debug {
        queries::of(page)
    } else {
        Value::from(Vec::<Value>::new())
    };
    context! { debug, sql_queries }
}

#[cfg(feature = "database")]
mod queries {
    use std::sync::Arc;

    use minijinja::value::{Enumerator, Object, ObjectRepr, Value};

    use super::Page;
    use crate::db::{Query, QueryLog};

    pub(super) fn of(page: &Page) -> Value {
        match page.request.extensions().get::<QueryLog>() {
            Some(log) => Value::from_object(Queries(log.clone())),
            None => Value::from(Vec::<Value>::new()),
        }
    }

    /// The statements until whenever it is looked at: the page may cause some itself.
    #[derive(Debug)]
    struct Queries(QueryLog);

    impl Object for Queries {
        fn repr(self: &Arc<Self>) -> ObjectRepr {
            ObjectRepr::Seq
        }

        fn get_value(self: &Arc<Self>, index: &Value) -> Option<Value> {
            let query = self.0.queries().into_iter().nth(index.as_usize()?)?;
            Some(Value::from_object(QueryObject(query)))
        }

        fn enumerate(self: &Arc<Self>) -> Enumerator {
            let queries = self.0.queries().into_iter();
            Enumerator::Iter(Box::new(
                queries.map(|query| Value::from_object(QueryObject(query))),
            ))
        }
    }

    #[derive(Debug)]
    struct QueryObject(Query);

    impl Object for QueryObject {
        fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
            match name.as_str()? {
                "sql" => Some(Value::from(self.0.sql.as_str())),
                // Seconds, as Django writes them.
                "time" => Some(Value::from(format!("{:.3}", self.0.time.as_secs_f64()))),
                _ => None,
            }
        }

        fn enumerate(self: &Arc<Self>) -> Enumerator {
            Enumerator::Str(&["sql", "time"])
        }
    }
}

#[cfg(not(feature = "database"))]
mod queries {
    use minijinja::Value;

    /// Nothing here runs statements.
    pub(super) fn of(_: &super::Page) -> Value {
        Value::from(Vec::<Value>::new())
    }
}
