use minijinja::value::{Value, ValueKind};
use minijinja::{Error, Output, State, escape_formatter};

use super::context_processors::MessageObject;

/// Prints values as Django's templates do, for [`Environment::set_formatter`](minijinja::Environment::set_formatter): `True`,
/// `False` and `None`; and `{{ message }}` without escaping where the message is marked as safe.
///
/// Without it, templates print `true`, `false` and `none`, and a message that is HTML is written `{{ message.message }}`.
///
/// ```
/// use quintette::templates::minijinja::{Environment, context};
///
/// let mut environment = Environment::new();
/// environment.set_formatter(quintette::templates::formatter);
/// assert_eq!(environment.render_str("{{ 1 == 1 }}", context! {})?, "True");
/// # Ok::<(), quintette::templates::minijinja::Error>(())
/// ```
///
/// # Errors
///
/// As minijinja's own formatter.
pub fn formatter(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    if let Some(message) = value.downcast_object_ref::<MessageObject>() {
        return escape_formatter(out, state, &message.text());
    }
    let text = match value.kind() {
        ValueKind::Bool if value.is_true() => "True",
        ValueKind::Bool => "False",
        ValueKind::None => "None",
        _ => return escape_formatter(out, state, value),
    };
    out.write_str(text).map_err(Error::from)
}
