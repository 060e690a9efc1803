use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use super::Level;

/// One message. Django's `Message`; its text is what it displays.
///
/// ```
/// use quintette::messages::{Level, Message};
///
/// let message = Message::new(Level::WARNING, "Only two are left.").with_extra_tags("stock");
/// assert_eq!(message.to_string(), "Only two are left.");
/// assert_eq!(message.tags(), "stock warning");
/// ```
///
/// Messages are equal where everything in them is. (In Django, where level and text are.)
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    level: Level,
    text: String,
    extra_tags: Option<String>,
    is_safe: bool,
    level_tag: Cow<'static, str>,
}

impl Message {
    /// A message without tags of its own.
    pub fn new(level: impl Into<Level>, text: impl Into<String>) -> Self {
        let level = level.into();
        Self {
            level,
            text: text.into(),
            extra_tags: None,
            is_safe: false,
            level_tag: level.default_tag().into(),
        }
    }

    /// The same with tags of its own, before that of its level: several are separated by spaces.
    #[must_use]
    pub fn with_extra_tags(mut self, tags: impl Into<String>) -> Self {
        self.extra_tags = Some(tags.into());
        self
    }

    /// The same as HTML that templates do not escape. Django's `mark_safe`.
    ///
    /// Whatever a visitor has typed must be escaped in it, or another visitor's browser runs it.
    #[must_use]
    pub fn mark_safe(mut self) -> Self {
        self.is_safe = true;
        self
    }

    /// The same with the tag that `MESSAGE_TAGS` gives its level.
    pub(super) fn tagged(mut self, tags: &BTreeMap<i64, String>) -> Self {
        self.level_tag = match tags.get(&self.level.get()) {
            Some(tag) => tag.clone().into(),
            None => self.level.default_tag().into(),
        };
        self
    }

    /// How much it matters.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Its text.
    pub fn message(&self) -> &str {
        &self.text
    }

    /// Its own tags, where it was given any; they may be empty.
    pub fn extra_tags(&self) -> Option<&str> {
        self.extra_tags.as_deref()
    }

    /// Whether the text is HTML to be shown as it is. Django's `SafeData`. Everything else has to be escaped.
    pub fn is_safe(&self) -> bool {
        self.is_safe
    }

    /// The tag of its level: that of `MESSAGE_TAGS`, else the default; empty where there is none.
    ///
    /// A message knows `MESSAGE_TAGS` once it came out of [`Messages`](super::Messages).
    pub fn level_tag(&self) -> &str {
        &self.level_tag
    }

    /// All its tags, separated by spaces: what a page puts into the attribute `class`.
    pub fn tags(&self) -> String {
        match self.extra_tags() {
            None | Some("") => self.level_tag().to_owned(),
            Some(extra) if self.level_tag.is_empty() => extra.to_owned(),
            Some(extra) => format!("{extra} {}", self.level_tag),
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_the_messages_own_then_that_of_its_level() {
        let tags = BTreeMap::from([
            (40, "bad".to_owned()),
            (30, String::new()),
            (12, "odd".into()),
        ]);
        let of = |level: i64, extra: Option<&str>| {
            let message = Message::new(level, "text");
            let message = match extra {
                Some(extra) => message.with_extra_tags(extra),
                None => message,
            };
            message.tagged(&tags).tags()
        };
        assert_eq!(of(20, None), "info");
        assert_eq!(of(20, Some("")), "info");
        assert_eq!(of(20, Some("a b")), "a b info");
        assert_eq!(of(40, Some("a")), "a bad");
        assert_eq!(of(30, Some("a")), "a");
        assert_eq!(of(30, None), "");
        assert_eq!(of(12, None), "odd");
        assert_eq!(of(29, None), "");
    }
}
