use crate::site::Site;

#[test]
fn the_tables_are_made_once() {
    let site = Site::new().with("DATABASE_URL", "sqlite://shop.sqlite3");
    let ran = site.run(&["migrate"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for line in [
        "\n  sessions      0001_initial  ",
        "\n  contenttypes  2 migrations to 0002_remove_content_type_name  ",
        "\n  auth          12 migrations to 0012_alter_user_first_name_max_length  made\n",
        "\n  quintette     0001_user_sessions  ",
    ] {
        assert!(ran.stdout.contains(line), "{ran:?}");
    }
    let ran = site.run(&["migrate"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("there is nothing to do"), "{ran:?}");
}

#[test]
fn the_tables_of_caches_are_made_as_well() {
    let site = Site::new()
        .with("DATABASE_URL", "sqlite://shop.sqlite3")
        .with("CACHE_URL", "database://shop_cache");
    let ran = site.run(&["migrate"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("shop_cache"), "{ran:?}");
    let ran = site.run(&["migrate"]);
    assert!(ran.stdout.contains("there is nothing to do"), "{ran:?}");
    let site = site.with("SESSION_ENGINE", "cache");
    let ran = site.run(&["check"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn the_users_are_those_of_the_model_that_the_settings_name() {
    let site = Site::new()
        .with("DATABASE_URL", "sqlite://shop.sqlite3")
        .with("AUTH_USER_MODEL", "accounts.Customer");
    let ran = site.run(&["migrate"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("\n  accounts      0001_initial  "),
        "{ran:?}"
    );
    let ran = site.run(&["migrate"]);
    assert!(ran.stdout.contains("there is nothing to do"), "{ran:?}");
}

#[test]
fn the_engine_does_not_matter() {
    let site = Site::new()
        .with("DATABASE_URL", "sqlite://shop.sqlite3")
        .with("SESSION_ENGINE", "signed_cookies");
    assert_eq!(site.run(&["migrate"]).code, 0);
}

#[test]
fn a_missing_database_url_is_named() {
    let ran = Site::new().run(&["migrate"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("DATABASE_URL is not set"), "{ran:?}");
}

#[test]
fn a_database_that_cannot_be_made_is_told() {
    for url in [
        "sqlite://file/shop.sqlite3",
        "sqlite://missing/shop.sqlite3",
        "sqlite://directory",
    ] {
        let site = Site::new().with("DATABASE_URL", url);
        site.write("file", "");
        std::fs::create_dir(site.path("directory")).unwrap();
        let ran = site.run(&["migrate"]);
        assert_eq!(ran.code, 1, "{url}");
        assert!(ran.stderr.starts_with("error: DATABASE_URL"), "{ran:?}");
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn a_server_that_cannot_be_used_is_told_without_its_password() {
    // `Site::run` looks for the password. Nothing listens on port 1.
    for url in [
        "oracle://shop:hunter2@127.0.0.1:1/shop",
        "postgres://shop:hunter2@127.0.0.1:1/shop",
    ] {
        let site = Site::new().with("DATABASE_URL", url);
        for command in ["migrate", "check"] {
            let ran = site.run(&[command]);
            assert_eq!(ran.code, 1, "{ran:?}");
            assert!((ran.stdout + &ran.stderr).contains("DATABASE_URL"), "{url}");
        }
    }
}
