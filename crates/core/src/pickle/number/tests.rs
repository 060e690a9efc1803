use super::*;

#[test]
fn the_numbers_that_python_has_pickled_are_read_and_what_follows_is_left() {
    for (pickle, number) in [
        // pickle.dumps(1.5, protocol), protocols 0 to 5.
        (&b"F1.5\n."[..], Some(1.5)),
        (b"G?\xf8\0\0\0\0\0\0.", Some(1.5)),
        (b"\x80\x02G?\xf8\0\0\0\0\0\0.", Some(1.5)),
        (b"\x80\x03G?\xf8\0\0\0\0\0\0.", Some(1.5)),
        (
            b"\x80\x04\x95\n\0\0\0\0\0\0\0G?\xf8\0\0\0\0\0\0.",
            Some(1.5),
        ),
        (
            b"\x80\x05\x95\n\0\0\0\0\0\0\0G?\xf8\0\0\0\0\0\0.",
            Some(1.5),
        ),
        (b"\x80\x05N.", None),
        (b"\x80\x05K\x07.", Some(7.0)),
        (b"\x80\x05\x88.", Some(1.0)),
        (b"\x80\x05\x8a\t\0\0\0\0\0\0\0\0\x01.", Some(2f64.powi(64))),
    ] {
        let bytes = [pickle, b"x\x9c. more"].concat();
        assert_eq!(decode_number(&bytes), Ok((number, &b"x\x9c. more"[..])));
    }
}

#[test]
fn what_holds_no_number_says_what_it_holds() {
    for (pickle, what) in [
        (&b"\x80\x05\x8c\x011\x94."[..], "str"),
        (b"\x80\x05}\x94.", "dict"),
        (b"cdatetime\ndate\n.", "datetime.date"),
    ] {
        assert_eq!(
            decode_number(pickle),
            Err(PickleError::NotANumber(what.into()))
        );
    }
    let code = decode_number(b"cos\nsystem\n(K\x01tR.");
    assert_eq!(code, Err(PickleError::Code("os.system".into())));
    for pickle in [
        &b""[..],
        b"\x80",
        b"\x80\x05",
        b"\x80\x05G?\xf8",
        b"\0",
        b".",
    ] {
        decode_number(pickle).unwrap_err();
    }
}

#[test]
fn what_is_written_is_read() {
    for number in [0.0, -1.0, 1_760_000_000.25, 1e300, f64::INFINITY] {
        let pickle = encode_number(number);
        assert_eq!(decode_number(&pickle), Ok((Some(number), &b""[..])));
    }
}
