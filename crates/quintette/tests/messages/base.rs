//! What every storage does: the groups of `tests/messages_tests/base.py` in Django.

use quintette::messages::{DEFAULT_LEVELS, Level, Message, Messages};
use quintette::sessions::SessionError;
use quintette::settings::{MessageStorageName, Settings};

use crate::site::{STORAGES, Site, Visitor, lines, peek, show};

/// Visitors of sites with each of the storages.
fn visitors() -> impl Iterator<Item = (MessageStorageName, Visitor)> {
    STORAGES
        .into_iter()
        .map(|storage| (storage, Site::new(storage).visitor()))
}

async fn two(messages: Messages) {
    messages.info("Test message 1");
    messages.add_with_tags(Level::INFO, "Test message 2", "tag");
}

const TWO: &str = "info:Test message 1\ntag info:Test message 2\n";

#[tokio::test]
async fn a_message_is_shown_by_the_next_page_and_by_no_later_one() {
    for (storage, mut visitor) in visitors() {
        visitor.get(two).await;
        assert_eq!(visitor.reads().await, TWO, "{storage}");
        assert_eq!(visitor.reads().await, "", "{storage}");
        assert_eq!(
            visitor.stored().await,
            [Vec::<String>::new(), vec![]],
            "{storage}"
        );
    }
}

#[tokio::test]
async fn messages_of_several_requests_are_shown_together_in_their_order() {
    for (storage, mut visitor) in visitors() {
        for text in ["a", "b", "c"] {
            visitor
                .get(async move |messages: Messages| messages.info(text))
                .await;
        }
        assert_eq!(
            visitor.reads().await,
            "info:a\ninfo:b\ninfo:c\n",
            "{storage}"
        );
    }
}

#[tokio::test]
async fn a_message_added_before_the_page_is_shown_is_in_it_and_gone_after() {
    for (storage, mut visitor) in visitors() {
        visitor.get(two).await;
        let handler = async |messages: Messages| {
            messages.info("Test message 3");
            show(messages).await
        };
        let shown = visitor.get(handler).await.body;
        assert_eq!(shown, format!("{TWO}info:Test message 3\n"), "{storage}");
        assert_eq!(visitor.reads().await, "", "{storage}");
    }
}

#[tokio::test]
async fn a_message_added_after_the_page_was_shown_waits_for_the_next() {
    for (storage, mut visitor) in visitors() {
        visitor.get(two).await;
        let handler = async |messages: Messages| {
            let shown = show(messages.clone()).await;
            messages.info("Test message 3");
            shown
        };
        assert_eq!(visitor.get(handler).await.body, TWO, "{storage}");
        assert_eq!(visitor.reads().await, "info:Test message 3\n", "{storage}");
    }
}

#[tokio::test]
async fn taking_twice_in_one_request_gives_the_same_messages_again() {
    for (storage, mut visitor) in visitors() {
        visitor.get(two).await;
        let handler = async |messages: Messages| -> Result<String, SessionError> {
            let first = messages.take().await?;
            assert_eq!(messages.clone().take().await?, first);
            assert_eq!(messages.len().await?, 2);
            Ok(lines(&first))
        };
        assert_eq!(visitor.get(handler).await.body, TWO, "{storage}");
    }
}

#[tokio::test]
async fn looking_at_messages_leaves_them_for_the_next_page() {
    for (storage, mut visitor) in visitors() {
        visitor.get(two).await;
        let before = visitor.cookies.clone();
        let answer = visitor.get(peek).await;
        assert_eq!(answer.body, TWO, "{storage}");
        assert_eq!(answer.set_cookies, Vec::<String>::new(), "{storage}");
        assert_eq!(visitor.cookies, before, "{storage}");
        assert_eq!(visitor.reads().await, TWO, "{storage}");
    }
}

#[tokio::test]
async fn messages_that_are_looked_at_include_those_of_this_request() {
    for (storage, mut visitor) in visitors() {
        visitor.get(two).await;
        let handler = async |messages: Messages| {
            assert!(!messages.is_empty().await.unwrap());
            messages.info("Test message 3");
            peek(messages).await
        };
        let expected = format!("{TWO}info:Test message 3\n");
        assert_eq!(visitor.get(handler).await.body, expected, "{storage}");
        assert_eq!(visitor.reads().await, expected, "{storage}");
    }
}

#[tokio::test]
async fn a_page_that_does_not_ask_for_messages_leaves_them() {
    for (storage, mut visitor) in visitors() {
        visitor.get(two).await;
        let answer = visitor.get(async |_: Messages| "hello").await;
        assert_eq!(answer.set_cookies, Vec::<String>::new(), "{storage}");
        assert_eq!(visitor.reads().await, TWO, "{storage}");
    }
}

#[tokio::test]
async fn an_empty_message_is_none() {
    for (storage, mut visitor) in visitors() {
        let answer = visitor
            .get(async |messages: Messages| messages.error(""))
            .await;
        assert_eq!(answer.set_cookies, Vec::<String>::new(), "{storage}");
        assert_eq!(visitor.reads().await, "", "{storage}");
    }
}

#[tokio::test]
async fn each_level_has_its_method() {
    for (storage, mut visitor) in visitors() {
        let handler = async |messages: Messages| {
            messages.set_level(Level::DEBUG);
            messages.debug("a");
            messages.info("b");
            messages.success("c");
            messages.warning("d");
            messages.error("e");
        };
        visitor.get(handler).await;
        let expected = "debug:a\ninfo:b\nsuccess:c\nwarning:d\nerror:e\n";
        assert_eq!(visitor.reads().await, expected, "{storage}");
    }
}

#[tokio::test]
async fn what_a_message_is_survives_the_way() {
    for (storage, mut visitor) in visitors() {
        let list = [
            Message::new(20, "<b>markup</b>").mark_safe(),
            Message::new(20, "<b>markup</b>"),
            Message::new(20, "none"),
            Message::new(20, "empty").with_extra_tags(""),
            Message::new(i64::MAX, "é 한국어 🍵 \"\\\u{0}").with_extra_tags("a b"),
        ];
        let added = list.clone();
        let add = async move |messages: Messages| {
            for message in added {
                messages.add_message(message);
            }
        };
        visitor.get(add).await;
        let read = async move |messages: Messages| {
            assert_eq!(messages.take().await.unwrap(), list);
        };
        assert_eq!(visitor.get(read).await.status, 200, "{storage}");
    }
}

/// Six messages of different levels, one of them without a name.
fn add_of_all_levels(messages: &Messages) {
    messages.info("A generic info message");
    messages.add(29, "Some custom level");
    messages.add_with_tags(Level::DEBUG, "A debugging message", "extra-tag");
    messages.warning("A warning");
    messages.error("An error");
    messages.success("This was a triumph.");
}

/// How many of the six are kept, and how many of them after the level was set.
async fn kept(configure: fn(&mut Settings), level: Option<i64>) -> usize {
    let site = Site::with(MessageStorageName::Fallback, configure);
    let handler = async move |messages: Messages| {
        messages.set_level(level.map(Level::new));
        add_of_all_levels(&messages);
        messages.len().await.unwrap().to_string()
    };
    site.visitor().get(handler).await.body.parse().unwrap()
}

#[tokio::test]
async fn messages_below_the_level_are_not_kept() {
    assert_eq!(kept(|_| {}, None).await, 5);
    assert_eq!(kept(|_| {}, Some(5)).await, 6);
    assert_eq!(kept(|_| {}, Some(30)).await, 2);
    assert_eq!(kept(|settings| settings.message_level = 29, None).await, 3);
    assert_eq!(
        kept(|settings| settings.message_level = 29, Some(25)).await,
        4
    );
}

#[tokio::test]
async fn the_level_is_that_of_the_setting_until_it_is_set_and_after_it_is_unset() {
    let site = Site::with(MessageStorageName::Fallback, |settings| {
        settings.message_level = 29;
    });
    let handler = async |messages: Messages| {
        assert_eq!(messages.level(), Level::new(29));
        messages.set_level(Level::new(5));
        assert_eq!(messages.clone().level(), Level::new(5));
        messages.set_level(None);
        assert_eq!(messages.level().get(), 29);
    };
    assert_eq!(site.visitor().get(handler).await.status, 200);
}

/// The tags of the six, as they are shown at once and on the next page.
async fn tags(configure: fn(&mut Settings)) -> Vec<String> {
    let site = Site::with(MessageStorageName::Fallback, configure);
    let mut visitor = site.visitor();
    let add = async |messages: Messages| {
        messages.set_level(Level::new(0));
        add_of_all_levels(&messages);
        peek(messages).await
    };
    let at_once = visitor.get(add).await.body;
    assert_eq!(visitor.reads().await, at_once);
    let tags = |line: &str| line.split_once(':').unwrap().0.to_owned();
    at_once.lines().map(tags).collect()
}

#[tokio::test]
async fn tags_are_those_of_the_message_and_that_of_its_level() {
    let expected = ["info", "", "extra-tag debug", "warning", "error", "success"];
    assert_eq!(tags(|_| {}).await, expected);
}

#[tokio::test]
async fn the_settings_have_other_tags_for_levels() {
    let configure = |settings: &mut Settings| {
        let tags = [
            (20, "info"),
            (10, ""),
            (30, ""),
            (40, "bad"),
            (29, "custom"),
        ];
        settings.message_tags = tags.map(|(level, tag)| (level, tag.to_owned())).into();
    };
    let expected = ["info", "custom", "extra-tag", "", "bad", "success"];
    assert_eq!(tags(configure).await, expected);
}

#[tokio::test]
async fn the_named_levels_are_djangos() {
    let expected = [
        ("DEBUG", 10),
        ("INFO", 20),
        ("SUCCESS", 25),
        ("WARNING", 30),
        ("ERROR", 40),
    ];
    assert_eq!(
        DEFAULT_LEVELS.map(|(name, level)| (name, level.get())),
        expected
    );
}
