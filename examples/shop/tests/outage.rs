//! What a visitor sees while the store is away, and after.

mod visitor;

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use quintette_testkit::servers::{Postgres, Redis};
use tempfile::tempdir;
use visitor::{Page, Visitor, open_shop};

const SENCHA: [(&str, &str); 2] = [("product", "sencha"), ("quantity", "1")];

/// A page of the shop, and not the bare text of the session layer.
#[track_caller]
fn asks_to_come_back(page: &Page) {
    assert_eq!(
        page.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        page.body
    );
    assert_eq!(page.header("retry-after"), "2");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(
        page.set_cookie("sessionid"),
        None,
        "the visitor stays who she is"
    );
    page.shows("Back in a moment");
    page.shows("Five Leaves");
    page.hides("127.0.0.1");
}

/// A visitor with one sencha in her cart, in a shop with these settings.
async fn visitor_of_a_shop(settings: &[(&str, &str)]) -> (tempfile::TempDir, Visitor) {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), settings).await;
    let mut visitor = Visitor::of(&shop);
    visitor.post_and_follow("/cart/add", &SENCHA, "/cart").await;
    (directory, visitor)
}

async fn clicks_in_vain(visitor: &mut Visitor) {
    asks_to_come_back(&visitor.get("/cart").await);
    asks_to_come_back(&visitor.post("/cart/add", &SENCHA).await);
    asks_to_come_back(&visitor.get("/").await);
}

/// Does as the page says: tries again after a while.
async fn goes_on(visitor: &mut Visitor) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while visitor.get("/cart").await.status != StatusCode::OK {
        assert!(Instant::now() < deadline, "the shop does not come back");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    visitor
        .post_and_follow("/cart/add", &SENCHA, "/cart")
        .await
        .shows("€19.60"); // two of them
}

#[tokio::test(flavor = "multi_thread")]
async fn while_postgresql_is_away_the_shop_asks_for_patience_and_comes_back_by_itself() {
    let server = Postgres::start().unwrap();
    let (_directory, mut visitor) = visitor_of_a_shop(&[("DATABASE_URL", &server.url())]).await;
    server.kill();
    clicks_in_vain(&mut visitor).await;
    server.restart().unwrap();
    goes_on(&mut visitor).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_the_shop_asks_for_patience_and_comes_back_by_itself() {
    let server = Redis::durable().unwrap();
    let settings = [("SESSION_ENGINE", "cache"), ("CACHE_URL", &server.url())];
    let (_directory, mut visitor) = visitor_of_a_shop(&settings).await;
    server.kill();
    clicks_in_vain(&mut visitor).await;
    server.restart().unwrap();
    goes_on(&mut visitor).await;
}
