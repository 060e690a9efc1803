//! Whatever a `Cookie` header says is a session or none: nothing fails, and what is written is read again.

#![no_main]

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

use libfuzzer_sys::fuzz_target;
use quintette::cookie;
use quintette::sessions::engines::SignedCookiesEngine;
use quintette::sessions::{CookieAction, Sessions};
use quintette::settings::Settings;

static SESSIONS: LazyLock<[Sessions; 2]> = LazyLock::new(|| {
    [false, true].map(|encrypted| {
        let mut settings = Settings::new("a long and random text");
        settings.session_cookie_encrypted = encrypted;
        Sessions::new(Arc::new(SignedCookiesEngine::new(&settings)), settings)
    })
});

fuzz_target!(|data: &[u8]| {
    // The first line is the cookie's name, each of the others a header.
    let mut lines = data.split(|byte| *byte == b'\n');
    let name = String::from_utf8_lossy(lines.next().unwrap_or_default());
    let _ = cookie::value(lines.clone(), &name);

    for sessions in &*SESSIONS {
        visit(
            sessions,
            cookie::value(lines.clone(), "sessionid").as_deref(),
        );
        // The whole text, too: most of what is tried is no cookie of this name.
        visit(sessions, std::str::from_utf8(data).ok());
    }
});

/// Two requests of one visitor: what the first one stores, the second one reads, whatever cookie there was before.
fn visit(sessions: &Sessions, sent: Option<&str>) {
    let session = sessions.session(sent);
    at_once(session.data()).expect("any cookie is a session");
    session.insert("n", 1).expect("a number is JSON");
    let outcome = at_once(session.finish(false)).expect("it fits in a cookie");
    let CookieAction::Set { key, max_age } = outcome.cookie else {
        panic!("a session that was written sets its cookie");
    };

    let settings = sessions.settings();
    let header = settings
        .session_cookie()
        .set(key.as_str(), max_age, chrono::DateTime::UNIX_EPOCH);
    let (pair, _) = header.split_once("; ").expect("there are attributes");
    let sent = cookie::value([pair.as_bytes()], settings.session_cookie_name.as_str());
    let next = sessions.session(sent.as_deref());
    assert_eq!(at_once(next.get("n")).ok(), Some(Some(1)));
}

/// The engine has no store to wait for.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("a session in a cookie waits for nothing"),
    }
}
