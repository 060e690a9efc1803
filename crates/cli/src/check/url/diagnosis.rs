//! What a page's headers tell of "it does not save", "anonymous after login" and "gone after a restart".

use std::net::IpAddr;

use http::HeaderMap;
use http::header::VARY;

use super::PageUrl;
use super::client::Answer;
use super::set_cookie::SetCookie;
use crate::check::report::Finding;

/// How long a cookie's name and value may be together, in bytes (RFC 6265bis, section 5.6).
const MAX_COOKIE: usize = 4_096;

/// What the answer to a visitor without a cookie tells.
pub(super) fn first(page: &PageUrl, name: &str, answer: &Answer) -> Vec<Finding> {
    let mut findings = Vec::from_iter(server_error(answer));
    let Some(cookie) =
        SetCookie::find(&answer.headers, name).filter(|cookie| !cookie.is_deletion())
    else {
        if findings.is_empty() {
            findings.push(no_cookie(name, answer));
        }
        return findings;
    };
    findings.extend(dropped_for_secure(page, &cookie));
    findings.extend(refused_for_domain(page, &cookie));
    findings.extend(not_sent_for_path(page, &cookie));
    findings.extend(dropped_for_same_site(&cookie));
    findings.extend(dropped_for_size(&cookie));
    findings.extend(shared_by_caches(&answer.headers));
    findings
}

/// What the answer to the same visitor tells, who now has sent this cookie.
pub(super) fn second(sent: &SetCookie, answer: &Answer) -> Vec<Finding> {
    let mut findings = Vec::from_iter(server_error(answer));
    let Some(cookie) = SetCookie::find(&answer.headers, &sent.name) else {
        return findings;
    };
    if cookie.is_deletion() {
        findings.push(
            Finding::error("The second answer makes the browser forget the session that the first one began.")
                .with_id("quintette.U009")
                .with_hint(
                    "Either the session was not found, and the causes are those of a store that forgets (see \
                     `quintette check --deploy`), or the page itself empties it, as a logout does.",
                ),
        );
    } else if sent.is_key() && cookie.is_key() && sent.value != cookie.value {
        findings.push(
            Finding::error("The session was not found again: the second answer begins another.")
                .with_id("quintette.U008")
                .with_hint(
                    "The store forgets (a cache in the process' memory, or one that keeps nothing), several processes \
                     do not share a store, or they have different values of SECRET_KEY. A page that logs somebody in \
                     also changes the key: then check another page.",
                ),
        );
    }
    findings
}

fn server_error(answer: &Answer) -> Option<Finding> {
    answer.status.is_server_error().then(|| {
        Finding::error(format!(
            "The page fails with {}, and what fails is not saved.",
            answer.status.as_str()
        ))
        .with_id("quintette.U010")
        .with_hint("The service's log says why.")
    })
}

fn no_cookie(name: &str, answer: &Answer) -> Finding {
    let hint = if answer.status.is_redirection() {
        "Redirects are not followed: check the address that it leads to."
    } else if answer.status.is_client_error() {
        "Is this the address of a page? Check one that changes the session, such as a cart."
    } else {
        "Either the page does not change the session (then check one that does, such as a cart), or SessionLayer is \
         missing, or it was added before the route: axum's layers see only the routes above them."
    };
    Finding::error(format!(
        "The answer sets no cookie {name}: there is no session."
    ))
    .with_id("quintette.U001")
    .with_hint(hint)
}

fn dropped_for_secure(page: &PageUrl, cookie: &SetCookie) -> Option<Finding> {
    let message = if is_loopback(&page.host) {
        "The cookie is Secure, and this page is not https: browsers drop it, some but not all with an exception for localhost."
    } else {
        "The cookie is Secure, and this page is not https: browsers drop it, and each request is a new visitor."
    };
    cookie.secure.then(|| {
        Finding::error(message).with_id("quintette.U002").with_hint(
            "As it should be where visitors come over https and a proxy speaks http to this address. For development \
             over http, set SESSION_COOKIE_SECURE = false.",
        )
    })
}

fn refused_for_domain(page: &PageUrl, cookie: &SetCookie) -> Option<Finding> {
    let domain = cookie
        .domain
        .as_deref()
        .filter(|domain| !may_set(&page.host, domain))?;
    Some(
        Finding::error(format!("The cookie's Domain={domain} does not cover the host {}: browsers refuse it.", page.host))
            .with_id("quintette.U003")
            .with_hint(
                "Leave SESSION_COOKIE_DOMAIN out, or set it to the public host or a parent of it. Behind a proxy, check \
                 with the public name.",
            ),
    )
}

fn not_sent_for_path(page: &PageUrl, cookie: &SetCookie) -> Option<Finding> {
    let path = cookie
        .path
        .as_deref()
        .filter(|path| !covers(path, &page.path))?;
    Some(
        Finding::error(format!(
            "The cookie's Path={path} does not cover {}: browsers do not send it back to this page.",
            page.path
        ))
        .with_id("quintette.U004")
        .with_hint("Set SESSION_COOKIE_PATH = \"/\", or the public path as it is before a proxy rewrites it."),
    )
}

fn dropped_for_same_site(cookie: &SetCookie) -> Option<Finding> {
    let none = cookie.same_site.as_deref() == Some("none");
    (none && !cookie.secure).then(|| {
        Finding::error("The cookie has SameSite=None without Secure: browsers drop it.")
            .with_id("quintette.U005")
            .with_hint("Set SESSION_COOKIE_SECURE = true, or SESSION_COOKIE_SAMESITE = \"Lax\".")
    })
}

fn dropped_for_size(cookie: &SetCookie) -> Option<Finding> {
    (cookie.size() > MAX_COOKIE).then(|| {
        Finding::error(format!(
            "The cookie has {} bytes, and browsers drop it from {} on.",
            cookie.size(),
            MAX_COOKIE + 1
        ))
        .with_id("quintette.U006")
        .with_hint("Keep less in the session, or take an engine that keeps it on the server, such as \"db\".")
    })
}

fn shared_by_caches(headers: &HeaderMap) -> Option<Finding> {
    let varies = headers
        .get_all(VARY)
        .iter()
        .flat_map(|header| header.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|name| name == b"*" || name.eq_ignore_ascii_case(b"cookie"));
    (!varies).then(|| {
        Finding::warning("The answer has no `Vary: Cookie`: a cache in between may give one visitor's page to another.")
            .with_id("quintette.U007")
            .with_hint("SessionLayer adds it. Look for what takes it out again: an outer layer, or the proxy.")
    })
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Whether a host may set a cookie for a domain (RFC 6265, sections 5.1.3 and 5.3).
fn may_set(host: &str, domain: &str) -> bool {
    let below = || {
        host.strip_suffix(domain)
            .is_some_and(|rest| rest.ends_with('.'))
            && host.parse::<IpAddr>().is_err()
    };
    // A domain of one word, such as `com`, belongs to nobody.
    host == domain || (domain.contains('.') && below())
}

/// Whether a cookie of this path is sent to a page (RFC 6265, section 5.1.4).
fn covers(cookie: &str, page: &str) -> bool {
    page.strip_prefix(cookie)
        .is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
