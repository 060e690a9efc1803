/// A migration that [`Database::migrate`](super::Database::migrate) has made, by Django's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// Django's app label: `sessions`.
    pub app: &'static str,
    /// The migration's name: `0001_initial`.
    pub name: &'static str,
}

/// A migration of Django's: what it is called, which table shows that it was made, and how it is made.
#[derive(Debug)]
pub(super) struct Migration {
    pub(super) app: &'static str,
    pub(super) name: &'static str,
    pub(super) table: &'static str,
    pub(super) statements: &'static [&'static str],
}
