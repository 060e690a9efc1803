"""What a database says of Django's tables, in a form that two databases of one kind can be compared by."""

SESSIONS = ("django_migrations", "django_session")
GROUPS = ("django_content_type", "auth_permission", "auth_group", "auth_group_permissions")
USERS = ("auth_user", "auth_user_groups", "auth_user_user_permissions")
CUSTOMERS = ("accounts_customer", "accounts_customer_groups", "accounts_customer_user_permissions")
TABLES = SESSIONS + GROUPS + USERS

QUESTIONS = {
    "sqlite": {
        "objects": "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE tbl_name = '{table}' ORDER BY name",
        "columns": "SELECT * FROM pragma_table_info('{table}')",
        "indexes": "SELECT name, \"unique\", origin, partial FROM pragma_index_list('{table}') ORDER BY name",
    },
    "postgres": {
        # A column that a migration has dropped leaves its number behind.
        "columns": "SELECT column_name, rank() OVER (ORDER BY ordinal_position), data_type, udt_name, character_maximum_length, datetime_precision, "
        "collation_name, is_nullable, column_default, is_identity, identity_generation FROM information_schema.columns "
        "WHERE table_schema = 'public' AND table_name = '{table}' ORDER BY ordinal_position",
        "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = '{table}' ORDER BY indexname",
        "constraints": "SELECT conname, contype, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = 'public.{table}'::regclass ORDER BY conname",
    },
    "mariadb": {
        "columns": "SELECT column_name, ordinal_position, column_type, character_set_name, collation_name, is_nullable, "
        "column_default, column_key, extra FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND table_name = '{table}' ORDER BY ordinal_position",
        "indexes": "SELECT index_name, column_name, seq_in_index, non_unique, sub_part, index_type FROM "
        "information_schema.statistics WHERE table_schema = DATABASE() AND table_name = '{table}' ORDER BY 1, 3",
        "constraints": "SELECT constraint_name, constraint_type FROM information_schema.table_constraints "
        "WHERE table_schema = DATABASE() AND table_name = '{table}' ORDER BY 1",
        "tables": "SELECT engine, table_collation FROM information_schema.tables "
        "WHERE table_schema = DATABASE() AND table_name = '{table}'",
    },
}

TABLE_NAMES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    "postgres": "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1",
    "mariadb": "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1",
}


def schema(kind, database, tables=TABLES):
    return {
        (table, about): database.sql(question.format(table=table))
        for table in tables
        for about, question in QUESTIONS[kind].items()
    }


def table_names(kind, database):
    return [name for (name,) in database.sql(TABLE_NAMES[kind])]


def contents(kind, database, names=None):
    """Every table's definition, and all of its rows."""
    names = table_names(kind, database) if names is None else names
    rows = {name: sorted(map(repr, database.sql(f"SELECT * FROM {name}"))) for name in names}
    return schema(kind, database, names), rows
