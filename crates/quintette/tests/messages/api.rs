//! The functions: `tests/messages_tests/test_api.py` and `tests.py` in Django.

use quintette::messages::{Level, Message};

#[test]
fn messages_are_compared_by_what_they_say() {
    let message = Message::new(Level::INFO, "Test message 1");
    assert_eq!(message, Message::new(20, "Test message 1"));
    assert_ne!(message, Message::new(Level::INFO, "Test message 2"));
    assert_ne!(message, Message::new(Level::WARNING, "Test message 1"));
}

#[test]
fn a_message_displays_its_text() {
    let message = Message::new(Level::INFO, "thing").with_extra_tags("tag1 tag2");
    assert_eq!(message.to_string(), "thing");
    assert_eq!(
        (message.extra_tags(), message.level_tag()),
        (Some("tag1 tag2"), "info")
    );
    assert_eq!(message.tags(), "tag1 tag2 info");
}
