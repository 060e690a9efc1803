//! What the shop does beside its pages: confirmations, sales reports, imports of prices.

mod visitor;

use std::fs;
use std::path::Path;
use std::time::Duration;

use axum::http::StatusCode;
use quintette_testkit::servers::Redis;
use shop::app::Shop;
use tempfile::tempdir;
use tokio::time::{Instant, sleep};
use visitor::{Page, Visitor, grant, open_shop};

const PASSWORD: &str = "correct horse";
const FORM: [(&str, &str); 3] = [
    ("name", "Mei Lin"),
    ("email", "mei@example.com"),
    ("address", "1 Tea Lane\r\n04524 Seoul"),
];
const CUPS: [(&str, &str); 2] = [("product", "cups"), ("quantity", "2")];
const DEADLINE: Duration = Duration::from_mins(1);

/// Orders two cups; the address of the order's page.
async fn order(visitor: &mut Visitor) -> String {
    visitor.post("/cart/add", &CUPS).await;
    visitor.get("/checkout").await;
    let placed = visitor.post("/checkout", &FORM).await;
    assert_eq!(placed.status, StatusCode::SEE_OTHER, "{}", placed.body);
    placed.location().to_owned()
}

/// The names of the mails.
fn mails(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory.join("mail")) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with('.')).collect()
}

/// Loads a page until it shows a text.
async fn until_shown(visitor: &mut Visitor, path: &str, text: &str) -> Page {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let page = visitor.get(path).await;
        if page.body.contains(text) {
            return page;
        }
        assert!(Instant::now() < deadline, "{text:?}: {}", page.body);
        sleep(Duration::from_millis(50)).await;
    }
}

/// How many messages wait, by the tables of kombu's transport.
async fn waiting(directory: &Path) -> i64 {
    let file = directory.join("tasks.sqlite3");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", file.display()))
        .await
        .unwrap();
    sqlx::query_scalar("SELECT count(*) FROM kombu_message WHERE visible")
        .fetch_one(&pool)
        .await
        .unwrap()
}

/// Somebody with these permissions.
async fn staff(directory: &Path, shop: &Shop, permissions: &[&str]) -> Visitor {
    let mut clerk = Visitor::of(shop);
    clerk.sign_up("clerk", PASSWORD).await;
    grant(directory, "clerk", permissions).await;
    clerk
}

#[tokio::test]
async fn an_order_is_confirmed_by_one_mail_though_its_form_is_sent_twice() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut visitor = Visitor::of(&shop);
    visitor.post("/cart/add", &CUPS).await;
    visitor.get("/checkout").await;
    let mut impatient = visitor.clone();
    let (one, other) = tokio::join!(
        visitor.post("/checkout", &FORM),
        impatient.post("/checkout", &FORM)
    );
    let path = one.location();
    assert_eq!(path, other.location());
    let page = visitor.get(path).await;
    page.shows("A confirmation is on its way to <strong>mei@example.com</strong>");
    assert_eq!(waiting(directory.path()).await, 1);

    let background = shop.start_background().unwrap();
    until_shown(&mut visitor, path, "A confirmation was sent to").await;
    background.stop().await;
    let number = path.strip_prefix("/orders/").unwrap();
    assert_eq!(mails(directory.path()), [format!("{number}.eml")]);
    let mail = fs::read_to_string(directory.path().join(format!("mail/{number}.eml"))).unwrap();
    for line in [
        "To: mei@example.com\r\n",
        &format!("Subject: Your order {number}\r\n"),
        "From: \"Five Leaves\" <shop@localhost>\r\n",
    ] {
        assert!(mail.contains(line), "{line:?}: {mail}");
    }
}

#[tokio::test]
async fn what_was_queued_before_a_restart_is_done_after_it() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut visitor = Visitor::of(&shop);
    let path = order(&mut visitor).await;
    shop.close().await;
    drop(shop);
    assert!(mails(directory.path()).is_empty());

    let shop = open_shop(directory.path(), &[]).await;
    let mut again = Visitor::of(&shop);
    again.cookies = visitor.cookies;
    let background = shop.start_background().unwrap();
    until_shown(&mut again, &path, "A confirmation was sent to").await;
    background.stop().await;
    assert_eq!(mails(directory.path()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_taken_while_the_broker_is_away_and_confirmed_when_it_is_back() {
    let directory = tempdir().unwrap();
    let server = Redis::durable().unwrap();
    let settings = [("CELERY_BROKER_URL", &*server.url())];
    server.kill();
    let shop = open_shop(directory.path(), &settings).await;
    let mut visitor = Visitor::of(&shop);
    let path = order(&mut visitor).await;
    let page = visitor.get(&path).await;
    page.shows("Your order is placed.");
    page.shows("The confirmation cannot be sent just now");
    page.shows("your order is safe");
    page.hides("127.0.0.1");
    shop.close().await;

    server.restart().unwrap();
    // With a worker in the shop's process, which a broker of one's own has beside it.
    let shop = visitor::open_working_shop(directory.path(), &settings).await;
    let mut again = Visitor::of(&shop);
    again.cookies = visitor.cookies;
    let background = shop.start_background().unwrap();
    until_shown(&mut again, &path, "A confirmation was sent to").await;
    background.stop().await;
    assert_eq!(mails(directory.path()).len(), 1);
}

#[tokio::test]
async fn an_import_changes_what_is_right_and_tells_what_is_wrong() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut clerk = staff(directory.path(), &shop, &["shop.change_product"]).await;
    let page = clerk.get("/staff/prices").await;
    page.shows("sencha,9.80\n");
    let list = "slug,price\nsencha,10.40\ncups,22.00\nmatcha,5\nwhisk,<b>\n";
    let begun = clerk.post("/staff/prices", &[("prices", list)]).await;
    assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.body);
    let path = begun.location().to_owned();
    let page = clerk.get(&path).await;
    page.shows("0 of 4 lines done");
    // It works without a script.
    page.shows("http-equiv=\"refresh\"");
    clerk.get("/products/sencha").await.shows("€9.80");

    let background = shop.start_background().unwrap();
    let page = until_shown(&mut clerk, &path, "Prices are imported").await;
    background.stop().await;
    page.hides("http-equiv=\"refresh\"");
    page.shows("4 of 4 lines done");
    page.shows("<dd>1 price</dd>");
    page.shows("Line 4");
    page.shows("there is no product “matcha”");
    page.shows("Line 5");
    page.shows("whisk,&lt;b&gt;");
    page.shows("write the price as euros with a point");
    clerk.get("/products/sencha").await.shows("€10.40");
    clerk.get("/products/whisk").await.shows("€14.50");
}

#[tokio::test]
async fn a_long_list_is_imported_in_parts() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut clerk = staff(directory.path(), &shop, &["shop.change_product"]).await;
    let background = shop.start_background().unwrap();
    let list: Vec<String> = (0..500).map(|n| format!("sencha,{n}.01")).collect();
    let list = list.join("\n");
    let begun = clerk.post("/staff/prices", &[("prices", &list)]).await;
    let path = begun.location().to_owned();
    let page = until_shown(&mut clerk, &path, "Prices are imported").await;
    page.shows("500 of 500 lines done");
    page.shows("<dd>500 prices</dd>");
    background.stop().await;
}

#[tokio::test]
async fn a_list_with_nothing_in_it_is_told() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut clerk = staff(directory.path(), &shop, &["shop.change_product"]).await;
    let page = clerk
        .post("/staff/prices", &[("prices", "# later\n")])
        .await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.shows("Write at least one line");
    let page = clerk.get("/staff/prices/no-such-import").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_report_is_written_now_and_shown() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let mut clerk = staff(directory.path(), &shop, &["shop.view_order"]).await;
    clerk
        .get("/staff/reports")
        .await
        .shows("There is no report yet.");
    order(&mut Visitor::of(&shop)).await;
    order(&mut Visitor::of(&shop)).await;
    let background = shop.start_background().unwrap();
    clerk
        .post_and_follow("/staff/reports", &[], "/staff/reports")
        .await;
    let page = until_shown(&mut clerk, "/staff/reports", "2 orders, 4 pieces").await;
    background.stop().await;
    page.shows("4 × Two Cups");
    page.shows("€88.00");
    let reports = fs::read_dir(directory.path().join("reports")).unwrap();
    assert_eq!(reports.count(), 1);
}

#[tokio::test]
async fn the_nightly_report_is_of_the_day_before() {
    let directory = tempdir().unwrap();
    let schedule = |name: &str| (name == "SHOP_REPORT_SCHEDULE").then(|| "* * * * *".to_owned());
    let shop = visitor::open_shop_with(directory.path(), &[], |config| {
        config.jobs.read(schedule).unwrap();
    })
    .await;
    let background = shop.start_background().unwrap();
    let before = chrono::Utc::now().date_naive() - chrono::Days::new(1);
    let deadline = Instant::now() + Duration::from_secs(150);
    let path = |day| directory.path().join(format!("reports/{day}.json"));
    // It may be midnight meanwhile.
    while !path(before).exists() && !path(before + chrono::Days::new(1)).exists() {
        assert!(Instant::now() < deadline, "no report is written");
        sleep(Duration::from_millis(200)).await;
    }
    background.stop().await;
}

#[tokio::test]
async fn these_pages_are_for_staff_alone() {
    let directory = tempdir().unwrap();
    let shop = open_shop(directory.path(), &[]).await;
    let pages = ["/staff/reports", "/staff/prices", "/staff/prices/any"];
    let mut stranger = Visitor::of(&shop);
    for path in pages {
        let page = stranger.get(path).await;
        assert_eq!(page.location(), format!("/login?next={path}"));
    }
    let mut customer = Visitor::of(&shop);
    customer.sign_up("mei", PASSWORD).await;
    for path in pages {
        assert_eq!(customer.get(path).await.status, StatusCode::FORBIDDEN);
    }
    for (path, form) in [
        ("/staff/reports", [("prices", "")]),
        ("/staff/prices", [("prices", "sencha,0.01")]),
    ] {
        let page = customer.post(path, &form).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
    }
    // Who may see orders may not change prices, and no form does without its token.
    let mut clerk = staff(directory.path(), &shop, &["shop.view_order"]).await;
    clerk.get("/account").await.hides("/staff/prices");
    let page = clerk
        .post("/staff/prices", &[("prices", "sencha,0.01")])
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    let page = clerk.post_as_it_is("/staff/reports", &[("a", "b")]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(!directory.path().join("tasks.sqlite3").exists());
}
