use std::borrow::Cow;

#[cfg(feature = "auth")]
use super::user_tables::Names;
#[cfg(feature = "auth")]
use quintette_core::settings::UserModel;

/// A migration that [`Database::migrate`](super::Database::migrate) has made, by Django's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// Django's app label: `sessions`.
    pub app: Cow<'static, str>,
    /// The migration's name: `0001_initial`.
    pub name: &'static str,
}

/// Migrations of Django's that are made in one go: what they are called, and the tables that they leave behind.
///
/// An app of which any migration is recorded is left to Django, whose next ones may be on the way.
#[derive(Debug)]
pub(super) struct Migration {
    pub(super) app: Cow<'static, str>,
    pub(super) names: &'static [&'static str],
    /// What comes before it: where that is not recorded, this is left to Django as well.
    pub(super) after: Option<MigrationName>,
    pub(super) tables: Vec<Table>,
}

/// A table, and how it is made. The first statement makes it, the others its indexes.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: Cow<'static, str>,
    pub(super) statements: Vec<Cow<'static, str>>,
}

/// An app and a name.
pub(super) type MigrationName = (&'static str, &'static str);

/// What is recorded in `django_migrations`.
#[derive(Debug)]
pub(super) struct History(pub(super) Vec<(String, String)>);

impl History {
    pub(super) const SELECT: &'static str = "SELECT app, name FROM django_migrations";

    pub(super) fn has(&self, (app, name): MigrationName) -> bool {
        let mut recorded = self.0.iter();
        recorded.any(|recorded| recorded.0 == app && recorded.1 == name)
    }

    /// Whether the migration is to be made here.
    pub(super) fn calls_for(&self, migration: &Migration) -> bool {
        let is_begun = self.0.iter().any(|(app, _)| *app == *migration.app);
        !is_begun && migration.after.is_none_or(|after| self.has(after))
    }

    /// Notes that it was made.
    pub(super) fn add(&mut self, migration: &Migration) {
        let names = migration.names.iter();
        self.0
            .extend(names.map(|name| (migration.app.to_string(), (*name).to_owned())));
    }
}

impl Migration {
    pub(super) fn migrated(&self) -> impl Iterator<Item = Migrated> + '_ {
        self.names.iter().map(|name| Migrated {
            app: self.app.clone(),
            name,
        })
    }
}

impl Table {
    pub(super) fn new<S: Into<Cow<'static, str>>>(
        name: impl Into<Cow<'static, str>>,
        statements: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            name: name.into(),
            statements: statements.into_iter().map(Into::into).collect(),
        }
    }
}

/// The users are in the tables of `auth`, or in those of the app that `AUTH_USER_MODEL` names.
#[cfg(feature = "auth")]
pub(super) fn of_users_app(
    mut auth: Migration,
    model: &UserModel,
    names: &Names,
    users: Vec<Table>,
) -> Vec<Migration> {
    if names.are_djangos() {
        auth.tables.extend(users);
        return vec![auth];
    }
    let app = Migration {
        app: model.app_label().to_owned().into(),
        names: INITIAL,
        after: Some(AUTH_IS_WHOLE),
        tables: users,
    };
    vec![auth, app]
}

pub(super) const INITIAL: &[&str] = &["0001_initial"];

/// Django's migrations of `django.contrib.contenttypes`, and of `django.contrib.auth`, up to 5.2; 4.2 has the same.
#[cfg(feature = "auth")]
pub(super) const CONTENT_TYPES: &[&str] = &["0001_initial", "0002_remove_content_type_name"];
#[cfg(feature = "auth")]
pub(super) const AUTH: &[&str] = &[
    "0001_initial",
    "0002_alter_permission_name_max_length",
    "0003_alter_user_email_max_length",
    "0004_alter_user_username_opts",
    "0005_alter_user_last_login_null",
    "0006_require_contenttypes_0002",
    "0007_alter_validators_add_error_messages",
    "0008_alter_user_username_max_length",
    "0009_alter_user_last_name_max_length",
    "0010_alter_group_name_max_length",
    "0011_update_proxy_permissions",
    "0012_alter_user_first_name_max_length",
];
#[cfg(feature = "auth")]
pub(super) const CONTENT_TYPES_ARE_WHOLE: MigrationName =
    ("contenttypes", "0002_remove_content_type_name");
#[cfg(feature = "auth")]
const AUTH_IS_WHOLE: MigrationName = ("auth", "0012_alter_user_first_name_max_length");

/// Ours.
#[cfg(feature = "auth")]
pub(super) const USER_SESSIONS: &[&str] = &["0001_user_sessions"];
