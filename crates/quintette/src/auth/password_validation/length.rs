use super::{PasswordValidator, Reason, UserAttribute};

/// Refuses short passwords: `MinimumLengthValidator`.
#[derive(Clone, Debug)]
pub struct MinimumLength {
    min_length: usize,
}

impl MinimumLength {
    /// Of at least eight characters.
    pub fn new() -> Self {
        Self { min_length: 8 }
    }

    /// Of at least so many characters (code points, as Python counts): `min_length`.
    #[must_use]
    pub fn with_min_length(self, min_length: usize) -> Self {
        Self { min_length }
    }

    fn characters(&self) -> String {
        let plural = if self.min_length == 1 { "" } else { "s" };
        format!("at least {} character{plural}.", self.min_length)
    }
}

impl Default for MinimumLength {
    fn default() -> Self {
        Self::new()
    }
}

impl PasswordValidator for MinimumLength {
    fn validate(&self, password: &str, _user: &[UserAttribute<'_>]) -> Result<(), Reason> {
        if password.chars().count() < self.min_length {
            return Err(Reason::new(
                "password_too_short",
                format!(
                    "This password is too short. It must contain {}",
                    self.characters()
                ),
            ));
        }
        Ok(())
    }

    fn help_text(&self) -> String {
        format!("Your password must contain {}", self.characters())
    }
}
