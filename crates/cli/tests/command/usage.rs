use std::os::unix::ffi::OsStrExt as _;

use crate::site::Site;

#[test]
fn without_a_command_it_explains_itself() {
    let ran = Site::empty().run(&[]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("clearsessions") && ran.stderr.contains("Examples:"),
        "{ran:?}"
    );
}

#[test]
fn help_and_version_need_no_settings() {
    let site = Site::empty();
    for arguments in [
        &["--help"][..],
        &["check", "--help"],
        &["sessions", "list", "--help"],
        &["sessions", "revoke", "--help"],
        &["tasks", "send", "--help"],
        &["tasks", "dead", "replay", "--help"],
        &["createsuperuser", "--help"],
        &["changepassword", "--help"],
        &["--version"],
    ] {
        let ran = site.run(arguments);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(!ran.stdout.is_empty());
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    let site = Site::migrated();
    for arguments in [
        &["clearsession"][..],
        &["sessions"],
        &["sessions", "show"],
        &["sessions", "list", "--limit", "0"],
        &["sessions", "list", "--user", "mei", "--keys"],
        &["sessions", "revoke"],
        &["sessions", "revoke", "abcdefgh", "--user", "mei"],
        &["sessions", "revoke", "abcdefgh", "--session", "abcdefgh"],
        // What is on a command line, others can see.
        &["createsuperuser", "--password", "p"],
        &["changepassword", "mei", "p"],
        &["sessions", "list", "--limit", "-1"],
        &["check", "--fail-level", "panic"],
        &["check", "--deploy", "--url", "http://127.0.0.1/"],
        &["check", "--url", "https://127.0.0.1/"],
        &["completions", "cobol"],
    ] {
        assert_eq!(site.run(arguments).code, 2, "{arguments:?}");
    }
}

#[test]
fn completions_know_the_commands() {
    let site = Site::empty();
    for shell in ["bash", "zsh", "fish"] {
        let ran = site.run(&["completions", shell]);
        assert_eq!(ran.code, 0);
        assert!(
            ["clearsessions", "fail-level", "createsuperuser", "revoke"]
                .iter()
                .all(|word| ran.stdout.contains(word)),
            "{shell}"
        );
    }
}

#[test]
fn each_command_names_a_missing_secret_key() {
    let site = Site::empty().with("DATABASE_URL", "sqlite://shop.sqlite3");
    for arguments in [
        &["migrate"][..],
        &["clearsessions"],
        &["sessions", "list"],
        &["sessions", "show", "abcdefgh"],
        &["sessions", "revoke", "abcdefgh"],
        &["createsuperuser"],
        &["changepassword"],
    ] {
        let ran = site.run(arguments);
        assert_eq!(ran.code, 1);
        assert!(
            ran.stderr.starts_with("error: SECRET_KEY (given nowhere)"),
            "{ran:?}"
        );
        assert_eq!(ran.stdout, "");
    }
    assert!(!site.path("shop.sqlite3").exists());
}

#[test]
fn the_settings_file_can_be_named() {
    let site = Site::empty();
    site.write(
        "other.toml",
        "SECRET_KEY = \"never-printed\"\nDATABASE_URL = \"sqlite://other.sqlite3\"\n",
    );
    assert_eq!(site.run(&["migrate"]).code, 1);
    assert_eq!(site.run(&["--settings", "other.toml", "migrate"]).code, 0);
    assert_eq!(site.run(&["check", "--settings", "other.toml"]).code, 0);
    assert!(site.path("other.sqlite3").exists());
    let ran = site.run(&["migrate", "--settings", "missing.toml"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr
            .contains("missing.toml: the settings file cannot be read"),
        "{ran:?}"
    );
}

#[test]
fn a_variable_that_is_not_utf8_matters_only_where_it_is_a_setting() {
    let odd = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    let site = Site::migrated().with("OTHER", odd);
    assert_eq!(site.run(&["check"]).code, 0);
    let ran = site.with("SESSION_COOKIE_NAME", odd).run(&["check"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stdout
            .contains("SESSION_COOKIE_NAME (environment): is not UTF-8"),
        "{ran:?}"
    );
}
