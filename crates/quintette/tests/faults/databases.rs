//! PostgreSQL and MariaDB.

use quintette_testkit::servers::{MariaDb, Postgres, Proxy};

use super::load::{Keeps, Load};
use super::{blocking, in_database, through};

async fn killed_and_restarted(url: &str, kill: impl Fn(), restart: impl Fn()) {
    let sessions = in_database(url).await;
    let load = Load::on(&sessions, Keeps::Everything).await;
    for _ in 0..2 {
        load.goes_on(300).await;
        blocking(&kill);
        load.is_refused(40).await;
        blocking(&restart);
        load.goes_on(300).await;
    }
    load.stop().await.is_true().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_killed_and_restarted() {
    let server = blocking(Postgres::start).unwrap();
    let url = blocking(|| server.new_database()).unwrap();
    killed_and_restarted(&url, || server.kill(), || server.restart().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_is_killed_and_restarted() {
    let server = blocking(MariaDb::start).unwrap();
    let url = blocking(|| server.new_database()).unwrap();
    killed_and_restarted(&url, || server.kill(), || server.restart().unwrap()).await;
}

async fn its_answers_are_lost(url: &str, proxy: &Proxy) {
    let sessions = in_database(&through(url, proxy.port())).await;
    let load = Load::on(&sessions, Keeps::Everything).await;
    for round in 1..=40 {
        load.goes_on(20).await;
        proxy.cut_before_answer();
        while proxy.answers_cut() < round {
            load.goes_on(1).await;
        }
    }
    load.goes_on(100).await;
    let report = load.stop().await;
    report.is_true().await;
    assert!(report.unknown > 0, "each lost answer to a write is unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_cut_off_before_it_answers() {
    let server = blocking(Postgres::start).unwrap();
    let url = blocking(|| server.new_database()).unwrap();
    let proxy = Proxy::before(server.address()).unwrap();
    its_answers_are_lost(&url, &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_is_cut_off_before_it_answers() {
    let server = blocking(MariaDb::start).unwrap();
    let url = blocking(|| server.new_database()).unwrap();
    let proxy = Proxy::before(server.address()).unwrap();
    its_answers_are_lost(&url, &proxy).await;
}

async fn hangs_and_is_cut(url: &str, proxy: &Proxy) {
    let sessions = in_database(&through(url, proxy.port())).await;
    let load = Load::on(&sessions, Keeps::Everything).await;
    for fault in [Proxy::hang, Proxy::cut, Proxy::hang] {
        load.goes_on(200).await;
        fault(proxy);
        load.is_refused(40).await;
        proxy.heal();
    }
    load.goes_on(200).await;
    load.stop().await.is_true().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_hangs_and_is_cut_off() {
    let server = blocking(Postgres::start).unwrap();
    let url = blocking(|| server.new_database()).unwrap();
    let proxy = Proxy::before(server.address()).unwrap();
    hangs_and_is_cut(&url, &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_hangs_and_is_cut_off() {
    let server = blocking(MariaDb::start).unwrap();
    let url = blocking(|| server.new_database()).unwrap();
    let proxy = Proxy::before(server.address()).unwrap();
    hangs_and_is_cut(&url, &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_becomes_read_only() {
    let server = blocking(Postgres::start).unwrap();
    let url = blocking(|| server.new_database()).unwrap();
    let sessions = in_database(&url).await;
    let load = Load::on(&sessions, Keeps::Everything).await;
    load.goes_on(200).await;
    let set = |value: &str| {
        blocking(|| {
            server
                .execute(&format!(
                    "ALTER SYSTEM SET default_transaction_read_only = {value}"
                ))
                .unwrap();
            server.execute("SELECT pg_reload_conf()").unwrap();
        });
    };
    set("on");
    load.is_refused(100).await;
    set("off");
    load.goes_on(200).await;
    let report = load.stop().await;
    report.is_true().await;
    assert_eq!(
        report.unknown, 0,
        "the server has said that it stored nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_has_no_connection_to_give() {
    let server = blocking(Postgres::start).unwrap();
    let url = blocking(|| server.new_database()).unwrap();
    let execute = |statement: &str| blocking(|| server.execute(statement)).unwrap();
    execute("CREATE ROLE shop LOGIN IN ROLE pg_write_all_data, pg_read_all_data");
    in_database(&url).await;
    let sessions = in_database(&url.replace("postgres@", "shop@")).await;
    let load = Load::on(&sessions, Keeps::Everything).await;
    load.goes_on(200).await;
    execute("ALTER ROLE shop CONNECTION LIMIT 0");
    execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop'");
    load.is_refused(100).await;
    execute("ALTER ROLE shop CONNECTION LIMIT -1");
    load.goes_on(200).await;
    load.stop().await.is_true().await;
}
