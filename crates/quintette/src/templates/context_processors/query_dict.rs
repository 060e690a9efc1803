//! `request.GET`: Django's `QueryDict`, which keeps every value of a name and gives the last.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use form_urlencoded::Serializer;
use minijinja::value::{Enumerator, Object, Value, from_args};
use minijinja::{Error, ErrorKind, State};

/// As many fields as Django reads of a request (`DATA_UPLOAD_MAX_NUMBER_FIELDS`). It refuses a longer one; here the rest is not seen.
const MAX_FIELDS: usize = 1_000;

#[derive(Debug)]
pub(super) struct QueryDict {
    pairs: Vec<(String, String)>,
}

impl QueryDict {
    pub(super) fn parse(query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
        Self {
            pairs: pairs.take(MAX_FIELDS).collect(),
        }
    }

    fn values(&self, name: &str) -> impl DoubleEndedIterator<Item = Value> {
        let pairs = self.pairs.iter().filter(move |(other, _)| other == name);
        pairs.map(|(_, value)| Value::from(value.as_str()))
    }

    fn last(&self, name: &str) -> Option<Value> {
        self.values(name).next_back()
    }

    /// As a query string: for links that keep what the page was asked for.
    fn urlencode(&self) -> String {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(&self.pairs).finish()
    }
}

impl Object for QueryDict {
    fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
        let name = name.as_str()?;
        let method = || (name == "urlencode").then(|| Value::from(self.urlencode()));
        self.last(name).or_else(method)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let mut seen = BTreeSet::new();
        let names = self.pairs.iter().map(|(name, _)| name.as_str());
        let names = names.filter(|name| seen.insert(*name));
        Enumerator::Values(names.map(Value::from).collect())
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        match method {
            "get" => {
                let (name, default): (&str, Option<Value>) = from_args(args)?;
                Ok(self.last(name).or(default).unwrap_or(Value::from(())))
            }
            "getlist" => {
                let (name,): (&str,) = from_args(args)?;
                Ok(self.values(name).collect())
            }
            "urlencode" => from_args(args).map(|()| Value::from(self.urlencode())),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.urlencode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_name_counts_and_all_are_kept() {
        let query = Arc::new(QueryDict::parse("a=1&b=%C3%A9+%3C&a=2&c&=x&%zz=%ff"));
        assert_eq!(query.last("a"), Some(Value::from("2")));
        assert_eq!(query.values("a").count(), 2);
        assert_eq!(query.last("b"), Some(Value::from("é <")));
        assert_eq!(query.last("c"), Some(Value::from("")));
        assert_eq!(query.last("%zz"), Some(Value::from("\u{fffd}")));
        assert_eq!(query.last("d"), None);
        assert_eq!(
            QueryDict::parse("a=1&b=%C3%A9+%3C").urlencode(),
            "a=1&b=%C3%A9+%3C"
        );
    }

    #[test]
    fn a_query_of_many_fields_ends_where_django_gives_up() {
        let query = QueryDict::parse(&"a=1&".repeat(100_000));
        assert_eq!(query.pairs.len(), MAX_FIELDS);
    }
}
