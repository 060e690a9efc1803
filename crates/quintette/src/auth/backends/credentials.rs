use std::fmt;

/// What somebody gives to prove who they are: values by name, a user name and a password above all.
///
/// `Debug` shows the user name and the other names, but no other value.
///
/// ```
/// use quintette::auth::Credentials;
///
/// let credentials = Credentials::new("mei", "correct horse").with("code", "123456");
/// assert_eq!(credentials.get("code"), Some("123456"));
/// assert!(!format!("{credentials:?}").contains("horse"));
/// ```
#[derive(Clone)]
pub struct Credentials {
    values: Vec<(String, String)>,
}

impl Credentials {
    /// A user name and a password.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::empty()
            .with("username", username)
            .with("password", password)
    }

    /// None yet, for backends that ask for something else.
    pub fn empty() -> Self {
        Self { values: Vec::new() }
    }

    /// The same with one more.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.values.push((name.into(), value.into()));
        self
    }

    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.values.iter();
        values
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// The user name.
    pub fn username(&self) -> Option<&str> {
        self.get("username")
    }

    /// The password.
    pub fn password(&self) -> Option<&str> {
        self.get("password")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.values.iter().map(|(name, value)| {
            let value = if name == "username" {
                value.as_str()
            } else {
                "…"
            };
            (name, value)
        });
        f.debug_map().entries(shown).finish()
    }
}
