//! What the shop's forms have in common.

use std::collections::BTreeMap;

use serde::Serialize;

/// What is wrong with a form: sentences, by the field that they stand beside.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Errors(BTreeMap<&'static str, Vec<String>>);

impl Errors {
    pub(crate) fn add(&mut self, field: &'static str, text: impl Into<String>) {
        self.0.entry(field).or_default().push(text.into());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was parsed, where nothing is wrong with it.
    pub(crate) fn or<T>(self, parsed: T) -> Result<T, Self> {
        if self.is_empty() {
            Ok(parsed)
        } else {
            Err(self)
        }
    }

    #[cfg(test)]
    pub(crate) fn fields(&self) -> Vec<&'static str> {
        self.0.keys().copied().collect()
    }
}

/// Puts what is wrong with an e-mail address beside its field.
pub(crate) fn check_email(email: &str, errors: &mut Errors) {
    if email.is_empty() {
        errors.add("email", "Tell us your e-mail address.");
    } else if !looks_like_email(email) {
        errors.add("email", "Write an e-mail address such as mei@example.com.");
    }
}

/// Whether an e-mail could arrive: only sending one would tell. 254 characters are the most that SMTP carries (RFC 5321).
fn looks_like_email(text: &str) -> bool {
    let ordinary = |c: char| !c.is_whitespace() && !c.is_control() && !"<>,;\"".contains(c);
    text.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty()
            && host.split('.').count() > 1
            && host.split('.').all(|label| !label.is_empty())
            && !host.contains('@')
    }) && text.len() <= 254
        && text.chars().all(ordinary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_email_address_is_told() {
        for wrong in [
            "a",
            "a@b",
            "@b.c",
            "a@b.",
            "a@.b",
            "a b@c.d",
            "a@b@c.d",
            "a@b.c\nx: y",
            "<a@b.c>",
        ] {
            assert!(!looks_like_email(wrong), "{wrong}");
        }
        assert!(!looks_like_email(&format!("a@{}.example", "b".repeat(250))));
        assert!(looks_like_email("mina+tea@mail.example.co.kr"));
    }
}
