//! The tables of contenttypes and auth as Django's migrations leave them, statement by statement what is in
//! `sqlite_master` then; and ours.

use quintette_core::settings::UserModel;

use crate::db::migrations::{
    AUTH, CONTENT_TYPES, CONTENT_TYPES_ARE_WHOLE, Migration, Table, USER_SESSIONS, of_users_app,
};
use crate::db::user_tables::Names;

/// What Django takes for the longest name.
pub(super) const LONGEST_NAME: usize = 200;

pub(super) fn migrations(model: &UserModel) -> Vec<Migration> {
    let names = Names::new(model, LONGEST_NAME);
    let mut migrations = vec![content_types()];
    migrations.extend(of_users_app(auth(), model, &names, users(&names)));
    migrations.push(user_sessions());
    migrations
}

fn content_types() -> Migration {
    Migration {
        app: "contenttypes".into(),
        names: CONTENT_TYPES,
        after: None,
        tables: vec![Table::new(
            "django_content_type",
            [
                r#"CREATE TABLE "django_content_type" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "app_label" varchar(100) NOT NULL, "model" varchar(100) NOT NULL)"#,
                r#"CREATE UNIQUE INDEX "django_content_type_app_label_model_76bd3d3b_uniq" ON "django_content_type" ("app_label", "model")"#,
            ],
        )],
    }
}

/// Without the users.
fn auth() -> Migration {
    Migration {
        app: "auth".into(),
        names: AUTH,
        after: Some(CONTENT_TYPES_ARE_WHOLE),
        tables: vec![
            Table::new(
                "auth_permission",
                [
                    r#"CREATE TABLE "auth_permission" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "content_type_id" integer NOT NULL REFERENCES "django_content_type" ("id") DEFERRABLE INITIALLY DEFERRED, "codename" varchar(100) NOT NULL, "name" varchar(255) NOT NULL)"#,
                    r#"CREATE UNIQUE INDEX "auth_permission_content_type_id_codename_01ab375a_uniq" ON "auth_permission" ("content_type_id", "codename")"#,
                    r#"CREATE INDEX "auth_permission_content_type_id_2f476e4b" ON "auth_permission" ("content_type_id")"#,
                ],
            ),
            Table::new(
                "auth_group",
                [
                    r#"CREATE TABLE "auth_group" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "name" varchar(150) NOT NULL UNIQUE)"#,
                ],
            ),
            Table::new(
                "auth_group_permissions",
                [
                    r#"CREATE TABLE "auth_group_permissions" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "group_id" integer NOT NULL REFERENCES "auth_group" ("id") DEFERRABLE INITIALLY DEFERRED, "permission_id" integer NOT NULL REFERENCES "auth_permission" ("id") DEFERRABLE INITIALLY DEFERRED)"#,
                    r#"CREATE UNIQUE INDEX "auth_group_permissions_group_id_permission_id_0cd325b0_uniq" ON "auth_group_permissions" ("group_id", "permission_id")"#,
                    r#"CREATE INDEX "auth_group_permissions_group_id_b120cbf9" ON "auth_group_permissions" ("group_id")"#,
                    r#"CREATE INDEX "auth_group_permissions_permission_id_84c5c92e" ON "auth_group_permissions" ("permission_id")"#,
                ],
            ),
        ],
    }
}

/// The tables of a user model that adds nothing to `AbstractUser`.
fn users(names: &Names) -> Vec<Table> {
    // Django has put the first name behind the others when it made it longer.
    let columns = if names.are_djangos() {
        r#""last_name" varchar(150) NOT NULL, "email" varchar(254) NOT NULL, "is_staff" bool NOT NULL, "is_active" bool NOT NULL, "date_joined" datetime NOT NULL, "first_name" varchar(150) NOT NULL"#
    } else {
        r#""first_name" varchar(150) NOT NULL, "last_name" varchar(150) NOT NULL, "email" varchar(254) NOT NULL, "is_staff" bool NOT NULL, "is_active" bool NOT NULL, "date_joined" datetime NOT NULL"#
    };
    let user = format!(
        r#"CREATE TABLE {{user}} ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "password" varchar(128) NOT NULL, "last_login" datetime NULL, "is_superuser" bool NOT NULL, "username" varchar(150) NOT NULL UNIQUE, {columns})"#
    );
    vec![
        Table::new(names.user.clone(), [names.sql('"', &user)]),
        of_users(names, &names.groups, "group_id", "auth_group"),
        of_users(
            names,
            &names.permissions,
            "permission_id",
            "auth_permission",
        ),
    ]
}

/// What users have of another table's.
fn of_users(names: &Names, table: &str, other_id: &str, other: &str) -> Table {
    let user_id = names.user_id.as_str();
    // In a project of `startproject`, the app's keys are of the type BigAutoField; those of Django's own are not.
    let integer = if names.are_djangos() {
        "integer"
    } else {
        "bigint"
    };
    let unique = names.index(table, &[user_id, other_id], "_uniq");
    let index = |column| {
        let name = names.index(table, &[column], "");
        format!(r#"CREATE INDEX "{name}" ON "{table}" ("{column}")"#)
    };
    Table::new(
        table.to_owned(),
        [
            names.sql('"', &format!(r#"CREATE TABLE "{table}" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "{user_id}" {integer} NOT NULL REFERENCES {{user}} ("id") DEFERRABLE INITIALLY DEFERRED, "{other_id}" integer NOT NULL REFERENCES "{other}" ("id") DEFERRABLE INITIALLY DEFERRED)"#)),
            format!(r#"CREATE UNIQUE INDEX "{unique}" ON "{table}" ("{user_id}", "{other_id}")"#),
            index(user_id),
            index(other_id),
        ],
    )
}

/// Ours, beside Django's.
fn user_sessions() -> Migration {
    Migration {
        app: "quintette".into(),
        names: USER_SESSIONS,
        after: None,
        tables: vec![Table::new(
            "quintette_user_session",
            [
                r#"CREATE TABLE "quintette_user_session" ("id" varchar(64) NOT NULL PRIMARY KEY, "sealed_key" text NOT NULL, "user_id" varchar(255) NOT NULL, "created" datetime NOT NULL, "last_activity" datetime NOT NULL, "user_agent" varchar(255) NOT NULL, "address" varchar(45) NOT NULL)"#,
                r#"CREATE INDEX "quintette_user_session_user_id" ON "quintette_user_session" ("user_id")"#,
                r#"CREATE INDEX "quintette_user_session_last_activity" ON "quintette_user_session" ("last_activity")"#,
            ],
        )],
    }
}
