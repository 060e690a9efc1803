use super::*;

#[test]
fn a_name_stands_between_its_quotation_marks_and_nowhere_else() {
    let name = TableName::parse("my {index} cache").unwrap();
    assert_eq!(
        name.sql('"', "SELECT 1 FROM {table}"),
        r#"SELECT 1 FROM "my {index} cache""#
    );
    assert_eq!(
        name.sql('`', "CREATE INDEX {index} ON {table}"),
        "CREATE INDEX `my {index} cache_expires` ON `my {index} cache`"
    );
}

#[test]
fn what_could_end_a_name_is_in_none() {
    for odd in [
        "",
        "cache\"; DROP TABLE django_session; --",
        "cache`",
        "cache'",
        "cache]",
        "cache\0",
        "cache\\",
        &"a".repeat(56),
    ] {
        let error = TableName::parse(odd).unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Misconfigured, "{odd:?}");
    }
    for name in ["my_cache", "Кэш", "shop.cache", &"a".repeat(55)] {
        TableName::parse(name).unwrap();
    }
}
