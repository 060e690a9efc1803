use super::site::{Plan, Site, rendered};

#[tokio::test]
async fn a_stranger_is_djangos_anonymous_user() {
    let page = rendered(
        "{{ user }}|{{ user.username }}|{{ user.is_authenticated }}|{{ user.is_anonymous }}|{{ user.is_staff }}\
         |{{ user.is_superuser }}|{{ user.is_active }}|{{ user.id is none }}|{{ user.email }}|{{ user.get_username() }}",
    )
    .await;
    assert_eq!(page, "AnonymousUser||False|True|False|False|False|True||");
}

#[tokio::test]
async fn nobody_has_logged_in_where_no_layer_says_so() {
    let plan = Plan::new("{{ user }} {{ user.is_authenticated }} {{ perms.shop.add_order }}");
    let site = Plan {
        layers: false,
        ..plan
    };
    assert_eq!(site.build().await.page().await, "AnonymousUser False False");
}

#[tokio::test]
async fn a_user_has_djangos_attributes() {
    let site = Site::new(
        "{{ user }}|{{ user.id }}|{{ user.pk }}|{{ user.username }}|{{ user.get_username }}|{{ user.email }}\
         |{{ user.first_name }}|{{ user.last_name }}|{{ user.get_full_name }}|{{ user.get_full_name() }}\
         |{{ user.get_short_name() }}|{{ user.is_authenticated }}|{{ user.is_anonymous }}|{{ user.is_active }}\
         |{{ user.is_staff }}|{{ user.is_superuser }}|{{ user.last_login is none }}|{{ user.password }}",
    )
    .await;
    assert_eq!(
        site.user("clerk").await.page("/").await,
        "clerk|id-clerk|id-clerk|clerk|clerk|mail@example.com|Ada|L.|Ada L.|Ada L.|Ada|True|False|True|False|False|True|"
    );
}

#[tokio::test]
async fn permissions_are_asked_for_as_in_django() {
    const PAGE: &str = "{{ perms.shop.add_order }} {{ perms.shop.delete_order }} {{ perms.nothing.here }} \
         {{ 'yes' if perms.shop else 'no' }} {{ 'yes' if perms.sho else 'no' }} {{ 'yes' if perms.shops else 'no' }} \
         {{ 'shop.add_order' in perms }} {{ 'shop.delete_order' in perms }} {{ 'shop' in perms }} {{ 'sho' in perms }} \
         {{ 'add_order' in perms.shop }} {{ 'delete_order' in perms.shop }}";
    let site = Site::new(PAGE).await;
    assert_eq!(
        site.user("clerk").await.page("/").await,
        "True False False yes no no True False True False True False"
    );
    assert_eq!(
        site.user("root").await.page("/").await,
        "True True True yes yes yes True True True True True True"
    );
    let nothing = "False False False no no no False False False False False False";
    assert_eq!(site.user("reader").await.page("/").await, nothing);
    assert_eq!(site.user("gone").await.page("/").await, nothing);
    assert_eq!(site.page().await, nothing);
}

#[tokio::test]
async fn permissions_cannot_be_listed() {
    for page in [
        "{% for permission in perms %}{{ permission }}{% endfor %}",
        "{% for permission in perms.shop %}{{ permission }}{% endfor %}",
    ] {
        let site = Site::new(page).await;
        let answer = site.user("clerk").await.get("/").await;
        assert_eq!(answer.status, 500);
        assert!(!answer.body.contains("add_order"));
    }
}
