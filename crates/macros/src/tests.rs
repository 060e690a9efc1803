//! What is said to somebody whose function is no task.

use proc_macro2::TokenStream;
use quote::quote;

use crate::expand::expand;

fn error(options: TokenStream, function: TokenStream) -> String {
    match expand(options, function) {
        Ok(expanded) => panic!("{expanded}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_option_that_is_none_is_named_with_those_that_are() {
    let function = || {
        quote!(
            async fn add(x: i64) -> Result<i64, TaskError> {
                Ok(x)
            }
        )
    };
    for (options, said) in [
        (quote!(), "needs a name"),
        (quote!(name), "`name` is a text"),
        (
            quote!(name = "a", retrys = 3),
            "there are name, bind, acks_late",
        ),
        (
            quote!(name = "a", max_retries = "3"),
            "`max_retries` is a number",
        ),
        (
            quote!(name = "a", acks_late = false),
            "write it or leave it out",
        ),
        (quote!(name = "a", time_limit = "1m"), "a number of seconds"),
        (
            quote!(name = "a", queue = slow),
            "`queue` is a text in quotes",
        ),
        (quote!(name = "a", name = "b"), "given twice"),
        (
            quote!(name = "a", retry_jitter),
            "true, the default, or false",
        ),
        (quote!(name = "a", bind), "`context: &Context`"),
    ] {
        let error = error(options, function());
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_function_that_can_be_no_task_is_refused_with_the_reason() {
    for (function, said) in [
        (
            quote!(
                struct Add;
            ),
            "stands before a function",
        ),
        (
            quote!(
                fn add() {}
            ),
            "returns a Result",
        ),
        (
            quote!(
                fn add<T>(x: T) -> R {}
            ),
            "no type parameters",
        ),
        (
            quote!(
                unsafe fn add() -> R {}
            ),
            "not unsafe",
        ),
        (
            quote!(
                fn add(&self) -> R {}
            ),
            "no method",
        ),
        (
            quote!(
                fn add(name: &str) -> R {}
            ),
            "owns its arguments",
        ),
        (
            quote!(
                fn add((x, y): (i64, i64)) -> R {}
            ),
            "needs a name",
        ),
        (
            quote!(
                fn add(x: impl Sized) -> R {}
            ),
            "a type with a name",
        ),
        (
            quote!(
                fn add(add: i64) -> R {}
            ),
            "its task's name",
        ),
        (
            quote!(
                fn add(x: i64, context: &Context) -> R {}
            ),
            "first parameter",
        ),
        (
            quote!(
                fn add(
                    a: A,
                    b: A,
                    c: A,
                    d: A,
                    e: A,
                    f: A,
                    g: A,
                    h: A,
                    i: A,
                    j: A,
                    k: A,
                    l: A,
                    m: A,
                    n: A,
                    o: A,
                    p: A,
                    q: A,
                ) -> R {
                }
            ),
            "at most 16",
        ),
    ] {
        let error = error(quote!(name = "shop.add"), function);
        assert!(error.contains(said), "{error}");
    }
}
