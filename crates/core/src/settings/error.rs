//! What is said about a wrong setting: its name, where it stands, what it holds, and what would do.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde_json::Value;

/// How much of a wrong value is shown, in characters.
const SHOWN_CHARACTERS: usize = 80;

/// One or more settings are wrong.
///
/// All that is wrong is reported at once, so that it can be mended at once. The value of a setting that may hold a secret
/// (`SECRET_KEY`, `SECRET_KEY_FALLBACKS`, `DATABASE_URL`, `CACHE_URL`, `CACHES`) is never part of the text.
#[derive(thiserror::Error)]
#[error("{}", listed(.problems))]
pub struct SettingsError {
    // Never empty: both constructors see to it.
    problems: Vec<Problem>,
}

impl SettingsError {
    /// `Ok(())` where there is no problem.
    pub(super) fn unless_empty(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Self { problems })
        }
    }

    /// Each thing that is wrong, one a setting.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Problem> for SettingsError {
    fn from(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

fn listed(problems: &[Problem]) -> String {
    match problems {
        [only] => only.to_string(),
        several => several.iter().fold(
            format!("{} settings are wrong:", several.len()),
            |text, problem| format!("{text}\n- {problem}"),
        ),
    }
}

/// As [`Display`](fmt::Display): this is what a `main` that returns the error prints.
impl fmt::Debug for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One thing that is wrong with the settings.
#[derive(Debug)]
pub struct Problem {
    setting: Option<String>,
    origin: Origin,
    held: Option<String>,
    advice: String,
    source: Option<io::Error>,
}

impl Problem {
    /// A setting whose value may be shown.
    pub(super) fn wrong(setting: &str, value: &Value, advice: impl Into<String>) -> Self {
        Self {
            held: Some(shown(value)),
            ..Self::secret(setting, advice)
        }
    }

    /// A setting whose value may not be shown, or that has none.
    pub(super) fn secret(setting: &str, advice: impl Into<String>) -> Self {
        Self {
            setting: Some(setting.to_owned()),
            origin: Origin::Code,
            held: None,
            advice: advice.into(),
            source: None,
        }
    }

    /// A file that is wrong as a whole.
    pub(super) fn file(origin: Origin, advice: impl Into<String>) -> Self {
        Self {
            setting: None,
            origin,
            held: None,
            advice: advice.into(),
            source: None,
        }
    }

    pub(super) fn with_source(self, source: io::Error) -> Self {
        Self {
            source: Some(source),
            ..self
        }
    }

    pub(super) fn found_in(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    /// The setting's Django name; `None` where a whole file is meant.
    pub fn setting(&self) -> Option<&str> {
        self.setting.as_deref()
    }

    /// Where the wrong value stands.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.setting, &self.held) {
            (Some(setting), Some(held)) => {
                write!(f, "{setting} ({}) is {held}: {}", self.origin, self.advice)
            }
            (Some(setting), None) => write!(f, "{setting} ({}): {}", self.origin, self.advice),
            (None, _) => write!(f, "{}: {}", self.origin, self.advice),
        }
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// Where a setting's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Assigned to a field, or Django's default.
    Code,
    /// No source has it, and it has no default.
    Nowhere,
    /// [`Loader::default`](super::Loader::default).
    ApplicationDefault,
    /// A TOML file.
    File(PathBuf),
    /// A TOML text that came from no file.
    Text,
    /// An environment variable.
    Environment,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code => f.write_str("in code"),
            Self::Nowhere => f.write_str("given nowhere"),
            Self::ApplicationDefault => f.write_str("the application's default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Text => f.write_str("the TOML text"),
            Self::Environment => f.write_str("environment"),
        }
    }
}

/// A value as its author would recognise it, on one line and not too long.
fn shown(value: &Value) -> String {
    // Quoted as Rust quotes, not as JSON does, so that no control character reaches a terminal.
    let full = match value {
        Value::String(text) => format!(
            "{:?}",
            text.chars().take(SHOWN_CHARACTERS + 1).collect::<String>()
        ),
        other => other
            .to_string()
            .escape_debug()
            .to_string()
            .replace("\\\"", "\""),
    };
    if full.chars().count() > SHOWN_CHARACTERS {
        full.chars().take(SHOWN_CHARACTERS).chain(['…']).collect()
    } else {
        full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_problem_is_one_line_with_name_origin_value_and_advice() {
        let error = SettingsError::from(
            Problem::wrong("DEBUG", &Value::from("maybe"), "write true or false")
                .found_in(Origin::Environment),
        );
        assert_eq!(
            error.to_string(),
            r#"DEBUG (environment) is "maybe": write true or false"#
        );
    }

    #[test]
    fn several_problems_are_a_list() {
        let error = SettingsError::unless_empty(vec![
            Problem::secret("SECRET_KEY", "is missing"),
            Problem::wrong("DEBUG", &Value::from(7), "write true or false"),
        ])
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "2 settings are wrong:\n- SECRET_KEY (in code): is missing\n- DEBUG (in code) is 7: write true or false"
        );
    }

    #[test]
    fn a_long_value_is_cut_and_a_control_character_escaped() {
        let long = shown(&Value::from("é".repeat(5_000)));
        assert!(long.ends_with('…') && long.chars().count() == SHOWN_CHARACTERS + 1);
        assert_eq!(shown(&Value::from("a\u{1b}[2J")), r#""a\u{1b}[2J""#);
    }
}
