//! The tables of contenttypes and auth as Django's migrations leave them; and ours.
//!
//! Each is one statement, so that one that was cut short is there as a whole or not at all.

use quintette_core::settings::UserModel;

use crate::db::migrations::{
    AUTH, CONTENT_TYPES, CONTENT_TYPES_ARE_WHOLE, Migration, Table, USER_SESSIONS, of_users_app,
};
use crate::db::user_tables::Names;

/// What Django takes for the longest name.
pub(super) const LONGEST_NAME: usize = 64;

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
                "CREATE TABLE `django_content_type` (`id` integer AUTO_INCREMENT NOT NULL PRIMARY KEY, `app_label` varchar(100) NOT NULL, `model` varchar(100) NOT NULL, CONSTRAINT `django_content_type_app_label_model_76bd3d3b_uniq` UNIQUE (`app_label`, `model`))",
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
                    "CREATE TABLE `auth_permission` (`id` integer AUTO_INCREMENT NOT NULL PRIMARY KEY, `name` varchar(255) NOT NULL, `content_type_id` integer NOT NULL, `codename` varchar(100) NOT NULL, CONSTRAINT `auth_permission_content_type_id_codename_01ab375a_uniq` UNIQUE (`content_type_id`, `codename`), CONSTRAINT `auth_permission_content_type_id_2f476e4b_fk_django_co` FOREIGN KEY (`content_type_id`) REFERENCES `django_content_type` (`id`))",
                ],
            ),
            Table::new(
                "auth_group",
                [
                    "CREATE TABLE `auth_group` (`id` integer AUTO_INCREMENT NOT NULL PRIMARY KEY, `name` varchar(150) NOT NULL UNIQUE)",
                ],
            ),
            Table::new(
                "auth_group_permissions",
                [
                    "CREATE TABLE `auth_group_permissions` (`id` bigint AUTO_INCREMENT NOT NULL PRIMARY KEY, `group_id` integer NOT NULL, `permission_id` integer NOT NULL, CONSTRAINT `auth_group_permissions_group_id_permission_id_0cd325b0_uniq` UNIQUE (`group_id`, `permission_id`), CONSTRAINT `auth_group_permissio_permission_id_84c5c92e_fk_auth_perm` FOREIGN KEY (`permission_id`) REFERENCES `auth_permission` (`id`), CONSTRAINT `auth_group_permissions_group_id_b120cbf9_fk_auth_group_id` FOREIGN KEY (`group_id`) REFERENCES `auth_group` (`id`))",
                ],
            ),
        ],
    }
}

/// The tables of a user model that adds nothing to `AbstractUser`.
fn users(names: &Names) -> Vec<Table> {
    let key = key(names);
    let user = format!(
        "CREATE TABLE {{user}} (`id` {key} AUTO_INCREMENT NOT NULL PRIMARY KEY, `password` varchar(128) NOT NULL, `last_login` datetime(6) NULL, `is_superuser` bool NOT NULL, `username` varchar(150) NOT NULL UNIQUE, `first_name` varchar(150) NOT NULL, `last_name` varchar(150) NOT NULL, `email` varchar(254) NOT NULL, `is_staff` bool NOT NULL, `is_active` bool NOT NULL, `date_joined` datetime(6) NOT NULL)"
    );
    vec![
        Table::new(names.user.clone(), [names.sql('`', &user)]),
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
    let (user, user_id, key) = (names.user.as_str(), names.user_id.as_str(), key(names));
    let unique = names.index(table, &[user_id, other_id], "_uniq");
    let foreign_key = |column, to| {
        let name = names.index(table, &[column], &format!("_fk_{to}_id"));
        format!("CONSTRAINT `{name}` FOREIGN KEY (`{column}`) REFERENCES `{to}` (`id`)")
    };
    let (to_user, to_other) = (foreign_key(user_id, user), foreign_key(other_id, other));
    Table::new(
        table.to_owned(),
        [format!(
            "CREATE TABLE `{table}` (`id` bigint AUTO_INCREMENT NOT NULL PRIMARY KEY, `{user_id}` {key} NOT NULL, `{other_id}` integer NOT NULL, CONSTRAINT `{unique}` UNIQUE (`{user_id}`, `{other_id}`), {to_user}, {to_other})"
        )],
    )
}

/// In a project of `startproject`, an app's keys are of the type `BigAutoField`; those of Django's own are not.
fn key(names: &Names) -> &'static str {
    if names.are_djangos() {
        "integer"
    } else {
        "bigint"
    }
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
                "CREATE TABLE `quintette_user_session` (`id` varchar(64) NOT NULL PRIMARY KEY, `sealed_key` longtext NOT NULL, `user_id` varchar(255) NOT NULL, `created` datetime(6) NOT NULL, `last_activity` datetime(6) NOT NULL, `user_agent` varchar(255) NOT NULL, `address` varchar(45) NOT NULL, INDEX `quintette_user_session_user_id` (`user_id`), INDEX `quintette_user_session_last_activity` (`last_activity`))",
            ],
        )],
    }
}
