//! `SQLAlchemy`'s URLs.

use std::path::PathBuf;

use quintette_core::settings::{DatabaseUrl, SecretUrl, SqliteLocation};

use super::DatabaseError;

/// Reads what follows `db+` or `sqla+`, as `SQLAlchemy` does: `sqlite:///shop.db` is a file in the working directory, and `sqlite:////srv/shop.db` an
/// absolute path. The name of a Python driver (`postgresql+psycopg://`) is passed over.
pub(crate) fn parse(url: &str) -> Result<DatabaseUrl, DatabaseError> {
    let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
    let dialect = scheme.split('+').next().unwrap_or_default();
    match dialect {
        "sqlite" => Ok(DatabaseUrl::Sqlite(sqlite(rest))),
        "postgresql" | "postgres" => Ok(DatabaseUrl::Postgres(SecretUrl::new(format!(
            "postgres://{rest}"
        )))),
        "mysql" | "mariadb" => Ok(DatabaseUrl::Mysql(SecretUrl::new(format!(
            "mysql://{rest}"
        )))),
        _ => Err(DatabaseError::configuration(
            "the URL of a database",
            "nothing here speaks it; write sqlite:///shop.db (a relative path), sqlite:////srv/shop.db (an absolute one), postgresql:// or mysql://",
        )),
    }
}

fn sqlite(rest: &str) -> SqliteLocation {
    let path = rest.split('?').next().unwrap_or_default();
    // What stands before the third slash would be a host.
    let path = path.strip_prefix('/').unwrap_or_default();
    if path.is_empty() || path == ":memory:" {
        return SqliteLocation::Memory;
    }
    SqliteLocation::File(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_slashes_are_relative_and_four_absolute_as_sqlalchemy_has_it() {
        for (url, path) in [
            ("sqlite:///shop.db", "shop.db"),
            ("sqlite:////srv/shop.db", "/srv/shop.db"),
            ("sqlite+pysqlite:///a/b.db?timeout=3", "a/b.db"),
        ] {
            let parsed = parse(url).unwrap();
            let file = SqliteLocation::File(PathBuf::from(path));
            assert_eq!(parsed, DatabaseUrl::Sqlite(file), "{url}");
        }
        for url in ["sqlite://", "sqlite:///:memory:"] {
            let memory = DatabaseUrl::Sqlite(SqliteLocation::Memory);
            assert_eq!(parse(url).unwrap(), memory);
        }
    }

    #[test]
    fn a_python_driver_is_passed_over_and_a_password_is_not_shown() {
        let url = parse("postgresql+psycopg2://shop:hunter2@db/shop").unwrap();
        assert_eq!(url.to_string(), "postgres://***@db/shop");
        let error = parse("oracle://shop:hunter2@db/shop").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
