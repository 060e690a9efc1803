use proptest::prelude::*;

use super::*;
use crate::json::tests::values;
use crate::json::{MAX_DEPTH, escape_key, parse_object};

/// `pickle.dumps` of one session in each of the protocols, by Python 3.11.
const PLAIN: [&[u8]; 6] = [
    b"(dp0\nV_auth_user_id\np1\nV1\np2\nsVcart\np3\n(lp4\n(dp5\nVsku\np6\nV\xe9\\U0001f600\np7\nsVn\np8\nI2\nsa(I01\nI00\nNtp9\nasVtotal\np10\nF12.5\nsVbig\np11\nL1180591620717411303424L\nsVneg\np12\nI-70000\nsVtwice\np13\n(lp14\n(lp15\nI1\naag15\nasVinf\np16\nF-inf\nsVlone\np17\nV\\ud800\np18\ns.",
    b"}q\x00(X\x0d\x00\x00\x00_auth_user_idq\x01X\x01\x00\x00\x001q\x02X\x04\x00\x00\x00cartq\x03]q\x04(}q\x05(X\x03\x00\x00\x00skuq\x06X\x06\x00\x00\x00\xc3\xa9\xf0\x9f\x98\x80q\x07X\x01\x00\x00\x00nq\x08K\x02u(I01\nI00\nNtq\x09eX\x05\x00\x00\x00totalq\nG@)\x00\x00\x00\x00\x00\x00X\x03\x00\x00\x00bigq\x0bL1180591620717411303424L\nX\x03\x00\x00\x00negq\x0cJ\x90\xee\xfe\xffX\x05\x00\x00\x00twiceq\x0d]q\x0e(]q\x0fK\x01ah\x0feX\x03\x00\x00\x00infq\x10G\xff\xf0\x00\x00\x00\x00\x00\x00X\x04\x00\x00\x00loneq\x11X\x03\x00\x00\x00\xed\xa0\x80q\x12u.",
    b"\x80\x02}q\x00(X\x0d\x00\x00\x00_auth_user_idq\x01X\x01\x00\x00\x001q\x02X\x04\x00\x00\x00cartq\x03]q\x04(}q\x05(X\x03\x00\x00\x00skuq\x06X\x06\x00\x00\x00\xc3\xa9\xf0\x9f\x98\x80q\x07X\x01\x00\x00\x00nq\x08K\x02u\x88\x89N\x87q\x09eX\x05\x00\x00\x00totalq\nG@)\x00\x00\x00\x00\x00\x00X\x03\x00\x00\x00bigq\x0b\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@X\x03\x00\x00\x00negq\x0cJ\x90\xee\xfe\xffX\x05\x00\x00\x00twiceq\x0d]q\x0e(]q\x0fK\x01ah\x0feX\x03\x00\x00\x00infq\x10G\xff\xf0\x00\x00\x00\x00\x00\x00X\x04\x00\x00\x00loneq\x11X\x03\x00\x00\x00\xed\xa0\x80q\x12u.",
    b"\x80\x03}q\x00(X\x0d\x00\x00\x00_auth_user_idq\x01X\x01\x00\x00\x001q\x02X\x04\x00\x00\x00cartq\x03]q\x04(}q\x05(X\x03\x00\x00\x00skuq\x06X\x06\x00\x00\x00\xc3\xa9\xf0\x9f\x98\x80q\x07X\x01\x00\x00\x00nq\x08K\x02u\x88\x89N\x87q\x09eX\x05\x00\x00\x00totalq\nG@)\x00\x00\x00\x00\x00\x00X\x03\x00\x00\x00bigq\x0b\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@X\x03\x00\x00\x00negq\x0cJ\x90\xee\xfe\xffX\x05\x00\x00\x00twiceq\x0d]q\x0e(]q\x0fK\x01ah\x0feX\x03\x00\x00\x00infq\x10G\xff\xf0\x00\x00\x00\x00\x00\x00X\x04\x00\x00\x00loneq\x11X\x03\x00\x00\x00\xed\xa0\x80q\x12u.",
    b"\x80\x04\x95\x9e\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x0d_auth_user_id\x94\x8c\x011\x94\x8c\x04cart\x94]\x94(}\x94(\x8c\x03sku\x94\x8c\x06\xc3\xa9\xf0\x9f\x98\x80\x94\x8c\x01n\x94K\x02u\x88\x89N\x87\x94e\x8c\x05total\x94G@)\x00\x00\x00\x00\x00\x00\x8c\x03big\x94\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@\x8c\x03neg\x94J\x90\xee\xfe\xff\x8c\x05twice\x94]\x94(]\x94K\x01ah\x0fe\x8c\x03inf\x94G\xff\xf0\x00\x00\x00\x00\x00\x00\x8c\x04lone\x94\x8c\x03\xed\xa0\x80\x94u.",
    b"\x80\x05\x95\x9e\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x0d_auth_user_id\x94\x8c\x011\x94\x8c\x04cart\x94]\x94(}\x94(\x8c\x03sku\x94\x8c\x06\xc3\xa9\xf0\x9f\x98\x80\x94\x8c\x01n\x94K\x02u\x88\x89N\x87\x94e\x8c\x05total\x94G@)\x00\x00\x00\x00\x00\x00\x8c\x03big\x94\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@\x8c\x03neg\x94J\x90\xee\xfe\xff\x8c\x05twice\x94]\x94(]\x94K\x01ah\x0fe\x8c\x03inf\x94G\xff\xf0\x00\x00\x00\x00\x00\x00\x8c\x04lone\x94\x8c\x03\xed\xa0\x80\x94u.",
];

const PLAIN_JSON: [(&str, &str); 8] = [
    ("_auth_user_id", r#""1""#),
    (
        "cart",
        r#"[{"sku":"\u00e9\ud83d\ude00","n":2},[true,false,null]]"#,
    ),
    ("total", "12.5"),
    ("big", "1180591620717411303424"),
    ("neg", "-70000"),
    ("twice", "[[1],[1]]"),
    ("inf", "-Infinity"),
    ("lone", r#""\ud800""#),
];

/// `{"at": datetime(2025, 1, 2, 3, 4, 5), "seen": {1}, "raw": [b"x"], "n": 1}` in protocols 0, 2, 3 and 5.
const FOREIGN: [&[u8]; 4] = [
    b"(dp0\nVat\np1\ncdatetime\ndatetime\np2\n(c_codecs\nencode\np3\n(V\x07\xe9\x01\x02\x03\x04\x05\\u0000\\u0000\\u0000\np4\nVlatin1\np5\ntp6\nRp7\ntp8\nRp9\nsVseen\np10\nc__builtin__\nset\np11\n((lp12\nI1\natp13\nRp14\nsVraw\np15\n(lp16\ng3\n(Vx\np17\ng5\ntp18\nRp19\nasVn\np20\nI1\ns.",
    b"\x80\x02}q\x00(X\x02\x00\x00\x00atq\x01cdatetime\ndatetime\nq\x02c_codecs\nencode\nq\x03X\x0b\x00\x00\x00\x07\xc3\xa9\x01\x02\x03\x04\x05\x00\x00\x00q\x04X\x06\x00\x00\x00latin1q\x05\x86q\x06Rq\x07\x85q\x08Rq\x09X\x04\x00\x00\x00seenq\nc__builtin__\nset\nq\x0b]q\x0cK\x01a\x85q\x0dRq\x0eX\x03\x00\x00\x00rawq\x0f]q\x10h\x03X\x01\x00\x00\x00xq\x11h\x05\x86q\x12Rq\x13aX\x01\x00\x00\x00nq\x14K\x01u.",
    b"\x80\x03}q\x00(X\x02\x00\x00\x00atq\x01cdatetime\ndatetime\nq\x02C\n\x07\xe9\x01\x02\x03\x04\x05\x00\x00\x00q\x03\x85q\x04Rq\x05X\x04\x00\x00\x00seenq\x06cbuiltins\nset\nq\x07]q\x08K\x01a\x85q\x09Rq\nX\x03\x00\x00\x00rawq\x0b]q\x0cC\x01xq\x0daX\x01\x00\x00\x00nq\x0eK\x01u.",
    b"\x80\x05\x95S\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x02at\x94\x8c\x08datetime\x94\x8c\x08datetime\x94\x93\x94C\n\x07\xe9\x01\x02\x03\x04\x05\x00\x00\x00\x94\x85\x94R\x94\x8c\x04seen\x94\x8f\x94(K\x01\x90\x8c\x03raw\x94]\x94C\x01x\x94a\x8c\x01n\x94K\x01u.",
];

/// `pickle.dumps({"e": Exploit(), "n": 1}, 4)`, where `Exploit.__reduce__` is to call `os.system`.
const EXPLOIT: &[u8] = b"\x80\x04\x959\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01e\x94\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x10touch /tmp/pwned\x94\x85\x94R\x94\x8c\x01n\x94K\x01u.";

type Members = IndexMap<Box<str>, Decoded>;

fn members(pickle: &[u8]) -> Members {
    decode_dict(pickle)
        .unwrap_or_else(|error| panic!("{error}"))
        .expect("a dict")
}

fn json(text: &str) -> Decoded {
    Decoded::Json(RawJson::parse(text).expect("JSON"))
}

fn foreign(what: &str) -> Decoded {
    Decoded::Foreign(what.into())
}

fn entries(text: &str) -> IndexMap<Box<str>, RawJson> {
    parse_object(text.as_bytes()).expect("an object")
}

fn encode(entries: &IndexMap<Box<str>, RawJson>) -> Vec<u8> {
    encode_dict(entries.iter().map(|(key, value)| (&**key, value)))
}

#[test]
fn pickles_of_all_protocols_are_read_alike() {
    let expected: Members = PLAIN_JSON
        .iter()
        .map(|(key, text)| (Box::from(*key), json(text)))
        .collect();
    for pickle in PLAIN {
        let members = members(pickle);
        assert_eq!(members, expected);
        assert!(members.keys().eq(expected.keys()), "in their order");
    }
}

#[test]
fn what_json_cannot_hold_is_named_and_the_rest_is_read() {
    for pickle in FOREIGN {
        let members = members(pickle);
        assert_eq!(members["at"], foreign("datetime.datetime"));
        assert_eq!(members["seen"], foreign("set"));
        assert_eq!(members["raw"], foreign("bytes"));
        assert_eq!(members["n"], json("1"));
    }
}

#[test]
fn a_pickle_with_code_in_it_is_no_session() {
    assert_eq!(
        decode_dict(EXPLOIT),
        Err(PickleError::Code("posix.system".into()))
    );
}

#[test]
fn objects_are_named_by_their_class() {
    // pickle.dumps({"o": module.Basket()}) in protocols 0 and 4: by a helper of copyreg, and without.
    let old = b"(dVo\nccopy_reg\n_reconstructor\n(cmodule\nBasket\nc__builtin__\nobject\nNtR(dVx\nI1\nsbs.";
    let new = b"\x80\x04}\x8c\x01o\x8c\x06module\x8c\x06Basket\x93)\x81}\x8c\x01xK\x01sbs.";
    for pickle in [&old[..], new] {
        assert_eq!(members(pickle)["o"], foreign("module.Basket"));
    }
}

#[test]
fn other_ways_to_an_object_are_as_opaque() {
    let values: [(&[u8], &str); 6] = [
        (b"(imodule\nThing\n", "module.Thing"),
        (b"(cmodule\nThing\nI1\no", "module.Thing"),
        (b"cmodule\nThing\n)}\x92", "module.Thing"),
        (b"Psome id\n", "a persistent object"),
        (b"I1\nQ", "a persistent object"),
        (b"\x82\x01", "an object of copyreg's extension registry"),
    ];
    for (value, what) in values {
        let pickle = [&b"}Vk\n"[..], value, b"s."].concat();
        assert_eq!(members(&pickle)["k"], foreign(what));
    }
}

#[test]
fn a_value_that_holds_itself_is_an_error() {
    // l = [1]; l.append(l); pickle.dumps({"l": l, "n": 1}, 4)
    let list = b"\x80\x04\x95\x17\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01l\x94]\x94(K\x01h\x02e\x8c\x01n\x94K\x01u.";
    assert_eq!(decode_dict(list), Err(PickleError::Recursive));
    // A session that holds itself.
    assert_eq!(
        decode_dict(b"}q\x00Vme\nh\x00s."),
        Err(PickleError::Recursive)
    );
}

#[test]
fn a_list_filled_after_it_was_shared_is_seen_filled() {
    // d = {"a": [], "b": the same}; then 7 is appended to it.
    let pickle = b"}]q\x000Va\nh\x00sVb\nh\x00sh\x00I7\na0.";
    assert_eq!(members(pickle)["a"], json("[7]"));
    assert_eq!(members(pickle)["b"], json("[7]"));
}

#[test]
fn a_key_that_is_no_string_is_foreign_and_hides_none_that_is() {
    // pickle.dumps({1: "a", None: "b", "1": "c", "n": 1}, 4)
    let members = members(b"\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00}\x94(K\x01\x8c\x01a\x94N\x8c\x01b\x94\x8c\x011\x94\x8c\x01c\x94\x8c\x01n\x94K\x01u.");
    assert_eq!(members["1"], foreign("a key that is no string but: int"));
    assert_eq!(
        members["None"],
        foreign("a key that is no string but: None")
    );
    assert_eq!(members["n"], json("1"));
    assert_eq!(members.len(), 3);
}

#[test]
fn a_dict_within_may_have_no_other_keys_either() {
    let members = members(b"}Vd\n](}I1\nI2\nsI3\nes.");
    assert_eq!(members["d"], foreign("a dict with a key of type int"));
}

#[test]
fn the_last_of_equal_keys_counts_at_the_place_of_the_first() {
    let members = members(b"(Va\nI1\nVb\nI2\nVa\nI3\nd.");
    let members: Vec<_> = members.iter().map(|(key, value)| (&**key, value)).collect();
    assert_eq!(members, [("a", &json("3")), ("b", &json("2"))]);
}

#[test]
fn an_integer_that_python_would_not_print_is_foreign() {
    let mut pickle = b"}Vn\n\x8b\x00\x08\x00\x00".to_vec();
    pickle.extend([0x7f; 2048]);
    pickle.extend(b"s.");
    assert_eq!(
        members(&pickle)["n"],
        foreign("an int of more than 4300 digits")
    );
}

#[test]
fn what_is_no_dict_is_an_error_that_names_it() {
    for (pickle, what) in [
        (&b"]."[..], "list"),
        (b"I1\n.", "int"),
        (b"cm\nC\n)R.", "m.C"),
    ] {
        assert_eq!(decode_dict(pickle), Err(PickleError::NotADict(what.into())));
    }
}

#[test]
fn none_is_none_in_any_dress() {
    assert_eq!(decode_dict(b"N."), Ok(None));
    assert_eq!(decode_dict(&encode_none(b"0123456789abcdef")), Ok(None));
    assert_ne!(encode_none(&[0; 16]), encode_none(&[1; 16]));
}

#[test]
fn a_billion_laughs_stop_at_the_bound() {
    let mut pickle = b"]q\x000".to_vec();
    for round in 0..30 {
        // A list of the one before, twice.
        pickle.extend([
            b']',
            b'(',
            b'h',
            round,
            b'h',
            round,
            b'e',
            b'q',
            round + 1,
            b'0',
        ]);
    }
    pickle.extend(b"}Vha\nh\x1es.");
    assert_eq!(decode_dict(&pickle), Err(PickleError::TooLarge));
}

#[test]
fn what_is_expanded_in_vain_counts_too() {
    // A megabyte of string before something foreign, under thousands of keys.
    let mut pickle = b"}(]q\x00(X\x00\x00\x10\x00".to_vec();
    pickle.extend(vec![b'a'; 1 << 20]);
    pickle.extend(b"C\x00e0");
    for key in 0..4000 {
        pickle.extend(format!("V{key}\nh\0").bytes());
    }
    pickle.extend(b"u.");
    assert_eq!(decode_dict(&pickle), Err(PickleError::TooLarge));
}

#[test]
fn what_is_nested_too_deep_for_json_is_foreign() {
    let nested = |depth: usize| {
        let lists = [b"]".repeat(depth), b"a".repeat(depth - 1)].concat();
        members(&[&b"}Vl\n"[..], &lists, b"s."].concat())
    };
    assert!(matches!(nested(MAX_DEPTH - 1)["l"], Decoded::Json(_)));
    for depth in [MAX_DEPTH, 1 << 17] {
        assert_eq!(nested(depth)["l"], foreign("a list nested too deep"));
    }
}

#[test]
fn a_long_name_is_cut() {
    let name = "é".repeat(1 << 16);
    let pickle = format!("}}Vo\nc{name}\n{name}\ns.");
    let Decoded::Foreign(what) = &members(pickle.as_bytes())["o"] else {
        panic!("an object");
    };
    assert!(what.len() <= 201);
}

#[test]
fn a_pickle_cut_anywhere_is_an_error() {
    for pickle in PLAIN.iter().chain(&FOREIGN).chain([&EXPLOIT]) {
        for end in 0..pickle.len() {
            assert!(decode_dict(&pickle[..end]).is_err());
        }
    }
}

#[test]
fn broken_pickles_are_errors() {
    let pickles: [&[u8]; 21] = [
        b"",
        b"\x95\x03\0\0\0\0\0\0\0N.",
        b".",
        b"0.",
        b"a.",
        b"(.",
        b"u.",
        b"}(I1\nu.",
        b"}I1\na.",
        b"h\x00.",
        b"Nr\xff\xff\xff\xff.",
        b"I0x10\n.",
        b"I012\n.",
        b"L\n.",
        b"Fabc\n.",
        b"X\xff\xff\xff\xff.",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\x8c\x01\xff.",
        b"N)R.",
        b"\x80\x06N.",
        b"\xff.",
    ];
    for pickle in pickles {
        assert!(decode_dict(pickle).is_err(), "{}", pickle.escape_ascii());
    }
}

#[test]
fn dicts_are_written_for_python() {
    // Each of these was loaded by Python 3.11, and equals json.loads of the text there.
    let known: [(&str, &[u8]); 5] = [
        ("{}", b"\x80\x04}(u."),
        (
            r#"{"a":[1,256,-1,[]],"b":{"c":null}}"#,
            b"\x80\x04}(\x8c\x01a](K\x01J\x00\x01\x00\x00J\xff\xff\xff\xff](ee\x8c\x01b}(\x8c\x01cNuu.",
        ),
        (
            r#"{"a":1e400,"b":-0,"c":1E5}"#,
            b"\x80\x04}(\x8c\x01aG\x7f\xf0\0\0\0\0\0\0\x8c\x01bK\0\x8c\x01cG\x40\xf8\x6a\0\0\0\0\0u.",
        ),
        (
            r#"{"a":"\ud83d\ude00 \ud800 \"","b":[ true , false ]}"#,
            b"\x80\x04}(\x8c\x01a\x8c\x0a\xf0\x9f\x98\x80 \xed\xa0\x80 \"\x8c\x01b](\x88\x89eu.",
        ),
        (
            r#"{"a":1180591620717411303424,"b":2147483648}"#,
            b"\x80\x04}(\x8c\x01aL1180591620717411303424L\n\x8c\x01b\x8a\x08\0\0\0\x80\0\0\0\0u.",
        ),
    ];
    for (text, pickle) in known {
        let written = encode(&entries(text));
        assert_eq!(written, pickle, "{}", written.escape_ascii());
    }
}

#[test]
fn what_was_read_is_written_to_be_read_again() {
    let text = format!(
        r#"{{"nan":[NaN,Infinity,-Infinity],"long":"{}","deep":{}1{}}}"#,
        "x\\u00e9".repeat(200),
        "[".repeat(MAX_DEPTH - 1),
        "]".repeat(MAX_DEPTH - 1),
    );
    let entries = entries(&text);
    for (key, value) in members(&encode(&entries)) {
        assert_eq!(value, Decoded::Json(entries[&key].clone()));
    }
}

proptest! {
    #[test]
    fn any_dict_survives(
        dict in prop::collection::hash_map(any::<String>(), values(), 0..6),
    ) {
        let entries: IndexMap<Box<str>, RawJson> = dict
            .iter()
            .map(|(key, value)| (escape_key(key).into(), RawJson::from_value(value).expect("JSON")))
            .collect();
        let read = members(&encode(&entries));
        prop_assert!(read.keys().eq(entries.keys()));
        for (key, value) in &read {
            prop_assert_eq!(value, &Decoded::Json(entries[key].clone()));
        }
    }

    #[test]
    fn any_bytes_are_a_dict_or_an_error(bytes: Vec<u8>) {
        let _ = decode_dict(&bytes);
    }

    #[test]
    fn any_instructions_are_a_dict_or_an_error(
        instructions in prop::collection::vec(prop::sample::select(INSTRUCTIONS), 0..80),
    ) {
        check(&[&b"}"[..], &instructions.concat(), b"."].concat());
    }

    #[test]
    fn any_change_to_a_pickle_makes_a_dict_or_an_error(
        pickle in prop::sample::select([&PLAIN[..], &FOREIGN[..]].concat()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut pickle = pickle.to_vec();
        for (at, byte) in changes {
            let at = at.index(pickle.len());
            pickle[at] = byte;
        }
        check(&pickle);
    }
}

/// What is read as JSON is JSON for Python, and can be written and read again.
fn check(pickle: &[u8]) {
    let Ok(Some(members)) = decode_dict(pickle) else {
        return;
    };
    let mut entries = IndexMap::new();
    for (key, value) in &members {
        assert_eq!(
            parse_object(format!("{{\"{key}\":0}}").as_bytes())
                .map(|members| members.contains_key(key)),
            Ok(true)
        );
        if let Decoded::Json(json) = value {
            assert_eq!(RawJson::parse(json.as_str()).as_ref(), Ok(json));
            entries.insert(key.clone(), json.clone());
        }
    }
    let again = decode_dict(&encode(&entries)).map(Option::unwrap_or_default);
    assert_eq!(again.map(|members| members.len()), Ok(entries.len()));
}

/// What sequences of instructions are made of.
const INSTRUCTIONS: &[&[u8]] = &[
    b"(",
    b"0",
    b"1",
    b"2",
    b"N",
    b"I1\n",
    b"I01\n",
    b"L5L\n",
    b"F1.5\n",
    b"Va\n",
    b"\x8c\x01b",
    b"C\x01b",
    b"]",
    b"}",
    b")",
    b"\x8f",
    b"\x90",
    b"\x91",
    b"l",
    b"d",
    b"t",
    b"\x85",
    b"\x86",
    b"\x87",
    b"a",
    b"e",
    b"s",
    b"u",
    b"q\0",
    b"q\x01",
    b"h\0",
    b"h\x01",
    b"\x94",
    b"cm\nC\n",
    b"\x93",
    b"R",
    b"b",
    b"\x81",
    b"\x92",
    b"im\nC\n",
    b"o",
    b"Q",
    b"K\x07",
    b"\x88",
    b"\x8a\x01\xff",
];

#[test]
fn a_value_that_is_no_dict_is_read_and_written_as_well() {
    for text in [
        "null",
        "1.5",
        r#""caf\u00e9""#,
        r#"[[1,"a"],{},{"chain":null}]"#,
    ] {
        let value = RawJson::parse(text).unwrap();
        let decoded = decode_value(&encode_value(&value));
        assert_eq!(decoded, Ok(Decoded::Json(value)));
    }
    let date = decode_value(b"cdatetime\ndate\n(I1\ntR.");
    assert_eq!(date, Ok(Decoded::Foreign("datetime.date".into())));
    assert_eq!(decode_value(b"]\x94h\x00a."), Err(PickleError::Recursive));
}
