//! What is stored comes back, byte for byte.

use super::store::{Store, data};
use crate::case::{Case, case};

pub(super) fn cases(respells_numbers: bool) -> Vec<Case<Store>> {
    let numbers = if respells_numbers {
        case(a_number_of_any_size_comes_back)
    } else {
        case(a_number_keeps_its_spelling)
    };
    vec![
        case(an_empty_session_is_a_session),
        case(plain_values_come_back_as_they_were),
        numbers,
        case(text_of_every_script_comes_back_as_it_was),
        case(a_lone_surrogate_comes_back_as_it_was),
        case(nested_values_come_back_as_they_were),
        case(keys_of_any_text_come_back_as_they_were),
        case(the_order_of_the_keys_is_kept),
        case(a_session_of_64_kib_comes_back_as_it_was),
        case(one_session_knows_nothing_of_another),
    ]
}

/// Stored by `create` and by `replace`: both must keep every byte.
async fn comes_back(store: &Store, json: &str) {
    let json = data(json).to_json().unwrap();
    let (key, _) = store.create(&json).await;
    assert_eq!(store.json(&key).await.as_deref(), Some(&*json), "created");

    let (key, revision) = store.create(r#"{"before":true}"#).await;
    store.replaced(&key, &revision, &json).await;
    assert_eq!(store.json(&key).await.as_deref(), Some(&*json), "replaced");
}

async fn an_empty_session_is_a_session(store: Store) {
    comes_back(&store, "{}").await;
}

async fn plain_values_come_back_as_they_were(store: Store) {
    comes_back(
        &store,
        r#"{"null":null,"true":true,"false":false,"empty":"","text":"tea","zero":0,"one":1,"minus":-1}"#,
    )
    .await;
}

async fn a_number_keeps_its_spelling(store: Store) {
    comes_back(
        &store,
        r#"{"tenth":0.1,"huge":1e400,"cents":19.90,"whole":1.0,"power":1180591620717411303424,"minus zero":-0.0,"e":1E5}"#,
    )
    .await;
}

async fn a_number_of_any_size_comes_back(store: Store) {
    comes_back(
        &store,
        r#"{"tenth":0.1,"sum":0.30000000000000004,"whole":1.0,"minus zero":-0.0,"power":1180591620717411303424,"least":-9223372036854775809}"#,
    )
    .await;
}

async fn text_of_every_script_comes_back_as_it_was(store: Store) {
    comes_back(
        &store,
        r#"{"korean":"안녕하세요, 세션","emoji":"🍵👩‍👩‍👧‍👦","accents":"naïve café e\u0301","arabic":"مرحبا","control":"\u0000\u0001\t\r\n\u007f","quotes":"\"'`\\","separators":"\u2028\u2029","latin":"ÿ"}"#,
    )
    .await;
}

async fn a_lone_surrogate_comes_back_as_it_was(store: Store) {
    comes_back(&store, r#"{"half":"\ud83c","\udf75":"other half"}"#).await;
}

async fn nested_values_come_back_as_they_were(store: Store) {
    let deep = format!(r#"{{"deep":{}1{}}}"#, "[".repeat(64), "]".repeat(64));
    comes_back(&store, &deep).await;
    comes_back(
        &store,
        r#"{"cart":[{"sku":"A-1","qty":2,"tags":["new",["nested",{}]]},[],{"":null}],"empty":{}}"#,
    )
    .await;
}

async fn keys_of_any_text_come_back_as_they_were(store: Store) {
    comes_back(
        &store,
        r#"{"":1,"with \"quotes\"":2,"with \\ backslash":3,"한국어":4,"🍵":5,"with\nline":6,"a.b:c/d":7,"_session_expiry_not":8}"#,
    )
    .await;
}

async fn the_order_of_the_keys_is_kept(store: Store) {
    comes_back(&store, r#"{"z":1,"a":2,"10":3,"9":4,"m":5,"Z":6,"A":7}"#).await;
}

async fn a_session_of_64_kib_comes_back_as_it_was(store: Store) {
    let lines: Vec<String> = (0..1_024).map(|n| format!("{n:064x}")).collect();
    comes_back(&store, &format!(r#"{{"large":"{}"}}"#, lines.concat())).await;
}

async fn one_session_knows_nothing_of_another(store: Store) {
    let (one, revision) = store.create(r#"{"who":"one"}"#).await;
    let (two, _) = store.create(r#"{"who":"two"}"#).await;
    store.replaced(&one, &revision, r#"{"who":"ONE"}"#).await;
    assert_eq!(store.json(&two).await.unwrap(), r#"{"who":"two"}"#);
    store.engine.delete(&one, None).await.unwrap();
    assert_eq!(store.json(&two).await.unwrap(), r#"{"who":"two"}"#);
}
