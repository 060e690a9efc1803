//! From the catalogue to the order.

mod visitor;

use axum::http::StatusCode;
use tempfile::tempdir;
use visitor::{Visitor, open_shop};

const GUEST: [(&str, &str); 3] = [
    ("name", "Mina <b>Kim</b>"),
    ("email", "mina@example.com"),
    ("address", "1 Tea Lane\r\n04524 Seoul"),
];

#[tokio::test]
async fn who_only_looks_around_gets_no_cookie() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut visitor = Visitor::of(&shop);
    for path in ["/", "/cart", "/session", "/no/such/page", "/account"] {
        let page = visitor.get(path).await;
        assert_eq!(page.set_cookies(), [""; 0], "{path}");
    }
    // A page with a form needs the cookie of its token, and no session.
    for path in ["/products/sencha", "/login", "/signup", "/password-reset"] {
        let page = visitor.get(path).await;
        assert_eq!(page.set_cookies().len(), 1, "{path}");
        assert!(page.set_cookie("csrftoken").is_some(), "{path}");
    }
    for (path, form) in [
        (
            "/cart/quantity",
            [("product", "sencha"), ("quantity", "2")].as_slice(),
        ),
        ("/cart/remove", &[("product", "sencha")]),
        ("/session/expiry", &[("expiry", "two_weeks")]),
        ("/session/cycle", &[]),
        ("/session/flush", &[]),
        ("/checkout", &GUEST),
    ] {
        let page = visitor.post(path, form).await;
        assert_eq!(
            (page.status, page.set_cookies()),
            (StatusCode::SEE_OTHER, Vec::new()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_guest_goes_from_the_catalogue_to_the_order() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut visitor = Visitor::of(&shop);

    visitor.get("/").await.shows("Morning Sencha");
    visitor.get("/products/sencha").await.shows("Uji, Japan");
    let sencha = [("product", "sencha"), ("quantity", "2")];
    visitor
        .post_and_follow("/cart/add", &sencha, "/cart")
        .await
        .shows("€19.60");
    let peony = [("product", "peony"), ("quantity", "1")];
    visitor
        .post_and_follow("/cart/add", &peony, "/cart")
        .await
        .shows("White Peony");
    let more = [("product", "sencha"), ("quantity", "3")];
    visitor
        .post_and_follow("/cart/quantity", &more, "/cart")
        .await
        .shows("€29.40");
    let cart = visitor
        .post_and_follow("/cart/remove", &[("product", "peony")], "/cart")
        .await;
    cart.hides("/products/peony");
    cart.shows("€34.30"); // with delivery

    visitor.get("/checkout").await.shows("3 × Morning Sencha");
    let placed = visitor.post("/checkout", &GUEST).await;
    assert_eq!(placed.status, StatusCode::SEE_OTHER);
    let confirmation = visitor.get(placed.location()).await;
    confirmation.shows(placed.location().strip_prefix("/orders/").unwrap());
    confirmation.shows("Mina &lt;b&gt;Kim&lt;&#x2f;b&gt;");
    confirmation.shows("1 Tea Lane<br>04524 Seoul<br>");
    visitor.get("/cart").await.shows("Your cart is empty");
    assert_eq!(visitor.get("/checkout").await.location(), "/cart");
}

#[tokio::test]
async fn a_form_that_is_sent_twice_is_one_order() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut visitor = Visitor::of(&shop);
    visitor
        .post("/cart/add", &[("product", "cups"), ("quantity", "1")])
        .await;
    visitor.get("/checkout").await;
    let mut impatient = visitor.clone();
    let (first, second) = tokio::join!(
        visitor.post("/checkout", &GUEST),
        impatient.post("/checkout", &GUEST)
    );
    // Where the first was done before the second began, the cart was empty by then.
    for page in [first, second] {
        let location = page.location();
        assert!(
            location == "/cart" || location.starts_with("/orders/FL-"),
            "{location}"
        );
    }
    shop.close().await;
    let file = directory.path().join("shop.sqlite3");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", file.display()))
        .await
        .unwrap();
    let orders: (u32, u32) =
        sqlx::query_as("SELECT count(DISTINCT order_number), sum(quantity) FROM shop_order_line")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(orders, (1, 1));
}

#[tokio::test]
async fn an_order_is_shown_to_nobody_else() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut buyer = Visitor::of(&shop);
    buyer
        .post("/cart/add", &[("product", "cups"), ("quantity", "1")])
        .await;
    let placed = buyer.post("/checkout", &GUEST).await;
    let mut other = Visitor::of(&shop);
    assert_eq!(
        other.get(placed.location()).await.status,
        StatusCode::NOT_FOUND
    );
    other
        .post("/cart/add", &[("product", "cups"), ("quantity", "1")])
        .await;
    assert_eq!(
        other.get(placed.location()).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(buyer.get(placed.location()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn wrong_fields_have_their_messages_and_keep_what_was_typed() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut visitor = Visitor::of(&shop);
    visitor
        .post("/cart/add", &[("product", "cups"), ("quantity", "1")])
        .await;
    let form = [
        ("name", "Mina \"Tea\" Kim"),
        ("email", "mina@"),
        ("address", ""),
    ];
    let page = visitor.post("/checkout", &form).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.shows("id=\"email-error\"");
    page.shows("id=\"address-error\"");
    page.hides("id=\"name-error\"");
    page.shows("Mina &quot;Tea&quot; Kim");
    visitor.get("/cart").await.shows("Two Cups");
    let nothing = visitor.post("/checkout", &[]).await;
    nothing.shows("id=\"name-error\"");
}

#[tokio::test]
async fn two_tabs_that_add_at_once_lose_nothing() {
    const TABS: u32 = 16;
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut visitor = Visitor::of(&shop);
    visitor
        .post("/cart/add", &[("product", "sencha"), ("quantity", "1")])
        .await;
    let tabs: Vec<_> = (0..TABS)
        .map(|_| {
            let mut tab = visitor.clone();
            tokio::spawn(async move {
                tab.post("/cart/add", &[("product", "sencha"), ("quantity", "1")])
                    .await
                    .status
            })
        })
        .collect();
    for tab in tabs {
        assert_eq!(tab.await.unwrap(), StatusCode::SEE_OTHER);
    }
    visitor
        .get("/cart")
        .await
        .shows(&format!("value=\"{}\"", TABS + 1));
}

#[tokio::test]
async fn a_cart_survives_a_restart_in_every_engine_that_keeps_it() {
    let files = tempdir().unwrap();
    let file_path = files.path().to_str().unwrap();
    for engine in ["db", "cached_db", "file", "signed_cookies"] {
        let directory = tempdir().unwrap();
        let settings = [("SESSION_ENGINE", engine), ("SESSION_FILE_PATH", file_path)];
        let shop = open_shop(directory.path(), &settings).await;
        let mut visitor = Visitor::of(&shop);
        visitor
            .post("/cart/add", &[("product", "oolong"), ("quantity", "4")])
            .await;
        shop.close().await;

        let reopened = open_shop(directory.path(), &settings).await;
        let mut returning = Visitor::of(&reopened);
        returning.cookies.clone_from(&visitor.cookies);
        let cart = returning.get("/cart").await;
        cart.shows("High Mountain Oolong");
        cart.shows("value=\"4\"");
    }
}

#[tokio::test]
async fn bad_input_is_told_in_the_shops_own_pages() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut visitor = Visitor::of(&shop);
    for quantity in ["", "0", "100", "-1", "1.5", "4294967297", "many"] {
        let page = visitor
            .post(
                "/cart/add",
                &[("product", "sencha"), ("quantity", quantity)],
            )
            .await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{quantity}");
        page.shows("That form cannot be read");
    }
    let unknown = visitor
        .post("/cart/add", &[("product", "coffee"), ("quantity", "1")])
        .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let page = visitor.get("/products/coffee").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    page.shows("This shelf is empty");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let long = "x".repeat(20_000);
    let page = visitor.post("/checkout", &[("name", &long)]).await;
    assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE);
    page.shows("That is too much");
    assert_eq!(
        visitor.get("/cart/add").await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(visitor.session(), None);
}

#[tokio::test]
async fn pages_are_guarded_by_their_headers() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut visitor = Visitor::of(&shop);
    for path in ["/", "/no/such/page"] {
        let page = visitor.get(path).await;
        assert!(
            page.header("content-security-policy")
                .starts_with("default-src 'none';")
        );
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("referrer-policy"), "same-origin");
        assert_eq!(page.header("cache-control"), "no-store");
        page.hides("<script");
        page.hides("style=\"");
    }
    let style = visitor.get("/style.css").await;
    assert_eq!(style.header("vary"), "");
    assert!(style.header("cache-control").contains("immutable"));
}
