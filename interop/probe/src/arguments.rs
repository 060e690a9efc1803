//! What stands on the command line of the probe's own commands, and the client that they share.

use std::collections::HashMap;
use std::error::Error;

use quintette_tasks::{App, TaskSettings};

/// `--name value` and `--name=value`; of two with one name, the last counts.
pub(crate) struct Flags(HashMap<String, String>);

impl Flags {
    pub(crate) fn parse(
        mut arguments: impl Iterator<Item = String>,
    ) -> Result<Self, Box<dyn Error>> {
        let mut flags = HashMap::new();
        while let Some(argument) = arguments.next() {
            let flag = argument
                .strip_prefix("--")
                .ok_or_else(|| format!("unknown argument {argument:?}"))?;
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => (
                    flag,
                    arguments
                        .next()
                        .ok_or_else(|| format!("--{flag} needs a value"))?,
                ),
            };
            flags.insert(name.to_owned(), value);
        }
        Ok(Self(flags))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<usize>, Box<dyn Error>> {
        let number = self.get(name).map(str::parse).transpose();
        number.map_err(|error| format!("--{name}: {error}").into())
    }
}

/// A client by the environment's settings.
pub(crate) fn app() -> Result<App, Box<dyn Error>> {
    let settings = TaskSettings::loader().environment().load_celery()?;
    Ok(App::new(settings)?)
}
