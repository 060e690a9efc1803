use super::{PasswordValidator, Reason, UserAttribute, characters};

/// Refuses passwords of digits only: `NumericPasswordValidator`.
#[derive(Clone, Debug, Default)]
pub struct NumericPassword(());

impl NumericPassword {
    /// It has no options.
    pub fn new() -> Self {
        Self::default()
    }
}

impl PasswordValidator for NumericPassword {
    fn validate(&self, password: &str, _user: &[UserAttribute<'_>]) -> Result<(), Reason> {
        if !password.is_empty() && password.chars().all(characters::is_digit) {
            return Err(Reason::new(
                "password_entirely_numeric",
                "This password is entirely numeric.",
            ));
        }
        Ok(())
    }

    fn help_text(&self) -> String {
        "Your password can’t be entirely numeric.".to_owned()
    }
}
