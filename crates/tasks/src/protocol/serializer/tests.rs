use super::*;

#[cfg(all(feature = "msgpack", feature = "yaml"))]
mod formats;

fn all() -> ContentPolicy {
    ContentPolicy {
        accept: AcceptContent::from_names(["json", "pickle", "msgpack", "yaml"]).unwrap(),
        ..ContentPolicy::default()
    }
}

#[test]
fn json_is_all_that_is_accepted_unless_told_otherwise() {
    let policy = ContentPolicy::default();
    for (content_type, name) in [
        ("application/x-python-serialize", "pickle"),
        ("application/x-msgpack", "msgpack"),
        ("application/x-yaml", "yaml"),
        ("application/x-ruby", "application/x-ruby"),
        ("", ""),
        // A name is for settings; a message has a content type.
        ("json", "json"),
    ] {
        let error = policy.decode(b"[]", content_type, None).unwrap_err();
        assert!(
            matches!(error, ContentError::Disallowed { .. }),
            "{error:?}"
        );
        assert_eq!(
            error.to_string(),
            format!("Refusing to deserialize untrusted content of type {name} ({content_type})")
        );
    }
}

#[test]
fn what_is_not_accepted_is_not_even_expanded() {
    let error = ContentPolicy::default()
        .decode(b"broken", "application/x-yaml", Some("application/x-gzip"))
        .unwrap_err();
    assert!(
        matches!(error, ContentError::Disallowed { .. }),
        "{error:?}"
    );
}

#[test]
fn a_compressed_body_is_read_within_the_limit() {
    let body = format!("[[\"{}\"],{{}},{{}}]", "a".repeat(5000));
    let compressed = Compression::Gzip.compress(body.as_bytes()).unwrap();
    let mut policy = ContentPolicy::default();
    let read = policy.decode(&compressed, "application/json", Some("application/x-gzip"));
    assert_eq!(read.unwrap().as_str(), body);

    policy.max_expanded = 5000;
    let error = policy.decode(&compressed, "application/json", Some("application/x-gzip"));
    assert!(matches!(
        error.unwrap_err(),
        ContentError::Compression(CompressionError::TooLarge { limit: 5000 })
    ));
    let unknown = policy.decode(&compressed, "application/json", Some("rot13"));
    assert!(unknown.unwrap_err().to_string().contains("rot13"));
}

#[test]
fn a_pickle_is_read_and_never_run() {
    let decode = |body: &[u8]| all().decode(body, "application/x-python-serialize", None);
    // pickle.dumps(((1,), {}, {"chord": None}))
    let body = b"\x80\x04K\x01\x85\x94}\x94}\x94\x8c\x05chord\x94Ns\x87\x94.";
    assert_eq!(decode(body).unwrap().as_str(), r#"[[1],{},{"chord":null}]"#);

    let exploit = decode(b"cos\nsystem\n(S'true'\ntR.").unwrap_err();
    assert!(
        matches!(exploit, ContentError::Pickle(PickleError::Code(_))),
        "{exploit:?}"
    );
    let date = decode(b"cdatetime\ndate\n(I1\ntR.").unwrap_err();
    assert!(date.to_string().contains("datetime.date"), "{date}");
}

#[test]
fn bodies_that_are_no_json_are_errors() {
    for body in [
        &b""[..],
        b"[",
        b"\xff",
        b"[[], {}, {}] x",
        "\u{feff}[]".as_bytes(),
    ] {
        assert!(Serializer::Json.decode(body).is_err(), "{body:?}");
    }
}

#[test]
fn an_unknown_name_in_the_settings_is_an_error() {
    let error = AcceptContent::from_names(["json", "xml"]).unwrap_err();
    assert!(error.to_string().contains("\"xml\""), "{error}");
}
