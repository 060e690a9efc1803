use minijinja::value::Value;
use minijinja::{Error, Output, State, escape_formatter};

use super::context_processors::MessageObject;

/// Prints `{{ message }}` without escaping where the message is marked as safe, as Django does: for
/// [`Environment::set_formatter`](minijinja::Environment::set_formatter).
///
/// Without it such a message is escaped unless its text is asked for: `{{ message.message }}`. Everything else is printed as
/// by minijinja's own formatter.
///
/// ```
/// let mut environment = quintette::templates::minijinja::Environment::new();
/// environment.set_formatter(quintette::templates::formatter);
/// ```
///
/// # Errors
///
/// As minijinja's own.
pub fn formatter(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    match value.downcast_object_ref::<MessageObject>() {
        Some(message) => escape_formatter(out, state, &message.text()),
        None => escape_formatter(out, state, value),
    }
}
