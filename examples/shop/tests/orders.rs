//! Whose orders are whose: guests', customers', and staff, who see all.

mod visitor;

use axum::http::StatusCode;
use tempfile::tempdir;
use visitor::{Visitor, grant, open_shop};

const PASSWORD: &str = "correct horse";
const FORM: [(&str, &str); 3] = [
    ("name", "Mei Lin"),
    ("email", "mei@example.com"),
    ("address", "1 Tea Lane\r\n04524 Seoul"),
];

/// Orders two cups; the number.
async fn order(visitor: &mut Visitor) -> String {
    visitor
        .post("/cart/add", &[("product", "cups"), ("quantity", "2")])
        .await;
    visitor.get("/checkout").await;
    let placed = visitor.post("/checkout", &FORM).await;
    let number = placed.location().strip_prefix("/orders/").unwrap();
    number.to_owned()
}

#[tokio::test]
async fn a_customers_order_is_in_the_account_wherever_she_logs_in() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut mei = Visitor::of(&shop);
    mei.sign_up("mei", PASSWORD).await;
    mei.get("/account")
        .await
        .shows("You have not ordered anything yet.");
    mei.post("/cart/add", &[("product", "cups"), ("quantity", "1")])
        .await;
    let page = mei.get("/checkout").await;
    page.shows("You order as <strong>mei</strong>");
    page.shows("value=\"mei@example.com\"");
    let number = order(&mut mei).await;

    let mut elsewhere = Visitor::of(&shop);
    let path = format!("/orders/{number}");
    assert_eq!(elsewhere.get(&path).await.status, StatusCode::NOT_FOUND);
    elsewhere.log_in("mei", PASSWORD).await;
    let page = elsewhere.get("/account").await;
    page.shows(&number);
    page.shows("3 pieces");
    elsewhere.get(&path).await.shows("It is in your account.");

    // After a logout nothing of it is left at this browser.
    mei.post("/logout", &[]).await;
    assert_eq!(mei.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nobody_sees_the_orders_of_another() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut mei = Visitor::of(&shop);
    mei.sign_up("mei", PASSWORD).await;
    let number = order(&mut mei).await;
    let mut yusuf = Visitor::of(&shop);
    yusuf.sign_up("yusuf", PASSWORD).await;
    yusuf.get("/account").await.hides(&number);
    let page = yusuf.get(&format!("/orders/{number}")).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_guests_order_stays_with_the_browser_through_a_login() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut visitor = Visitor::of(&shop);
    let number = order(&mut visitor).await;
    visitor.sign_up("mei", PASSWORD).await;
    visitor
        .get(&format!("/orders/{number}"))
        .await
        .shows("Two Cups");
    visitor.get("/account").await.hides(&number);
}

#[tokio::test]
async fn only_staff_see_all_orders() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut guest = Visitor::of(&shop);
    let number = order(&mut guest).await;

    let mut clerk = Visitor::of(&shop);
    clerk.sign_up("clerk", PASSWORD).await;
    clerk.get("/account").await.hides("/staff/orders");
    let page = clerk.get("/staff/orders").await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    page.shows("Staff only");
    page.hides(&number);

    grant(directory.path(), "clerk", &["shop.view_order"]).await;

    clerk.get("/account").await.shows("/staff/orders");
    let page = clerk.get("/staff/orders").await;
    page.shows(&number);
    page.shows("<small>guest</small>");
    let page = clerk.get(&format!("/orders/{number}")).await;
    page.shows("An order of Mei Lin");
    page.shows("You may see it because you are staff.");
}

#[tokio::test]
async fn orders_do_not_pass_to_the_same_number_in_another_database() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut mei = Visitor::of(&shop);
    mei.sign_up("mei", PASSWORD).await;
    let number = order(&mut mei).await;
    shop.close().await;

    let other = format!("sqlite://{}/users.sqlite3", directory.path().display());
    let shop = open_shop(directory.path(), &[("DATABASE_URL", &other)]).await;
    let mut yusuf = Visitor::of(&shop);
    yusuf.sign_up("yusuf", PASSWORD).await;
    yusuf.get("/account").await.hides(&number);
    let page = yusuf.get(&format!("/orders/{number}")).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_orders_of_a_shop_without_accounts_are_kept() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("shop.sqlite3");
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&file)
        .create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    for statement in [
        "CREATE TABLE shop_order (
            number TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, address TEXT NOT NULL,
            goods_cents INTEGER NOT NULL, delivery_cents INTEGER NOT NULL, total_cents INTEGER NOT NULL,
            placed_at TEXT NOT NULL)",
        "INSERT INTO shop_order VALUES ('FL-OLD', 'Mei', 'm@example.com', 'Seoul', 1, 0, 1, 'once')",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    pool.close().await;
    let shop = open_shop(directory.path(), &[]).await;
    let mut mei = Visitor::of(&shop);
    mei.sign_up("mei", PASSWORD).await;
    order(&mut mei).await;
    shop.close().await;
    open_shop(directory.path(), &[]).await;
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", file.display()))
        .await
        .unwrap();
    let orders: (u32, u32) = sqlx::query_as("SELECT count(*), count(owner) FROM shop_order")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(orders, (2, 1));
}
