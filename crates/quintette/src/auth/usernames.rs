//! When two names are one: as Django's forms and the databases see it.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Letters that look alike and mean the same are one letter: Django's `normalize_username`, which its login form also does.
pub(super) fn normalized(username: &str) -> String {
    username.nfkc().collect()
}

/// What is left of a name where case, accents and spaces at its end do not count, as in MySQL's collations. Names that are
/// the same so are one to whoever counts the attempts at them.
pub(super) fn folded(username: &str) -> String {
    let letters = username
        .trim_end()
        .nfkd()
        .filter(|letter| !is_combining_mark(*letter));
    // The capital of `ß` is `SS`.
    let capitals = letters.flat_map(char::to_uppercase);
    capitals.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_normalized_as_django_does() {
        assert_eq!(normalized("ｍｅｉ"), "mei");
        assert_eq!(normalized("Jose\u{301}"), "José");
        assert_eq!(normalized("Mei"), "Mei");
    }

    #[test]
    fn names_that_mysql_takes_for_one_are_folded_alike() {
        for name in ["JOSÉ", "Jose\u{301}", "ｊｏｓｅ", "jose ", "josé\u{a0}"] {
            assert_eq!(folded(name), "jose", "{name}");
        }
        assert_eq!(folded("straße"), folded("STRASSE"));
        assert_ne!(folded("jose"), folded("josef"));
    }
}
