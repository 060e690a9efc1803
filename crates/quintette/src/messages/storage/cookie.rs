use chrono::Utc;
use http::HeaderValue;
use quintette_core::cookie::{self, CookieAttributes};
use quintette_core::json::RawJson;
use quintette_core::signing::{Keys, TimestampSigner, cookie_signer};

use super::format::{self, Decoded, NOT_FINISHED, Separator};
use super::{Held, Loaded, Source, Unread};

/// The name of the cookie, and Django's `key_salt`.
const NAME: &str = "messages";
const SALT: &str = "django.contrib.messages";
/// In bytes, quoted as in the header. Django's `max_cookie_size`: half of what servers are sure to take in headers.
const MAX_SIZE: usize = 2048;

/// Messages in a signed cookie: `django.contrib.messages.storage.cookie.CookieStorage`.
#[derive(Debug)]
pub(super) struct CookieStorage {
    signer: TimestampSigner,
}

/// What a cookie held.
#[derive(Debug, Default)]
pub(super) struct InCookie {
    /// `None` where there was no cookie, or none that can be read.
    pub(super) decoded: Option<Decoded>,
    damaged: bool,
}

/// Which messages stay where there is no room for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// Django's `remove_oldest=True`.
    Newest,
    Oldest,
}

impl CookieStorage {
    pub(super) fn new(keys: &Keys) -> Self {
        Self {
            signer: cookie_signer(keys, SALT),
        }
    }

    pub(super) fn load(&self, source: &Source) -> InCookie {
        let headers = source.cookies.iter().map(HeaderValue::as_bytes);
        match cookie::value(headers, NAME) {
            None => InCookie::default(),
            Some(value) if value.is_empty() => InCookie::default(),
            Some(value) => {
                let decoded = self.decode(&value);
                let damaged = decoded.is_none();
                InCookie { decoded, damaged }
            }
        }
    }

    /// The `Set-Cookie` header, and what had no room.
    pub(super) fn store(
        &self,
        unread: Unread,
        keep: Keep,
        attributes: CookieAttributes<'_>,
    ) -> (String, Unread) {
        if unread.is_empty() {
            return (attributes.delete(), unread);
        }
        let (value, unstored) = self.fit(unread, keep);
        (attributes.set(&value, None, Utc::now()), unstored)
    }

    /// The cookie's value with as many messages as fit, and the others.
    fn fit(&self, unread: Unread, keep: Keep) -> (String, Unread) {
        let parts: Vec<String> = unread
            .iter()
            .map(|message| format::encode(message, Separator::Compact))
            .collect();
        let all = self.encode(parts.iter().map(String::as_str));
        if all.len() <= MAX_SIZE {
            return (all, Unread::default());
        }
        let cut =
            |parts: &[String]| self.encode(parts.iter().map(String::as_str).chain([NOT_FINISHED]));
        let fits = |parts: &[String]| cut(parts).len() <= MAX_SIZE;
        match keep {
            Keep::Newest => {
                let from = partition(parts.len(), |middle| !fits(&parts[middle..]));
                (cut(&parts[from..]), unread.truncated(from))
            }
            Keep::Oldest => {
                let to = partition(parts.len(), |middle| fits(&parts[..=middle]));
                (cut(&parts[..to]), unread.split_off(to))
            }
        }
    }

    /// Signed. All its characters stand for themselves in a cookie, so that its length is that in the header.
    fn encode<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> String {
        let json = format::join(parts, Separator::Compact);
        self.signer.sign_bytes(json.as_bytes(), true)
    }

    /// The signature is checked before anything else is done with what a stranger has sent.
    fn decode(&self, value: &str) -> Option<Decoded> {
        let payload = match self.signer.unsign_bytes(value, None) {
            Ok(payload) => payload,
            Err(error) => {
                tracing::info!(target: "quintette::messages", "the cookie of messages is ignored: {error}");
                return None;
            }
        };
        let decoded = RawJson::parse_bytes(&payload)
            .ok()
            .as_ref()
            .and_then(format::decode);
        if decoded.is_none() {
            tracing::warn!(target: "quintette::messages", "the cookie of messages is signed, but holds no list of them");
        }
        decoded
    }
}

impl From<InCookie> for Loaded {
    fn from(cookie: InCookie) -> Self {
        let messages = cookie.decoded.unwrap_or_default().messages;
        Self {
            held: Held {
                cookie: !messages.is_empty(),
                ..Held::default()
            },
            messages,
            damaged: cookie.damaged,
        }
    }
}

/// The first of `0..length` that is not `before`, if any is; all that are come first.
fn partition(length: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, length);
    while low < high {
        let middle = low.midpoint(high);
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
