use chrono::TimeDelta;

use super::super::UserSessionRow;
use super::*;

fn session(id: &str, user_id: &str, last_activity: DateTime<Utc>) -> UserSessionRow {
    UserSessionRow {
        id: id.to_owned(),
        sealed_key: "sealed".to_owned(),
        user_id: user_id.to_owned(),
        created: last_activity,
        last_activity,
        user_agent: "Mozilla/5.0".to_owned(),
        address: "2001:db8::1".to_owned(),
    }
}

#[tokio::test]
async fn a_session_is_noted_and_keeps_the_time_of_its_creation() {
    for site in sites().await {
        let tables = &site.tables;
        let first = session("a", "1", now());
        tables.record_session(&first).await.unwrap();
        assert_eq!(
            tables.session("a").await.unwrap(),
            Some(first.clone()),
            "{}",
            site.kind
        );
        let later = first.created + TimeDelta::hours(1);
        let mut again = session("a", "1", later);
        again.sealed_key = "sealed anew".to_owned();
        again.address = "192.0.2.1".to_owned();
        tables.record_session(&again).await.unwrap();
        again.created = first.created;
        assert_eq!(
            tables.session("a").await.unwrap(),
            Some(again),
            "{}",
            site.kind
        );
        assert_eq!(tables.session("b").await.unwrap(), None);
        assert!(tables.forget_session("a").await.unwrap());
        assert!(!tables.forget_session("a").await.unwrap());
    }
}

#[tokio::test]
async fn a_users_sessions_are_found_the_latest_first() {
    for site in sites().await {
        let tables = &site.tables;
        let begun = now();
        for (id, user, minutes) in [("a", "1", 1), ("b", "1", 3), ("c", "11", 2), ("d", "1", 2)] {
            let session = session(id, user, begun + TimeDelta::minutes(minutes));
            tables.record_session(&session).await.unwrap();
        }
        let found = tables.sessions_of("1").await.unwrap();
        let ids: Vec<_> = found.iter().map(|session| session.id.as_str()).collect();
        assert_eq!(ids, ["b", "d", "a"], "{}", site.kind);
        assert_eq!(tables.sessions_of("2").await.unwrap(), []);
    }
}

#[tokio::test]
async fn those_that_were_not_used_since_are_forgotten_in_batches_the_earliest_first() {
    for site in sites().await {
        let tables = &site.tables;
        let begun = now();
        for minutes in 0..5 {
            let session = session(
                &minutes.to_string(),
                "1",
                begun + TimeDelta::minutes(minutes),
            );
            tables.record_session(&session).await.unwrap();
        }
        let before = begun + TimeDelta::minutes(3);
        assert_eq!(
            tables.forget_sessions_before(before, 2).await.unwrap(),
            2,
            "{}",
            site.kind
        );
        let left = tables.sessions_of("1").await.unwrap();
        let ids: Vec<_> = left.iter().map(|session| session.id.as_str()).collect();
        assert_eq!(ids, ["4", "3", "2"]);
        assert_eq!(tables.forget_sessions_before(before, 2).await.unwrap(), 1);
        assert_eq!(tables.forget_sessions_before(before, 2).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn whatever_a_browser_says_is_noted_as_far_as_there_is_room() {
    for site in sites().await {
        let mut odd = session("a", "1", now());
        odd.user_agent = format!("🦀\0\n{}", "x".repeat(1_000));
        odd.address = "a".repeat(100);
        site.tables.record_session(&odd).await.unwrap();
        let noted = site.tables.session("a").await.unwrap().unwrap();
        assert_eq!(
            noted.user_agent,
            format!("???{}", "x".repeat(252)),
            "{}",
            site.kind
        );
        assert_eq!(noted.address.len(), 45);
    }
}
