//! Too many wrong passwords.

use chrono::TimeDelta;
use http::StatusCode;
use quintette::settings::Settings;

use crate::log::Log;
use crate::site::Site;

fn limit(limit: u32) -> impl FnOnce(&mut Settings) {
    move |settings| {
        settings.login_failure_limit = Some(limit);
        settings.login_cooloff_time = TimeDelta::seconds(90);
    }
}

#[tokio::test]
async fn after_too_many_wrong_passwords_the_right_one_is_not_taken_either() {
    let site = Site::with(limit(3)).await;
    site.user("mei").await;
    let mut visitor = site.visitor();
    for _ in 0..3 {
        assert_eq!(
            visitor.log_in("mei", "wrong").await.status,
            StatusCode::FORBIDDEN
        );
    }
    for guess in ["wrong", "right"] {
        let answer = visitor.log_in("mei", guess).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.header("retry-after"), Some("90"));
        assert!(answer.body.contains("90 seconds"), "{}", answer.body);
    }
    for name in ["Mei", "ｍｅｉ", "Méi", "mei "] {
        assert_eq!(
            visitor.log_in(name, "wrong").await.status,
            StatusCode::TOO_MANY_REQUESTS,
            "however it is written: {name}"
        );
    }
}

#[tokio::test]
async fn another_name_or_another_address_is_not_held_up() {
    let site = Site::with(limit(2)).await;
    site.user("mei").await;
    site.user("jun").await;
    let mut attacker = site.visitor();
    for _ in 0..5 {
        attacker.log_in("mei", "wrong").await;
    }
    assert_eq!(attacker.log_in("jun", "right").await.status, StatusCode::OK);
    let mut mei = site.visitor();
    mei.address = Some([198, 51, 100, 7].into());
    assert_eq!(
        mei.log_in("mei", "right").await.status,
        StatusCode::OK,
        "nobody locks her out from elsewhere"
    );
}

#[tokio::test]
async fn an_address_that_tries_many_names_is_held_up() {
    let site = Site::with(limit(2)).await;
    site.user("mei").await;
    let mut attacker = site.visitor();
    for number in 0..20 {
        let answer = attacker.log_in(&format!("name{number}"), "123456").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{number}");
    }
    assert_eq!(
        attacker.log_in("mei", "right").await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
}

#[tokio::test]
async fn a_right_password_forgets_the_wrong_ones() {
    let site = Site::with(limit(3)).await;
    site.user("mei").await;
    let mut visitor = site.visitor();
    for _ in 0..5 {
        visitor.log_in("mei", "wrong").await;
        visitor.log_in("mei", "wrong").await;
        assert_eq!(visitor.log_in("mei", "right").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_hundred_guesses_at_once_are_no_way_around() {
    let site = Site::with(limit(3)).await;
    site.user("mei").await;
    let guesses = (0..100).map(|_| {
        let mut visitor = site.visitor();
        tokio::spawn(async move { visitor.log_in("mei", "wrong").await.status })
    });
    let mut looked_at = 0;
    for guess in guesses.collect::<Vec<_>>() {
        looked_at += u32::from(guess.await.unwrap() == StatusCode::FORBIDDEN);
    }
    assert_eq!(looked_at, 3);
}

#[tokio::test]
async fn visitors_of_a_socket_for_both_kinds_of_addresses_are_told_apart() {
    let site = Site::with(limit(2)).await;
    site.user("mei").await;
    let mut attacker = site.visitor();
    attacker.address = "::ffff:192.0.2.66".parse().ok();
    for number in 0..25 {
        attacker.log_in(&format!("name{number}"), "123456").await;
    }
    let mut mei = site.visitor();
    mei.address = "::ffff:192.0.2.7".parse().ok();
    assert_eq!(mei.log_in("mei", "right").await.status, StatusCode::OK);
}

#[tokio::test]
async fn that_no_address_is_known_is_told_once() {
    let site = Site::with(limit(3)).await;
    let log = Log::capture();
    let mut visitor = site.visitor();
    visitor.address = None;
    for _ in 0..3 {
        visitor.log_in("mei", "wrong").await;
    }
    let lines = log.lines();
    let told = lines
        .iter()
        .filter(|line| line.contains("CLIENT_ADDRESS_HEADER"));
    assert_eq!(told.count(), 1, "{lines:?}");
}

#[tokio::test]
async fn an_outage_locks_nobody_out() {
    let site = Site::with(limit(2)).await;
    site.user("mei").await;
    let mut mei = site.visitor();
    site.without_users().await;
    for _ in 0..30 {
        let answer = mei.log_in("mei", "right").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    site.with_users_again().await;
    assert_eq!(
        mei.log_in("mei", "wrong").await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(mei.log_in("mei", "right").await.status, StatusCode::OK);
}
