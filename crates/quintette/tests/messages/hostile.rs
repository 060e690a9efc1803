//! What a stranger can send: a cookie that is no cookie of messages holds none, and is never an error.

use http::{HeaderMap, HeaderValue};
use quintette::messages::Messages;
use quintette::settings::MessageStorageName;
use quintette::signing::{Keys, cookie_signer};

use crate::site::{Site, show, signed};

const LIST: &str = r#"[["__json_message",1,40,"<script>",""]]"#;

async fn shown(storage: MessageStorageName, cookie: &str) -> String {
    let answer = Site::new(storage)
        .visitor()
        .with_cookie("messages", cookie)
        .get(show)
        .await;
    assert_eq!(answer.status, 200, "{cookie}");
    answer.body
}

#[tokio::test]
async fn a_cookie_signed_with_another_key_or_salt_holds_no_messages() {
    let other = Keys::new("another secret");
    let ours = Keys::new(crate::site::SECRET_KEY);
    for signer in [
        cookie_signer(&other, "django.contrib.messages"),
        cookie_signer(&ours, "django.contrib.sessions"),
        cookie_signer(&ours, ""),
    ] {
        let forged = signer.sign_bytes(LIST.as_bytes(), true);
        assert_eq!(shown(MessageStorageName::Fallback, &forged).await, "");
    }
    assert_eq!(
        shown(MessageStorageName::Fallback, &signed(LIST)).await,
        "error:<script>\n"
    );
}

#[tokio::test]
async fn a_cookie_cut_or_changed_anywhere_holds_no_messages() {
    let cookie = signed(LIST);
    for at in 0..cookie.len() {
        assert_eq!(shown(MessageStorageName::Fallback, &cookie[..at]).await, "");
        let mut changed = cookie.clone().into_bytes();
        changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(
            shown(MessageStorageName::Cookie, &changed).await,
            "",
            "{changed}"
        );
    }
}

#[tokio::test]
async fn rubbish_holds_no_messages() {
    let long = "a".repeat(100_000);
    let colons = ":".repeat(10_000);
    for cookie in [
        "",
        ":",
        "::",
        "a:b:c",
        ".:.:.",
        "\"\\",
        "\"\\377\"",
        "한:글:값",
        &long,
        &colons,
    ] {
        for storage in [MessageStorageName::Fallback, MessageStorageName::Cookie] {
            assert_eq!(shown(storage, cookie).await, "", "{cookie}");
        }
    }
}

#[tokio::test]
async fn well_signed_rubbish_holds_no_messages() {
    let deep = "[".repeat(100_000);
    let nested = format!("{}{}", "[".repeat(2_000), "]".repeat(2_000));
    for json in [
        "",
        "[",
        "nul",
        "7",
        "{}",
        "\"a\"",
        "null",
        "[null]",
        "[[]]",
        "[[[]]]",
        "NaN",
        "[NaN]",
        r#"["__json_message",0,20,"a"]"#,
        r#"[["__json_message",0,20]]"#,
        r#"[["__json_message",0,20,7]]"#,
        r#"[["__json_message",0,"20","a"]]"#,
        r#"[["__json_message",0,1e400,"a"]]"#,
        r#"[["__json_message",0,99999999999999999999,"a"]]"#,
        r#"[["__json_message",0,20,"a","b","c"]]"#,
        &deep,
        &nested,
    ] {
        assert_eq!(
            shown(MessageStorageName::Fallback, &signed(json)).await,
            "",
            "{json:.40}"
        );
    }
}

#[tokio::test]
async fn what_is_no_message_in_a_list_does_not_hide_the_others() {
    let list = r#"["x",["__json_message",0,20,"a"],[1],["__json_message",0,20,"b",null]]"#;
    assert_eq!(
        shown(MessageStorageName::Fallback, &signed(list)).await,
        "info:a\ninfo:b\n"
    );
}

#[tokio::test]
async fn a_signed_bomb_is_refused() {
    let bomb = signed(&format!("[\"{}\"]", " ".repeat(17 << 20)));
    assert!(bomb.len() < 64 << 10);
    assert_eq!(shown(MessageStorageName::Fallback, &bomb).await, "");
}

#[tokio::test]
async fn a_damaged_cookie_goes_with_the_response_that_noticed_it() {
    let site = Site::new(MessageStorageName::Cookie);
    let mut visitor = site.visitor().with_cookie("messages", "rubbish");
    let peek = async |messages: Messages| messages.is_empty().await.unwrap().to_string();
    let answer = visitor.get(peek).await;
    assert_eq!(answer.body, "true");
    assert!(answer.messages_cookie().unwrap().contains("Max-Age=0"));
    assert!(visitor.cookies.is_empty());
}

#[tokio::test]
async fn a_new_message_takes_the_place_of_a_damaged_cookie() {
    for storage in [MessageStorageName::Fallback, MessageStorageName::Cookie] {
        let mut visitor = Site::new(storage)
            .visitor()
            .with_cookie("messages", "rubbish");
        visitor
            .get(async |messages: Messages| messages.info("a"))
            .await;
        assert_eq!(visitor.reads().await, "info:a\n");
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_hold_no_messages() {
    let site = Site::new(MessageStorageName::Cookie);
    let mut headers = HeaderMap::new();
    let bytes = b"messages=\xff\xfe:\x80:\xff".as_slice();
    headers.insert(
        http::header::COOKIE,
        HeaderValue::from_bytes(bytes).unwrap(),
    );
    assert_eq!(crate::layer::send(&site, headers, show).await.body, "");
}
