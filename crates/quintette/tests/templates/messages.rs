use quintette::templates::formatter;

use super::site::{Plan, Site};

const LIST: &str =
    "{% for message in messages %}<li class=\"{{ message.tags }}\">{{ message }}</li>{% endfor %}";

#[tokio::test]
async fn messages_are_shown_once() {
    let site = Site::new(LIST).await;
    let mut visitor = site.visitor();
    visitor.is_told("Ordered", false).await;
    visitor.is_told("Paid", false).await;
    assert_eq!(
        visitor.page("/").await,
        "<li class=\"order success\">Ordered</li><li class=\"order success\">Paid</li>"
    );
    assert_eq!(visitor.page("/").await, "");
}

#[tokio::test]
async fn to_ask_whether_there_are_messages_is_not_to_show_them() {
    let site = Site::new(
        "{% if messages %}{{ messages|length }}{% endif %}\
         {% if request.GET.show %}{% for m in messages %} {{ m }}{% endfor %}{% endif %}",
    )
    .await;
    let mut visitor = site.visitor();
    visitor.is_told("Ordered", false).await;
    assert_eq!(visitor.page("/").await, "1");
    assert_eq!(visitor.page("/").await, "1");
    assert_eq!(visitor.page("/?show=1").await, "1 Ordered");
    assert_eq!(visitor.page("/").await, "");
}

#[tokio::test]
async fn a_message_has_djangos_attributes() {
    let site = Site::new(
        "{% for m in messages %}{{ m.message }}|{{ m.level }}|{{ m.level_tag }}|{{ m.tags }}|{{ m.extra_tags }}\
         |{{ m.level == DEFAULT_MESSAGE_LEVELS.SUCCESS }}{% endfor %}",
    )
    .await;
    let mut visitor = site.visitor();
    visitor.is_told("Ordered", false).await;
    assert_eq!(
        visitor.page("/").await,
        "Ordered|25|success|order success|order|True"
    );
}

#[tokio::test]
async fn a_page_that_fails_shows_no_messages() {
    let site = Site::new(
        "{% for m in messages %}{{ m }}{% endfor %}{% if request.GET.fail %}{{ nobody.at.all }}{% endif %}",
    )
    .await;
    let mut visitor = site.visitor();
    visitor.is_told("Ordered", false).await;
    assert_eq!(visitor.get("/?fail=1").await.status, 500);
    assert_eq!(visitor.page("/").await, "Ordered");
}

#[tokio::test]
async fn only_what_is_marked_as_safe_is_not_escaped() {
    let mut plan = Plan::new("{% for m in messages %}{{ m }}|{{ m.message }};{% endfor %}");
    plan.environment.set_formatter(formatter);
    let site = plan.build().await;
    let mut visitor = site.visitor();
    visitor.is_told("<b>bold</b>", true).await;
    visitor.is_told("<script>alert(1)</script>", false).await;
    assert_eq!(
        visitor.page("/").await,
        "<b>bold</b>|<b>bold</b>;\
         &lt;script&gt;alert(1)&lt;&#x2f;script&gt;|&lt;script&gt;alert(1)&lt;&#x2f;script&gt;;"
    );
}

#[tokio::test]
async fn without_the_formatter_a_safe_message_is_escaped_unless_its_text_is_asked_for() {
    let site = Site::new("{% for m in messages %}{{ m }}|{{ m.message }}{% endfor %}").await;
    let mut visitor = site.visitor();
    visitor.is_told("<b>bold</b>", true).await;
    assert_eq!(
        visitor.page("/").await,
        "&lt;b&gt;bold&lt;&#x2f;b&gt;|<b>bold</b>"
    );
}

#[tokio::test]
async fn there_are_no_messages_where_no_layer_keeps_them() {
    let plan = Plan::new("{{ messages|length }}{% for m in messages %}{{ m }}{% endfor %}");
    let site = Plan {
        layers: false,
        ..plan
    };
    assert_eq!(site.build().await.page().await, "0");
}
