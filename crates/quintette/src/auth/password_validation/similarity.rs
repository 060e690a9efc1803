use std::collections::HashMap;

use super::{PasswordValidator, Reason, UserAttribute, ValidatorConfigError, characters};

/// Refuses passwords that are much like something known of the user: `UserAttributeSimilarityValidator`.
///
/// The whole value counts and each word of it. How much two texts are alike is what `quick_ratio` of Python's
/// `difflib.SequenceMatcher` says: the characters that they share, in any order, beside all of them.
#[derive(Clone, Debug)]
pub struct UserAttributeSimilarity {
    attributes: Vec<String>,
    max_similarity: f64,
}

impl UserAttributeSimilarity {
    /// Looks at `username`, `first_name`, `last_name` and `email`, and refuses from a similarity of 0.7.
    pub fn new() -> Self {
        let attributes = ["username", "first_name", "last_name", "email"];
        Self {
            attributes: attributes.map(str::to_owned).into(),
            max_similarity: 0.7,
        }
    }

    /// Looks at these fields: `user_attributes`.
    #[must_use]
    pub fn with_user_attributes<A: Into<String>>(
        self,
        attributes: impl IntoIterator<Item = A>,
    ) -> Self {
        let attributes = attributes.into_iter().map(Into::into).collect();
        Self { attributes, ..self }
    }

    /// Refuses from this similarity, from 0.1 to 1: `max_similarity`.
    ///
    /// # Errors
    ///
    /// If it is below 0.1, which would refuse nearly everything.
    pub fn with_max_similarity(self, max_similarity: f64) -> Result<Self, ValidatorConfigError> {
        if max_similarity.is_nan() || max_similarity < 0.1 {
            return Err(ValidatorConfigError::new(format!(
                "max_similarity is {max_similarity}, but must be at least 0.1"
            )));
        }
        Ok(Self {
            max_similarity,
            ..self
        })
    }

    fn is_similar(&self, password: &[char], value: &str) -> bool {
        let value: Vec<char> = value.chars().collect();
        !self.is_much_longer(password, &value)
            && quick_ratio(password, &value) >= self.max_similarity
    }

    /// Whether the lengths alone settle it: `exceeds_maximum_length_ratio`.
    fn is_much_longer(&self, password: &[char], value: &[char]) -> bool {
        password.len() >= value.len().saturating_mul(10)
            && float(value.len()) < self.max_similarity / 2.0 * float(password.len())
    }
}

impl Default for UserAttributeSimilarity {
    fn default() -> Self {
        Self::new()
    }
}

impl PasswordValidator for UserAttributeSimilarity {
    fn validate(&self, password: &str, user: &[UserAttribute<'_>]) -> Result<(), Reason> {
        let password: Vec<char> = password.to_lowercase().chars().collect();
        let known = self
            .attributes
            .iter()
            .filter_map(|name| user.iter().find(|attribute| attribute.name == name))
            .filter(|attribute| !attribute.value.is_empty());
        for attribute in known {
            let value = attribute.value.to_lowercase();
            if words(&value)
                .chain([&*value])
                .any(|part| self.is_similar(&password, part))
            {
                return Err(Reason::new(
                    "password_too_similar",
                    format!(
                        "The password is too similar to the {}.",
                        attribute.verbose_name
                    ),
                ));
            }
        }
        Ok(())
    }

    fn help_text(&self) -> String {
        "Your password can’t be too similar to your other personal information.".to_owned()
    }
}

/// What Python's `re.split(r"\W+", text)` gives. It gives an empty text too where there is no word at an end, which only an
/// empty password is like.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_between = |character| !characters::is_word(character);
    let ends = text.starts_with(is_between) || text.ends_with(is_between);
    text.split(is_between)
        .filter(|word| !word.is_empty())
        .chain(ends.then_some(""))
}

/// `difflib.SequenceMatcher(a=a, b=b).quick_ratio()`.
fn quick_ratio(a: &[char], b: &[char]) -> f64 {
    let length = a.len() + b.len();
    if length == 0 {
        return 1.0;
    }
    let mut left: HashMap<char, usize> = HashMap::new();
    for character in b {
        *left.entry(*character).or_default() += 1;
    }
    let shared = a.iter().filter(|character| match left.get_mut(character) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    });
    2.0 * float(shared.count()) / float(length)
}

/// Python's own conversion; exact for the length of any text.
#[expect(clippy::cast_precision_loss)]
fn float(number: usize) -> f64 {
    number as f64
}
