use serde_json::Value;

use crate::site::{Site, keys};

const FUTURE: &str = "2100-01-01 00:00:00";

/// `mei` is 1 and has these sessions, as Django makes them; `lin` is 2 and has one.
async fn site(sessions: usize) -> Site {
    let site = Site::migrated();
    for name in ["mei", "lin"] {
        let made = site.run(&[
            "createsuperuser",
            "--noinput",
            "--username",
            name,
            "--email",
            "",
        ]);
        assert_eq!(made.code, 0, "{made:?}");
    }
    let login = site.login("mei").await;
    site.insert(&keys(sessions), &login, FUTURE).await;
    let login = site.login("lin").await;
    site.insert(&[LINS.to_owned()], &login, FUTURE).await;
    site
}

const LINS: &str = "lin00000aaaaaaaaaaaaaaaaaaaaaaaa";

fn listed(site: &Site, user: &str) -> Vec<Value> {
    let ran = site.run(&["sessions", "list", "--user", user, "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

#[tokio::test]
async fn where_a_user_is_logged_in_is_listed_by_name_and_by_id() {
    let site = site(3).await;
    site.insert(
        &["nobody00aaaaaaaaaaaaaaaaaaaaaaaa".to_owned()],
        r#"{"n":1}"#,
        FUTURE,
    )
    .await;
    for (user, number) in [("mei", 3), ("1", 3), ("lin", 1), ("2", 1)] {
        assert_eq!(listed(&site, user).len(), number, "{user}");
    }
    let ran = site.run(&["sessions", "list", "--user", "mei", "--limit", "2"]);
    assert!(ran.stderr.contains("there are more"), "{ran:?}");
    assert_eq!(ran.stdout.matches('-').count(), 2 * 4, "{ran:?}");
    assert_eq!(listed(&site, "mei")[0]["last_activity"], Value::Null);
    assert!(ran.stdout.contains("only an id"), "{ran:?}");
    let ran = site.run(&["sessions", "list", "--user", "nobody"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("no user"), "{ran:?}");
}

#[tokio::test]
async fn a_list_tells_device_address_and_times_and_no_key() {
    let site = site(1).await;
    assert_eq!(listed(&site, "mei").len(), 1);
    site.execute(
        "UPDATE quintette_user_session SET created = '2020-01-01 00:00:00', address = '203.0.113.7', \
         user_agent = 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'",
    )
    .await;
    let ran = site.run(&["sessions", "list", "--user", "mei"]);
    let line = ran.stdout.lines().nth(1).unwrap();
    assert!(
        line.contains("203.0.113.7") && line.contains("Firefox on Linux"),
        "{ran:?}"
    );
    assert!(
        line.contains("seconds ago") && line.contains("years ago"),
        "{ran:?}"
    );
    assert!(ran.stdout.ends_with("\n1 session.\n"), "{ran:?}");
    let rows = listed(&site, "mei");
    assert_eq!(rows[0]["address"], "203.0.113.7");
    assert_eq!(rows[0]["first_seen"], "2020-01-01T00:00:00Z");
    let all = format!("{ran:?}{rows:?}");
    assert!(
        !all.contains(&keys(1)[0]) && !all.contains(&keys(1)[0][..8]),
        "{all}"
    );
}

#[tokio::test]
async fn all_sessions_of_a_user_end_and_nobody_elses() {
    let site = site(3).await;
    let ran = site.run(&["sessions", "revoke", "--user", "mei", "--yes"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "Ended 3 sessions of mei.\n"),
        "{ran:?}"
    );
    assert_eq!(site.rows().await, 1);
    assert_eq!(listed(&site, "lin").len(), 1);
    let ran = site.run(&["sessions", "revoke", "--user", "mei", "--yes"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("nothing to end"), "{ran:?}");
}

#[tokio::test]
async fn all_sessions_end_only_where_somebody_says_so() {
    let site = site(2).await;
    let ran = site.run(&["sessions", "revoke", "--user", "mei"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(
        ran.stderr
            .contains("this would end 2 sessions of mei: say --yes"),
        "{ran:?}"
    );
    let mut terminal = site.terminal("quintette sessions revoke --user mei");
    terminal.answers("End 2 sessions of mei? [y/N] ", "");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 1, "{shown}");
    assert_eq!(site.rows().await, 3);
    let mut terminal = site.terminal("quintette sessions revoke --user mei");
    terminal.answers("End 2 sessions of mei? [y/N] ", "yes");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
    assert_eq!(site.rows().await, 1);
}

#[tokio::test]
async fn one_session_ends_by_what_the_list_prints() {
    let site = site(2).await;
    let printed = site.run(&["sessions", "list", "--user", "mei"]).stdout;
    let id = printed.lines().nth(1).unwrap().split(' ').next().unwrap();
    for (arguments, expected) in [
        (["lin", id], "no session of this id"),
        (["mei", "zzzz"], "no session of this id"),
        (["mei", ""], "no session of this id"),
    ] {
        let ran = site.run(&[
            "sessions",
            "revoke",
            "--user",
            arguments[0],
            "--session",
            arguments[1],
        ]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains(expected), "{ran:?}");
    }
    assert_eq!(site.rows().await, 3);
    let ran = site.run(&["sessions", "revoke", "--user", "mei", "--session", id]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "Ended 1 session.\n"),
        "{ran:?}"
    );
    assert_eq!(listed(&site, "mei").len(), 1);
}

#[tokio::test]
async fn sessions_end_by_their_keys_whoever_has_them() {
    let site = site(3).await;
    let all = keys(3);
    let ran = site.run(&[
        "sessions",
        "revoke",
        &all[0],
        "00000001…",
        "unknown-key-never-printed",
    ]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (1, "Ended 2 sessions.\n"),
        "{ran:?}"
    );
    assert!(
        ran.stderr.contains("no such session") && ran.stderr.contains("1 session could not"),
        "{ran:?}"
    );
    assert_eq!(site.rows().await, 2);
    let ran = site.run(&["sessions", "revoke", LINS]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "Ended 1 session.\n"));
    assert_eq!(listed(&site, "lin").len(), 0);
}

#[tokio::test]
async fn copies_in_the_memory_of_a_service_are_told_of() {
    let site = site(1).await.with("SESSION_ENGINE", "cached_db");
    let ran = site.run(&["sessions", "revoke", "--user", "mei", "--yes"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("restart it"), "{ran:?}");
}

#[test]
fn where_nothing_is_stored_nothing_can_be_ended() {
    let site = Site::migrated().with("SESSION_ENGINE", "signed_cookies");
    site.run(&[
        "createsuperuser",
        "--noinput",
        "--username",
        "mei",
        "--email",
        "",
    ]);
    for arguments in [
        &["sessions", "list", "--user", "mei"][..],
        &["sessions", "revoke", "--user", "mei", "--yes"],
        &["sessions", "revoke", "abcdefgh"],
    ] {
        let ran = site.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        assert!(ran.stderr.contains("stores no session here"), "{ran:?}");
    }
}

#[tokio::test]
async fn a_service_whose_sessions_are_in_its_own_memory_keeps_its_list_of_them() {
    let site = site(2).await;
    assert_eq!(listed(&site, "mei").len(), 2);
    let in_memory = site.with("SESSION_ENGINE", "cache");
    let ran = in_memory.run(&["sessions", "list", "--user", "mei"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("each process' own memory"), "{ran:?}");
    let in_the_database = in_memory.with("SESSION_ENGINE", "db");
    assert_eq!(listed(&in_the_database, "mei").len(), 2);
}

#[tokio::test]
async fn a_clean_up_forgets_where_users_were_logged_in_long_ago() {
    let site = site(3).await;
    assert_eq!(listed(&site, "mei").len(), 3);
    site.execute("UPDATE quintette_user_session SET last_activity = '2020-01-01 00:00:00' WHERE user_id = '1'").await;
    let site = site.with("SESSION_ENGINE", "cache");
    let ran = site.run(&["clearsessions"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout
            .ends_with("\nForgot 3 sessions of users, not used for 400 days.\n"),
        "{ran:?}"
    );
    let site = site.with("SESSION_ENGINE", "db");
    assert!(!site.run(&["clearsessions"]).stdout.contains("Forgot"));
    // Not those that are still there.
    assert_eq!(listed(&site, "lin").len(), 1);
}

#[tokio::test]
async fn a_clean_up_needs_no_tables_of_users() {
    let site = Site::migrated();
    site.execute("DROP TABLE quintette_user_session").await;
    assert_eq!(site.run(&["clearsessions"]).code, 0);
    site.execute("DROP TABLE auth_user").await;
    let ran = site.run(&["clearsessions"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
}
