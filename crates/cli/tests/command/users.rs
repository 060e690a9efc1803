use std::sync::Arc;

use quintette::auth::{Authentication, User};
use quintette::db::Database;

use crate::site::Site;

const LENGTH: &str = r#"[{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"}]"#;

async fn user(site: &Site, name: &str) -> Option<User> {
    authentication(site)
        .await
        .users()
        .unwrap()
        .by_username(name)
        .await
        .unwrap()
}

async fn authentication(site: &Site) -> Authentication {
    let settings = Arc::new(site.settings());
    let database = Database::connect(&settings).await.unwrap();
    Authentication::connect(&database, settings).await.unwrap()
}

async fn has_password(site: &Site, name: &str, password: &str) -> bool {
    let user = user(site, name).await.unwrap();
    let authentication = authentication(site).await;
    authentication
        .users()
        .unwrap()
        .check_password(&user, password)
        .await
        .unwrap()
}

const MEI: &[&str] = &[
    "createsuperuser",
    "--noinput",
    "--username",
    "mei",
    "--email",
    "mei@Example.COM",
];

#[tokio::test]
async fn a_superuser_is_made_without_a_question() {
    let site = Site::migrated().with("DJANGO_SUPERUSER_PASSWORD", "hunter2 never-printed");
    let ran = site.run(MEI);
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (0, "Superuser mei created.\n", "")
    );
    let mei = user(&site, "mei").await.unwrap();
    assert!(mei.is_superuser() && mei.is_staff() && mei.is_active());
    assert_eq!(mei.email(), "mei@example.com");
    assert!(has_password(&site, "mei", "hunter2 never-printed").await);
}

#[tokio::test]
async fn all_can_come_from_djangos_variables_and_options_count_over_them() {
    let site = Site::migrated()
        .with("DJANGO_SUPERUSER_USERNAME", "lin")
        .with("DJANGO_SUPERUSER_EMAIL", "");
    assert_eq!(site.run(&["createsuperuser", "--no-input"]).code, 0);
    assert_eq!(
        site.run(&["createsuperuser", "--noinput", "--username", "mei"])
            .code,
        0
    );
    for name in ["lin", "mei"] {
        assert!(user(&site, name).await.is_some(), "{name}");
    }
}

#[tokio::test]
async fn without_a_password_nobody_can_log_in_and_a_note_says_so() {
    let site = Site::migrated();
    let ran = site.run(MEI);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stderr.contains("`quintette changepassword mei`"),
        "{ran:?}"
    );
    assert!(!has_password(&site, "mei", "").await);
    assert!(
        user(&site, "mei")
            .await
            .unwrap()
            .record()
            .password()
            .starts_with('!')
    );
}

#[test]
fn what_is_missing_taken_or_wrong_is_told_and_nobody_is_made() {
    let site = Site::migrated();
    assert_eq!(site.run(MEI).code, 0);
    let long = "a".repeat(151);
    for (arguments, expected) in [
        (
            &["--username", "mei", "--email", ""][..],
            "there is a user mei already",
        ),
        (&["--email", ""], "DJANGO_SUPERUSER_USERNAME"),
        (&["--username", "lin"], "DJANGO_SUPERUSER_EMAIL"),
        (&["--username", "", "--email", ""], "cannot be blank"),
        (
            &["--username", "lin tao", "--email", ""],
            "letters, numbers",
        ),
        (
            &["--username", &long, "--email", ""],
            "at most 150 characters",
        ),
        (
            &["--username", "lin", "--email", "lin"],
            "no e-mail address",
        ),
    ] {
        let ran = site.run(&[&["createsuperuser", "--noinput"], arguments].concat());
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains(expected), "{ran:?}");
        assert_eq!(ran.stdout, "");
    }
}

#[tokio::test]
async fn where_nobody_has_migrated_it_says_what_to_do() {
    let site = Site::migrated().with("DJANGO_SUPERUSER_PASSWORD", "hunter2");
    site.execute("DROP TABLE auth_user").await;
    for arguments in [
        MEI,
        &["changepassword", "mei"],
        &["sessions", "list", "--user", "mei"],
    ] {
        let ran = site.run(arguments);
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains("run `quintette migrate`"), "{ran:?}");
    }
}

#[test]
fn without_a_terminal_nothing_is_asked_and_it_says_what_to_give() {
    let site = Site::migrated();
    assert_eq!(site.run(MEI).code, 0);
    let ran = site.run(&["createsuperuser"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(
        ran.stderr.contains("--noinput") && ran.stderr.contains("DJANGO_SUPERUSER_PASSWORD"),
        "{ran:?}"
    );
    let ran = site.run(&["changepassword", "mei"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("no terminal"), "{ran:?}");
}

#[tokio::test]
async fn a_person_is_asked_until_all_is_well_and_no_password_is_shown() {
    let site = Site::migrated()
        .with("AUTH_PASSWORD_VALIDATORS", LENGTH)
        .with("LOGNAME", "Jo");
    assert_eq!(site.run(MEI).code, 0);
    let mut terminal = site.terminal("quintette createsuperuser");
    terminal.answers("Username (leave blank to use 'jo'): ", "mei");
    terminal.expect("there is a user mei already");
    terminal.answers("Username (leave blank to use 'jo'): ", "");
    terminal.answers("Email address: ", "jo@");
    terminal.expect("no e-mail address");
    terminal.answers("Email address: ", "jo@example.com");
    terminal.answers("Password: ", "never-printed");
    terminal.answers("Password (again): ", "never-printed-either");
    terminal.expect("not the same");
    terminal.answers("Password: ", "  ");
    terminal.answers("Password (again): ", "  ");
    terminal.expect("blank");
    terminal.answers("Password: ", "hunter2");
    terminal.answers("Password (again): ", "hunter2");
    terminal.expect("This password is too short. It must contain at least 8 characters.");
    terminal.answers("create user anyway? [y/N] ", "");
    terminal.answers("Password: ", "hunter2");
    terminal.answers("Password (again): ", "hunter2");
    terminal.answers("create user anyway? [y/N] ", "y");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("Superuser jo") && shown.contains("created"),
        "{shown}"
    );
    assert!(
        !shown.contains("never-printed") && !shown.contains("hunter2"),
        "{shown}"
    );
    assert!(has_password(&site, "jo", "hunter2").await);
}

#[tokio::test]
async fn a_person_changes_a_password() {
    let site = Site::migrated().with("AUTH_PASSWORD_VALIDATORS", LENGTH);
    assert_eq!(site.run(MEI).code, 0);
    let mut terminal = site.terminal("quintette changepassword mei");
    terminal.answers("Password: ", "mei@example.com");
    terminal.answers("Password (again): ", "mei@example.com");
    terminal.expect("The password is too similar to the email address.");
    terminal.answers("Password: ", "never-printed-한국");
    terminal.answers("Password (again): ", "never-printed-한국");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("changed") && !shown.contains("never-printed"),
        "{shown}"
    );
    assert!(has_password(&site, "mei", "never-printed-한국").await);
}

#[tokio::test]
async fn after_three_attempts_nothing_is_changed() {
    let site = Site::migrated().with("DJANGO_SUPERUSER_PASSWORD", "hunter2");
    assert_eq!(site.run(MEI).code, 0);
    let mut terminal = site.terminal("quintette changepassword mei");
    for _ in 0..3 {
        terminal.answers("Password: ", "one");
        terminal.answers("Password (again): ", "another");
    }
    let (code, shown) = terminal.ends();
    assert_eq!(code, 1, "{shown}");
    assert!(
        shown.contains("nothing is changed after 3 attempts"),
        "{shown}"
    );
    assert!(has_password(&site, "mei", "hunter2").await);
}

#[test]
fn ctrl_c_at_a_hidden_prompt_leaves_a_terminal_that_shows_what_is_typed() {
    let site = Site::migrated();
    assert_eq!(site.run(MEI).code, 0);
    let mut terminal =
        site.terminal("trap : INT; quintette changepassword mei; echo ended $?; stty -a");
    terminal.expect("Password: ");
    terminal.types("half\u{3}");
    terminal.expect("interrupted");
    terminal.expect("ended 1");
    let (_, shown) = terminal.ends();
    assert!(
        shown.contains(" echo ") && !shown.contains("-echo "),
        "{shown}"
    );
    assert!(!shown.contains("half"), "{shown}");
}

#[test]
fn ctrl_d_is_a_no() {
    let site = Site::migrated();
    assert_eq!(site.run(MEI).code, 0);
    let mut terminal = site.terminal("quintette changepassword mei");
    terminal.expect("Password: ");
    terminal.types("\u{4}");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("cancelled"), "{shown}");
}

#[test]
fn what_only_the_application_knows_is_noted_and_stops_nobody() {
    let site = Site::migrated()
        .with("AUTHENTICATION_BACKENDS", r#"["shop.auth.Tokens"]"#)
        .with(
            "PASSWORD_HASHERS",
            r#"["django.contrib.auth.hashers.PBKDF2PasswordHasher", "shop.Old"]"#,
        )
        .with("AUTH_PASSWORD_VALIDATORS", r#"[{"NAME": "shop.auth.Own"}]"#);
    assert_eq!(site.run(MEI).code, 0);
    let mut terminal = site.terminal("quintette changepassword mei");
    terminal.expect("note:");
    terminal.expect("shop.auth.Own");
    terminal.answers("Password: ", "hunter2");
    terminal.answers("Password (again): ", "hunter2");
    assert_eq!(terminal.ends().0, 0);
}

#[test]
fn a_hasher_that_is_not_here_cannot_make_new_hashes() {
    let site = Site::migrated().with("PASSWORD_HASHERS", r#"["shop.Enigma"]"#);
    let ran = site.run(MEI);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("shop.Enigma"), "{ran:?}");
}
