//! From the cart to an order. Guests order without an account.

use std::collections::BTreeMap;

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use quintette::sessions::{Session, SessionError};
use serde::{Deserialize, Serialize};

use crate::cart::{Bill, Cart};
use crate::error::ShopError;
use crate::pages::Pages;
use crate::store::{Order, Store};

/// The session's key of the number that the next order will have.
const NEXT_ORDER: &str = "next_order";
/// The session's key of the numbers of this visitor's orders.
const ORDERS: &str = "orders";
/// How many of them it keeps.
const REMEMBERED_ORDERS: usize = 10;

/// Crockford's base 32: no letter is taken for a digit (<https://www.crockford.com/base32.html>).
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The form as it was filled in.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct GuestForm {
    name: String,
    email: String,
    address: String,
}

/// Who orders, and where it goes: a form in which everything is right.
#[derive(Debug, PartialEq)]
pub(crate) struct Guest {
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) address: String,
}

/// What to say beside which field.
type Messages = BTreeMap<&'static str, &'static str>;

impl Guest {
    fn parse(form: &GuestForm) -> Result<Self, Messages> {
        let guest = Self {
            name: form.name.trim().to_owned(),
            email: form.email.trim().to_owned(),
            address: form.address.trim().replace("\r\n", "\n"),
        };
        let mut messages = Messages::new();
        if guest.name.is_empty() {
            messages.insert("name", "Tell us your name.");
        } else if guest.name.chars().count() > 100 || guest.name.chars().any(char::is_control) {
            messages.insert(
                "name",
                "Write the name on one line of at most 100 characters.",
            );
        }
        if guest.email.is_empty() {
            messages.insert("email", "Tell us your e-mail address.");
        } else if !looks_like_email(&guest.email) {
            messages.insert("email", "Write an e-mail address such as mei@example.com.");
        }
        if guest.address.is_empty() {
            messages.insert("address", "Tell us where the tea should go.");
        } else if !(10..=500).contains(&guest.address.chars().count()) {
            messages.insert(
                "address",
                "Write street, postcode and town, in 10 to 500 characters.",
            );
        }
        if messages.is_empty() {
            Ok(guest)
        } else {
            Err(messages)
        }
    }
}

/// Whether an e-mail could arrive: only sending one would tell. 254 characters are the most that SMTP carries (RFC 5321).
fn looks_like_email(text: &str) -> bool {
    let ordinary = |c: char| !c.is_whitespace() && !c.is_control() && !"<>,;\"".contains(c);
    text.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty()
            && host.split('.').count() > 1
            && host.split('.').all(|label| !label.is_empty())
            && !host.contains('@')
    }) && text.len() <= 254
        && text.chars().all(ordinary)
}

#[derive(Serialize)]
struct CheckoutPage<'a> {
    bill: Bill,
    form: &'a GuestForm,
    errors: Messages,
}

pub(crate) async fn form(
    State(store): State<Store>,
    State(pages): State<Pages>,
    session: Session,
) -> Result<Response, ShopError> {
    let cart = Cart::of(&session).await?;
    let bill = Bill::of(&cart, store.products().await?);
    if bill.lines.is_empty() {
        return Ok(Redirect::to("/cart").into_response());
    }
    // Drawn before the form is sent, so that sending it twice finds the same number.
    session.get_or_insert(NEXT_ORDER, random_number()?).await?;
    let page = CheckoutPage {
        bill,
        form: &GuestForm::default(),
        errors: Messages::new(),
    };
    Ok(pages.page("checkout", &cart, page)?.into_response())
}

pub(crate) async fn place(
    State(store): State<Store>,
    State(pages): State<Pages>,
    session: Session,
    Form(form): Form<GuestForm>,
) -> Result<Response, ShopError> {
    let cart = Cart::of(&session).await?;
    let bill = Bill::of(&cart, store.products().await?);
    if bill.lines.is_empty() {
        return Ok(Redirect::to("/cart").into_response());
    }
    let guest = match Guest::parse(&form) {
        Ok(guest) => guest,
        Err(errors) => {
            let form = &form;
            let page = pages.page("checkout", &cart, CheckoutPage { bill, form, errors })?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    let number = session.get_or_insert(NEXT_ORDER, random_number()?).await?;
    store.place(&number, &guest, &bill).await?;
    let order = store.order(&number).await?.ok_or(ShopError::NotFound)?;
    remember(&session, &order).await?;
    Ok(Redirect::to(&format!("/orders/{number}")).into_response())
}

/// Moves what was ordered from the cart to the orders: both are stored at once, or neither is.
///
/// Only what the order holds leaves the cart: what another tab put in meanwhile stays.
async fn remember(session: &Session, order: &Order) -> Result<(), SessionError> {
    let ordered: Vec<(String, u32)> = order
        .lines
        .iter()
        .map(|line| (line.product.clone(), line.quantity))
        .collect();
    Cart::edit(session, move |cart| {
        for (product, quantity) in &ordered {
            cart.take_out(product, *quantity);
        }
    })
    .await?;
    session.remove(NEXT_ORDER);
    let number = order.number.clone();
    let with_number = move |orders: Option<Vec<String>>| {
        let mut orders = orders.unwrap_or_default();
        orders.retain(|other| *other != number);
        orders.push(number.clone());
        let forgotten = orders.len().saturating_sub(REMEMBERED_ORDERS);
        orders.split_off(forgotten)
    };
    session.update(ORDERS, with_number).await?;
    Ok(())
}

#[derive(Serialize)]
struct OrderPage {
    order: Order,
}

/// The confirmation. It holds an address, so it is for the visitor alone who ordered.
pub(crate) async fn order(
    State(store): State<Store>,
    State(pages): State<Pages>,
    session: Session,
    Path(number): Path<String>,
) -> Result<Html<String>, ShopError> {
    let mine: Vec<String> = session.get(ORDERS).await?.unwrap_or_default();
    if !mine.contains(&number) {
        return Err(ShopError::NotFound);
    }
    let order = store.order(&number).await?.ok_or(ShopError::NotFound)?;
    let cart = Cart::of(&session).await?;
    pages.page("order", &cart, OrderPage { order })
}

/// Such as `FL-7K3QX-0M9ZD`: ten letters of five bits.
fn random_number() -> Result<String, ShopError> {
    let mut bytes = [0_u8; 10];
    getrandom::fill(&mut bytes)?;
    let letters = bytes.map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    let (first, second) = letters.split_at(5);
    Ok(format!(
        "FL-{}-{}",
        String::from_iter(first),
        String::from_iter(second)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(name: &str, email: &str, address: &str) -> GuestForm {
        GuestForm {
            name: name.into(),
            email: email.into(),
            address: address.into(),
        }
    }

    #[test]
    fn a_complete_form_is_a_guest() {
        let guest = Guest::parse(&form(
            " 김미나 ",
            "mina@example.com ",
            "1 Tea Lane\r\nSeoul",
        ))
        .unwrap();
        assert_eq!(guest.name, "김미나");
        assert_eq!(guest.email, "mina@example.com");
        assert_eq!(guest.address, "1 Tea Lane\nSeoul");
    }

    #[test]
    fn each_wrong_field_has_its_message() {
        let messages = Guest::parse(&form("", "mina@", "here")).unwrap_err();
        assert_eq!(
            messages.into_keys().collect::<Vec<_>>(),
            ["address", "email", "name"]
        );
    }

    #[test]
    fn what_is_no_email_address_is_told() {
        for wrong in [
            "a",
            "a@b",
            "@b.c",
            "a@b.",
            "a@.b",
            "a b@c.d",
            "a@b@c.d",
            "a@b.c\nx: y",
            "<a@b.c>",
        ] {
            assert!(!looks_like_email(wrong), "{wrong}");
        }
        assert!(!looks_like_email(&format!("a@{}.example", "b".repeat(250))));
        assert!(looks_like_email("mina+tea@mail.example.co.kr"));
    }

    #[test]
    fn order_numbers_can_be_read_aloud_and_are_never_the_same() {
        let number = random_number().unwrap();
        assert_eq!(number.len(), "FL-00000-00000".len());
        assert!(!number.contains(['I', 'O', 'U']));
        assert_ne!(number, random_number().unwrap());
    }
}
