//! The page that a refused visitor sees. Django's `csrf_failure`.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use super::failure::{CsrfFailure, CsrfReason};

/// A 403 that says what a visitor can do, and with `DEBUG` why, and what a developer can do.
pub(super) fn forbidden(failure: &CsrfFailure<'_>) -> Response<Full<Bytes>> {
    let advice = match failure.reason() {
        CsrfReason::NoReferer => {
            "<p>Your browser did not tell which page the form was on (the header <code>Referer</code>). If it was told \
             not to, allow it for this site.</p>"
        }
        CsrfReason::NoCookie => {
            "<p>Your browser did not send the cookie that came with the form. If cookies are blocked, allow them for \
             this site.</p>"
        }
        _ => "",
    };
    let more = if failure.debug() {
        for_developers(failure.reason())
    } else {
        "<p><small>The server's log says why, and so does this page with <code>DEBUG = true</code>.</small></p>"
            .to_owned()
    };
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"robots\" content=\"none\">\n<title>403 Forbidden</title>\n<style>\n\
         body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem }}\n\
         </style>\n</head>\n<body>\n<h1>Forbidden <small>(403)</small></h1>\n\
         <p>It could not be made sure that this request came from a page of this site. Nothing was done. Go back, reload \
         the page, and try again.</p>\n{advice}\n{more}\n</body>\n</html>\n"
    );
    let mut response = Response::new(Full::from(html));
    *response.status_mut() = StatusCode::FORBIDDEN;
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
    response
}

fn for_developers(reason: &CsrfReason) -> String {
    let mend = match reason {
        CsrfReason::BadOrigin(_) => {
            "Name the origin in <code>CSRF_TRUSTED_ORIGINS</code>, if its forms are to be taken. If it is this site's own, \
             the site does not know its address: a proxy has to pass the <code>Host</code> on, \
             <code>ALLOWED_HOSTS</code> has to name it, and behind https <code>SECURE_PROXY_SSL_HEADER</code> has to be \
             set."
        }
        CsrfReason::NoReferer | CsrfReason::MalformedReferer | CsrfReason::InsecureReferer => {
            "Over https, a request without <code>Origin</code> needs the address of an https page in \
             <code>Referer</code>. A <code>Referrer-Policy: no-referrer</code> takes both away: use \
             <code>same-origin</code>."
        }
        CsrfReason::BadReferer(_) => {
            "Name the origin of that page in <code>CSRF_TRUSTED_ORIGINS</code>, if its forms are to be taken, or the \
             domain that the sites share in <code>CSRF_COOKIE_DOMAIN</code>."
        }
        CsrfReason::NoCookie | CsrfReason::BadCookie(_) => {
            "The page with the form has to call <code>Csrf::token</code>, which sets the cookie. A cookie that is not sent \
             back is <code>Secure</code> on a site without https, of another domain or path, or the page came from a \
             cache."
        }
        CsrfReason::NoToken | CsrfReason::BadToken { .. } => {
            "Each form needs the field <code>csrfmiddlewaretoken</code> with what <code>Csrf::token</code> gives, and each \
             script's request the same in its header. A login gives a new secret: a page from before it has to be \
             reloaded."
        }
    };
    format!(
        "<h2>Why</h2>\n<pre>{}</pre>\n<p>{mend}</p>\n\
         <p><small>You read this because <code>DEBUG</code> is on.</small></p>",
        escape(&reason.to_string())
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#x27;"),
            c => escaped.push(c),
        }
    }
    escaped
}
