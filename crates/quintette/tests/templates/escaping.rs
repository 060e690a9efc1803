use axum::body::Body;
use http::Request;

use super::site::{Site, rendered};

const ATTACK: &str = "<script>alert('x')</script>\"'&";
const HARMLESS: &str = "&lt;script&gt;alert(&#x27;x&#x27;)&lt;&#x2f;script&gt;&quot;&#x27;&amp;";

#[tokio::test]
async fn what_a_browser_takes_for_markup_is_escaped() {
    assert_eq!(rendered("{{ html }}").await, "&lt;b&gt;&amp;&quot;&#x27;");
}

#[tokio::test]
async fn no_value_of_a_request_becomes_markup() {
    let site = Site::new(
        "{{ request.path }}|{{ request.GET.q }}|{{ request.GET }}|{{ request }}|{{ request.META.HTTP_REFERER }}\
         |{{ request.headers.referer }}|{{ request.COOKIES.c }}|{{ request.get_full_path() }}\
         |{% for name in request.GET %}{{ name }}{% endfor %}|{{ request.COOKIES }}",
    )
    .await;
    let request = Request::get("/%3Cscript%3E'?q=%3Cscript%3E&%3Cscript%3E=1&raw='%22")
        .header("referer", ATTACK)
        .header("cookie", "c=<script>");
    let answer = site
        .visitor()
        .send(request.body(Body::empty()).unwrap())
        .await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains(HARMLESS), "{}", answer.body);
    assert!(
        !answer.body.contains(['<', '>', '"', '\'']),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn no_user_name_becomes_markup() {
    let site = Site::new("{{ user }}|{{ user.username }}|{{ user.get_username() }}").await;
    let mut user = site.visitor();
    user.get("/-/login/%3Cscript%3Ealert('x')%3C%2Fscript%3E%22'&")
        .await;
    let page = user.page("/").await;
    assert_eq!(page, [HARMLESS; 3].join("|"));
}

#[tokio::test]
async fn no_message_becomes_markup() {
    let site = Site::new("{% for m in messages %}{{ m }}|{{ m.message }}{% endfor %}").await;
    let mut visitor = site.visitor();
    visitor.is_told(ATTACK, false).await;
    assert_eq!(visitor.page("/").await, [HARMLESS; 2].join("|"));
    visitor.is_told(ATTACK, false).await;
    let site = Site::new("{{ messages }}").await;
    let mut other = site.visitor();
    other.cookies = visitor.cookies.clone();
    let page = other.page("/").await;
    assert!(
        page.contains("script") && !page.contains(['<', '>', '"', '\'']),
        "{page}"
    );
}
