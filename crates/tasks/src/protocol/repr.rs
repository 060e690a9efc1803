//! Arguments and results as Celery prints them for people: in `argsrepr`, in `kwargsrepr`, in events and in the log.
//!
//! That is Python's `repr` but for strings, in which Celery escapes quotes only. It is cut to [`MAX_LENGTH`] characters, and
//! shows [`MAX_LEVELS`] levels of containers.
//!
//! Source: `celery/utils/saferepr.py` of Celery 5.7.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use quintette_core::json::{RawJson, unescape_key};

use super::tokens::{Token, Tokens};

/// How much is printed, in characters: `argsrepr_maxsize` and `resultrepr_maxsize`.
///
/// What is cut ends in `...`, and brackets are closed after that, so a few characters come on top.
pub const MAX_LENGTH: usize = 1024;

/// How many levels of containers are printed: the default of `task_repr_maxlevels`.
pub const MAX_LEVELS: usize = 3;

/// Positional arguments as Python prints a tuple: the header `argsrepr`.
///
/// ```
/// use quintette_core::json::RawJson;
/// use quintette_tasks::protocol::repr::args_repr;
///
/// let args = [RawJson::parse(r#"{"sku": null}"#)?];
/// assert_eq!(args_repr(&args), "({'sku': None},)");
/// # Ok::<(), quintette_core::json::JsonError>(())
/// ```
pub fn args_repr(args: &[RawJson]) -> String {
    let closing = if args.len() == 1 { ",)" } else { ")" };
    printed(|printer| {
        printer.open("(", closing)?;
        args.iter().try_for_each(|arg| printer.value(arg))?;
        printer.close();
        ControlFlow::Continue(())
    })
}

/// Keyword arguments as Python prints a dict: the header `kwargsrepr`.
///
/// Names are in their escaped form, as [`parse_object`](quintette_core::json::parse_object) returns them.
///
/// ```
/// use quintette_core::json::RawJson;
/// use quintette_tasks::protocol::repr::kwargs_repr;
///
/// let one = RawJson::from(1);
/// assert_eq!(kwargs_repr([("x", &one)]), "{'x': 1}");
/// ```
pub fn kwargs_repr<'a>(kwargs: impl IntoIterator<Item = (&'a str, &'a RawJson)>) -> String {
    printed(|printer| {
        printer.open("{", "}")?;
        for (name, value) in kwargs {
            printer.key(name)?;
            printer.value(value)?;
        }
        printer.close();
        ControlFlow::Continue(())
    })
}

/// Any value: what events and the log say of a result.
///
/// ```
/// use quintette_core::json::RawJson;
/// use quintette_tasks::protocol::repr::value_repr;
///
/// assert_eq!(value_repr(&RawJson::parse("[1e16, true, [[[]]]]")?), "[1e+16, True, [[[...]]]]");
/// # Ok::<(), quintette_core::json::JsonError>(())
/// ```
pub fn value_repr(value: &RawJson) -> String {
    printed(|printer| printer.value(value))
}

fn printed(print: impl FnOnce(&mut Printer) -> ControlFlow<()>) -> String {
    let mut printer = Printer {
        out: String::new(),
        left: MAX_LENGTH,
        open: Vec::new(),
        after_key: false,
    };
    if print(&mut printer).is_break() {
        // What has been opened is closed; what is left out is not even opened.
        printer.out.push_str(", ...");
        while let Some(container) = printer.open.pop() {
            printer.out.push_str(container.closing);
        }
    }
    printer.out
}

struct Printer {
    out: String,
    /// How many characters may still be printed; closing brackets come on top.
    left: usize,
    open: Vec<Container>,
    after_key: bool,
}

struct Container {
    closing: &'static str,
    empty: bool,
}

/// A break is the end of all printing: nothing may be printed any more, and something would be.
type Printed = ControlFlow<()>;

impl Printer {
    fn value(&mut self, value: &RawJson) -> Printed {
        let mut tokens = Tokens::of(value);
        while let Some(token) = tokens.next() {
            match token {
                Token::OpenArray => self.container(&mut tokens, "[", "]", "[...]")?,
                Token::OpenObject => self.container(&mut tokens, "{", "}", "{...}")?,
                Token::Close => self.close(),
                Token::Key(name) => self.key(name)?,
                Token::String(content) => {
                    self.separate()?;
                    self.string(content)?;
                }
                Token::Word(word) => self.scalar(python_word(word))?,
                Token::Number(number) => match python_float(number) {
                    Some(float) => self.scalar(&float)?,
                    None => self.scalar(if number == "-0" { "0" } else { number })?,
                },
            }
        }
        ControlFlow::Continue(())
    }

    fn container(
        &mut self,
        tokens: &mut Tokens<'_>,
        opening: &str,
        closing: &'static str,
        summary: &str,
    ) -> Printed {
        self.separate()?;
        if self.open.len() < MAX_LEVELS {
            return self.open(opening, closing);
        }
        tokens.skip_container();
        self.print(summary)
    }

    fn open(&mut self, opening: &str, closing: &'static str) -> Printed {
        self.print(opening)?;
        self.open.push(Container {
            closing,
            empty: true,
        });
        ControlFlow::Continue(())
    }

    fn close(&mut self) {
        if let Some(container) = self.open.pop() {
            self.out.push_str(container.closing);
            self.left = self.left.saturating_sub(container.closing.len());
        }
    }

    fn key(&mut self, name: &str) -> Printed {
        self.separate()?;
        self.string(name)?;
        self.print(": ")?;
        self.after_key = true;
        ControlFlow::Continue(())
    }

    /// What stands between an item and the one before it.
    fn separate(&mut self) -> Printed {
        if std::mem::take(&mut self.after_key) {
            return ControlFlow::Continue(());
        }
        let container = self.open.last_mut();
        let first = container.is_none_or(|container| std::mem::take(&mut container.empty));
        if first {
            return ControlFlow::Continue(());
        }
        self.print(", ")
    }

    fn scalar(&mut self, text: &str) -> Printed {
        self.separate()?;
        match cut(text, self.left) {
            Some(short) => self.print(&short),
            None => self.print(text),
        }
    }

    fn string(&mut self, escaped: &str) -> Printed {
        // No character takes more than two escapes of six bytes, and what comes after the last one printed does not matter.
        let enough = (self.left + 1).saturating_mul(12).min(escaped.len());
        let content = unescape_key(&escaped[..enough]);
        let content = match cut(&content, self.left) {
            Some(short) => short.into(),
            None => content,
        };
        self.print(&format!("'{}'", content.replace('\'', "\\'")))
    }

    fn print(&mut self, text: &str) -> Printed {
        if self.left == 0 {
            return ControlFlow::Break(());
        }
        self.out.push_str(text);
        self.left = self.left.saturating_sub(text.chars().count());
        ControlFlow::Continue(())
    }
}

/// A text of `limit` characters or more cut to that many, and further to the last space in them.
fn cut(text: &str, limit: usize) -> Option<String> {
    if limit == 0 || text.len() < limit {
        return None;
    }
    let end = match text.char_indices().nth(limit) {
        Some((end, _)) => end,
        None if text.chars().count() == limit => text.len(),
        None => return None,
    };
    let text = &text[..end];
    let mut short = text
        .rsplit_once(' ')
        .map_or(text, |(short, _)| short)
        .to_owned();
    short.push_str("...");
    Some(short)
}

fn python_word(word: &str) -> &str {
    match word {
        "true" => "True",
        "false" => "False",
        "null" => "None",
        "NaN" => "nan",
        "Infinity" => "inf",
        "-Infinity" => "-inf",
        other => other,
    }
}

/// A number as Python prints it, unless it is an integer.
fn python_float(number: &str) -> Option<String> {
    if !number.contains(['.', 'e', 'E']) {
        return None;
    }
    let float: f64 = number.parse().ok()?;
    let mut text = String::new();
    if float.is_infinite() {
        // A String takes whatever is written to it.
        let _ = write!(text, "{float}");
    } else if let Ok(json) = RawJson::from_value(&float) {
        text.push_str(json.as_str());
    }
    Some(text)
}

#[cfg(test)]
mod tests;
