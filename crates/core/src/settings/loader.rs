//! Where settings come from, and in which order.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{Origin, Problem, SettingsError};
use super::reader::{Given, Layer, Reader};
use super::{CelerySettings, Settings, names, value};

/// The variable that names the settings file.
const FILE_VARIABLE: &str = "QUINTETTE_SETTINGS";
/// The settings file that is read where it exists.
const FILE_NAME: &str = "settings.toml";

/// Gathers settings from TOML and from the environment, and parses them all at once.
///
/// Whatever the order of the calls: the environment is above the files, the files are above the application's defaults,
/// and those are above Django's. Of two values on one level, the later counts.
///
/// ```
/// use quintette_core::settings::{SessionEngineName, Settings};
///
/// let settings = Settings::loader()
///     .default("SESSION_ENGINE", "cached_db")
///     .toml_str(r#"
///         SECRET_KEY = "a long and random text"
///         SESSION_COOKIE_AGE = 3600
///     "#)
///     .variables([("SESSION_COOKIE_SECURE", "True")])
///     .load()?;
/// assert_eq!(settings.session_engine, SessionEngineName::CachedDb);
/// assert_eq!(settings.session_cookie_age.num_hours(), 1);
/// assert!(settings.session_cookie_secure);
/// # Ok::<(), quintette_core::settings::SettingsError>(())
/// ```
#[derive(Default)]
#[must_use = "nothing is read until `load`"]
pub struct Loader {
    defaults: Layer,
    files: Layer,
    environment: Layer,
    problems: Vec<Problem>,
}

impl Loader {
    /// A default of the application's own, for whoever runs it to override.
    pub fn default(mut self, name: &str, value: impl Into<toml::Value>) -> Self {
        let table = toml::Table::from_iter([(name.to_owned(), value.into())]);
        self.add_table(table, &Origin::ApplicationDefault);
        self
    }

    /// A TOML file that must exist. It is read at once.
    pub fn toml_file(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        match std::fs::read_to_string(&path) {
            Ok(text) => self.add_toml(&text, &Origin::File(path)),
            Err(error) => self.unreadable(path, error),
        }
        self
    }

    /// A TOML text that came from no file.
    pub fn toml_str(mut self, text: &str) -> Self {
        self.add_toml(text, &Origin::Text);
        self
    }

    /// The file that `QUINTETTE_SETTINGS` names, which must exist; else `settings.toml` in the working directory, if there is one.
    pub fn settings_file(self) -> Self {
        self.settings_file_in(Path::new(""), std::env::var_os(FILE_VARIABLE))
    }

    fn settings_file_in(self, directory: &Path, named: Option<OsString>) -> Self {
        // A variable that is set to nothing names no file, as elsewhere in the environment.
        if let Some(named) = named.filter(|name| !name.is_empty()) {
            return self.toml_file(directory.join(named));
        }
        let path = directory.join(FILE_NAME);
        // Whether it exists is for the reading to say: asking first would take an unreadable directory for an absent file.
        match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self,
            _ => self.toml_file(path),
        }
    }

    /// The environment of this process, as it is now.
    pub fn environment(mut self) -> Self {
        // Not `std::env::vars`, which panics on another program's variable that is not UTF-8.
        for (name, text) in std::env::vars_os() {
            let Ok(name) = name.into_string() else {
                continue;
            };
            match text.into_string() {
                Ok(text) => self.add_variable(name, &text),
                Err(_) if names::form(&name).is_some() => self
                    .problems
                    .push(Problem::secret(&name, "is not UTF-8").found_in(Origin::Environment)),
                Err(_) => {}
            }
        }
        self
    }

    /// Variables that are read as those of the environment are.
    pub fn variables<N: Into<String>, T: AsRef<str>>(
        mut self,
        variables: impl IntoIterator<Item = (N, T)>,
    ) -> Self {
        for (name, text) in variables {
            self.add_variable(name.into(), text.as_ref());
        }
        self
    }

    /// Parses every setting, and checks the rules between them.
    ///
    /// # Errors
    ///
    /// All that is wrong: a missing `SECRET_KEY`, a file that cannot be read, an unknown name, a value that does not fit its
    /// setting, and what [`Settings::check`] finds.
    pub fn load(self) -> Result<Settings, SettingsError> {
        Reader::new([self.environment, self.files, self.defaults], self.problems).settings()
    }

    /// Parses Celery's settings and `DATABASE_URL` alone: a worker needs no `SECRET_KEY`, and nothing of the others is looked at but their names.
    ///
    /// # Errors
    ///
    /// All that is wrong: a file that cannot be read, an unknown name, a value that does not fit its setting.
    pub fn load_celery(self) -> Result<CelerySettings, SettingsError> {
        Reader::new([self.environment, self.files, self.defaults], self.problems).celery_settings()
    }

    fn add_toml(&mut self, text: &str, origin: &Origin) {
        match text.parse::<toml::Table>() {
            Ok(table) => self.add_table(table, origin),
            Err(error) => self.problems.push(syntax_problem(text, &error, origin)),
        }
    }

    fn add_table(&mut self, table: toml::Table, origin: &Origin) {
        for (name, value) in table {
            if names::form(&name).is_none() {
                if !names::is_of_django(&name) {
                    self.problems.push(
                        Problem::secret(&name, names::unknown(&name)).found_in(origin.clone()),
                    );
                }
                continue;
            }
            let layer = match origin {
                Origin::ApplicationDefault => &mut self.defaults,
                _ => &mut self.files,
            };
            layer.insert(
                name,
                Given {
                    value: value::from_toml(value),
                    origin: origin.clone(),
                },
            );
        }
    }

    fn add_variable(&mut self, name: String, text: &str) {
        if let Some(form) = names::form(&name) {
            let value = value::from_environment(text, form);
            self.environment.insert(
                name,
                Given {
                    value,
                    origin: Origin::Environment,
                },
            );
        } else if names::is_unknown_variable(&name) {
            self.problems
                .push(Problem::secret(&name, names::unknown(&name)).found_in(Origin::Environment));
        }
    }

    fn unreadable(&mut self, path: PathBuf, error: io::Error) {
        let advice = format!("the settings file cannot be read ({})", error.kind());
        self.problems
            .push(Problem::file(Origin::File(path), advice).with_source(error));
    }
}

/// Names only: a value may be a secret.
impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader")
            .field("defaults", &self.defaults.keys())
            .field("files", &self.files.keys())
            .field("environment", &self.environment.keys())
            .field("problems", &self.problems)
            .finish()
    }
}

/// Line and message, but neither the parser's picture of the line nor the error itself: both repeat the text, which may be the secret's.
fn syntax_problem(text: &str, error: &toml::de::Error, origin: &Origin) -> Problem {
    let line = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map_or(1, |before| before.matches('\n').count() + 1);
    let wrong = text.lines().nth(line - 1).unwrap_or_default();
    let python = wrong
        .split_once('=')
        .map(|(_, value)| value.trim())
        .is_some_and(|value| {
            ["True", "False", "None"]
                .iter()
                .any(|word| value.starts_with(word))
        });
    let hint = if python {
        "; TOML writes true and false, and leaves None out"
    } else {
        ""
    };
    Problem::file(
        origin.clone(),
        format!("line {line} is not TOML: {}{hint}", error.message().trim()),
    )
}

#[cfg(test)]
mod tests;
