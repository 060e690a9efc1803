use axum::body::Body;
use http::Request;

use super::site::{Plan, Site, rendered};

#[tokio::test]
async fn the_request_tells_of_itself_as_in_django() {
    let site = Site::new(
        "{{ request.method }}|{{ request.scheme }}|{{ request.is_secure() }}|{{ request.get_host() }}\
         |{{ request.build_absolute_uri() }}|{{ request.get_full_path() }}|{{ request.META.REMOTE_ADDR }}\
         |{{ request.META.HTTP_REFERER }}|{{ request.headers['User-Agent'] }}|{{ request.headers.user_agent }}\
         |{{ request.COOKIES.tea }}|{{ request.META.QUERY_STRING }}|{{ request.content_type }}",
    )
    .await;
    let request = Request::get("/caf%C3%A9?x=1")
        .header("referer", "http://elsewhere/")
        .header("user-agent", "a browser")
        .header("cookie", "a=b; tea=green")
        .header("content-type", "text/plain; charset=utf-8")
        .body(Body::empty());
    let answer = site.visitor().send(request.unwrap()).await;
    assert_eq!(
        answer.body.replace("&#x2f;", "/"),
        "GET|http|False|testserver|http://testserver/caf%C3%A9?x=1|/caf%C3%A9?x=1||http://elsewhere/|a browser|a browser\
         |green|x=1|text/plain"
    );
}

#[tokio::test]
async fn what_the_query_says_does_not_stand_for_what_the_request_is() {
    let site = Site::new("{{ request.is_secure }} {{ request.path }} {{ request.user }}").await;
    let page = site
        .visitor()
        .page("/here?is_secure=blah&path=/blah/&user=root")
        .await;
    assert_eq!(page, "False &#x2f;here AnonymousUser");
}

#[tokio::test]
async fn the_query_has_the_last_value_of_a_name_and_all_of_them() {
    let site = Site::new(
        "{{ request.GET.page }}|{{ request.GET.get('page') }}|{{ request.GET.getlist('page')|join(',') }}\
         |{{ request.GET.get('none', 'default') }}|{{ 'q' in request.GET }}|{{ 'none' in request.GET }}\
         |{{ request.GET['q'] }}|{% for name in request.GET %}{{ name }},{% endfor %}|{{ request.GET|length }}",
    )
    .await;
    let page = site.visitor().page("/?page=1&q=a+b%26&page=2").await;
    assert_eq!(page, "2|2|1,2|default|True|False|a b&amp;|page,q,|2");
}

#[tokio::test]
async fn a_link_can_keep_the_query() {
    let site = Site::new("<a href=\"/next?{{ request.GET.urlencode() }}\">").await;
    let page = site.visitor().page("/?q=%22%3E%3Cb%3E&page=2").await;
    assert_eq!(page, "<a href=\"/next?q=%22%3E%3Cb%3E&amp;page=2\">");
}

#[tokio::test]
async fn the_session_is_there_for_a_page_that_looks_into_it() {
    let site = Site::new(
        "{% if own == 'another' %}{{ request.session.cart }}{% endif %}\
         {% if request.GET.look %}{{ request.session._auth_user_id }} {{ 'cart' in request.session }} {{ request.session|length }}{% endif %}",
    )
    .await;
    let mut user = site.user("clerk").await;
    user.get("/").await.assert_same_for_all();
    assert!(site.counter.take_calls().is_empty());
    assert_eq!(user.page("/?look=1").await, "id-clerk False 3");
    assert_eq!(site.visitor().page("/?look=1").await, " False 0");
}

#[tokio::test]
async fn the_path_is_the_whole_one_within_a_nested_router() {
    let site = Site::new("{{ request.path }}").await;
    let page = site.visitor().page("/nested/deep").await;
    assert_eq!(page, "&#x2f;nested&#x2f;deep");
}

#[tokio::test]
async fn a_host_that_is_not_this_site_is_a_bad_request() {
    let site = Site::new("{{ request.get_host() }}").await;
    let request = Request::get("/").header("host", "evil.example");
    let answer = site
        .visitor()
        .send(request.body(Body::empty()).unwrap())
        .await;
    assert_eq!(answer.status, 400);
    assert!(!answer.body.contains("evil"));
}

#[tokio::test]
async fn a_method_that_is_none_is_an_error() {
    for page in [
        "{{ request.path() }}",
        "{{ request.close() }}",
        "{{ request.get_host(1) }}",
    ] {
        let site = Plan::new(page).build().await;
        assert_eq!(site.visitor().get("/").await.status, 500, "{page}");
    }
}

#[tokio::test]
async fn a_part_that_is_missing_is_empty() {
    assert_eq!(
        rendered("[{{ request.GET.page }}{{ request.META.HTTP_X }}{{ request.nothing }}]").await,
        "[]"
    );
}
