//! The tables, as `SQLAlchemy` makes them for Celery 5.7 (`celery/backends/database/models.py`).

use crate::database::{Column, Dialect, Statement};

/// How many columns the table has, and whether `children`, which Celery has since 5.7, is among them.
pub(super) fn columns(dialect: Dialect) -> Statement {
    const COUNTS: &str = "SELECT COUNT(*), COUNT(CASE WHEN";
    let sql = match dialect {
        Dialect::Sqlite => {
            format!(
                "{COUNTS} name = 'children' THEN 1 END) FROM pragma_table_info('celery_taskmeta')"
            )
        }
        Dialect::Postgres => format!(
            "{COUNTS} attname = 'children' THEN 1 END) FROM pg_attribute WHERE attrelid = to_regclass('celery_taskmeta') AND attnum > 0 AND NOT attisdropped"
        ),
        Dialect::Mysql => format!(
            "{COUNTS} column_name = 'children' THEN 1 END) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'celery_taskmeta'"
        ),
    };
    Statement::new(sql).returning(&[Column::Int, Column::Int])
}

pub(super) fn create(dialect: Dialect) -> Vec<Statement> {
    const TASK: &str = "task_id VARCHAR(155), status VARCHAR(50), result BLOB, date_done DATETIME, traceback TEXT, children BLOB, \
        name VARCHAR(155), args BLOB, kwargs BLOB, worker VARCHAR(155), retries INTEGER, queue VARCHAR(155), stamps BLOB, UNIQUE (task_id)";
    const GROUP: &str =
        "taskset_id VARCHAR(155), result BLOB, date_done DATETIME, UNIQUE (taskset_id)";
    let table = |name: &str, columns: &str| match dialect {
        Dialect::Sqlite => format!(
            "CREATE TABLE IF NOT EXISTS {name} (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, {columns})"
        ),
        Dialect::Postgres => {
            let columns = columns.replace("BLOB", "BYTEA");
            let columns = columns.replace("DATETIME", "TIMESTAMP WITHOUT TIME ZONE");
            format!(
                "CREATE TABLE IF NOT EXISTS {name} (id INTEGER NOT NULL, {columns}, PRIMARY KEY (id))"
            )
        }
        Dialect::Mysql => format!(
            "CREATE TABLE IF NOT EXISTS {name} (id INTEGER NOT NULL AUTO_INCREMENT, {columns}, PRIMARY KEY (id), INDEX ix_{name}_date_done (date_done))"
        ),
    };
    let mut statements = vec![
        table("celery_taskmeta", TASK),
        table("celery_tasksetmeta", GROUP),
    ];
    if dialect == Dialect::Postgres {
        statements.push("CREATE SEQUENCE IF NOT EXISTS task_id_sequence".to_owned());
        statements.push("CREATE SEQUENCE IF NOT EXISTS taskset_id_sequence".to_owned());
    }
    if dialect != Dialect::Mysql {
        statements.extend(["celery_taskmeta", "celery_tasksetmeta"].map(|name| {
            format!("CREATE INDEX IF NOT EXISTS ix_{name}_date_done ON {name} (date_done)")
        }));
    }
    statements.into_iter().map(Statement::new).collect()
}

/// An INSERT of a row that is keyed by `key`, or an UPDATE of it unless it says SUCCESS. `status`, where there is one, comes last: `MySQL` sets one
/// column after the other, and looks at what the former have become.
pub(super) fn upsert(dialect: Dialect, table: &str, key: &str, columns: &[&str]) -> String {
    let mut names = vec![key];
    names.extend(columns);
    let mut values = vec!["?"; names.len()].join(", ");
    let mut names = names.join(", ");
    if dialect == Dialect::Postgres {
        // SQLAlchemy's column has no default: it asks the sequence.
        let sequence = if table == "celery_taskmeta" {
            "task"
        } else {
            "taskset"
        };
        names.push_str(", id");
        values = format!("{values}, nextval('{sequence}_id_sequence')");
    }
    let may_change = columns.contains(&"status");
    let set: Vec<_> = columns
        .iter()
        .map(|column| match dialect {
            Dialect::Mysql if may_change => {
                format!("{column} = IF(status <=> 'SUCCESS', {column}, VALUES({column}))")
            }
            Dialect::Mysql => format!("{column} = VALUES({column})"),
            _ => format!("{column} = excluded.{column}"),
        })
        .collect();
    let set = set.join(", ");
    let insert = format!("INSERT INTO {table} ({names}) VALUES ({values})");
    match dialect {
        Dialect::Mysql => format!("{insert} ON DUPLICATE KEY UPDATE {set}"),
        _ if may_change => format!(
            "{insert} ON CONFLICT ({key}) DO UPDATE SET {set} WHERE {table}.status IS NULL OR {table}.status <> 'SUCCESS'"
        ),
        _ => format!("{insert} ON CONFLICT ({key}) DO UPDATE SET {set}"),
    }
}
