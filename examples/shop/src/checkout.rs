//! From the cart to an order. Guests order without an account; an order of whoever is logged in belongs to the account.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use minijinja::value::Serde;
use quintette::auth::User;
use quintette::messages::Messages;
use quintette::sessions::{Session, SessionError};
use quintette::templates::TemplatePage;
use serde::{Deserialize, Serialize};

use crate::cart::{Bill, Cart};
use crate::error::ShopError;
use crate::form::{Errors, check_email};
use crate::jobs::Jobs;
use crate::store::{Order, Owner, Store};

/// The session's key of the number that the next order will have.
const NEXT_ORDER: &str = "next_order";
/// The session's key of the numbers of this guest's orders.
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

impl Guest {
    fn parse(form: &GuestForm) -> Result<Self, Errors> {
        let guest = Self {
            name: form.name.trim().to_owned(),
            email: form.email.trim().to_owned(),
            address: form.address.trim().replace("\r\n", "\n"),
        };
        let mut errors = Errors::default();
        if guest.name.is_empty() {
            errors.add("name", "Tell us your name.");
        } else if guest.name.chars().count() > 100 || guest.name.chars().any(char::is_control) {
            errors.add(
                "name",
                "Write the name on one line of at most 100 characters.",
            );
        }
        check_email(&guest.email, &mut errors);
        if guest.address.is_empty() {
            errors.add("address", "Tell us where the tea should go.");
        } else if !(10..=500).contains(&guest.address.chars().count()) {
            errors.add(
                "address",
                "Write street, postcode and town, in 10 to 500 characters.",
            );
        }
        errors.or(guest)
    }
}

#[derive(Serialize)]
struct CheckoutPage<'a> {
    bill: Bill,
    form: &'a GuestForm,
    errors: Errors,
}

pub(crate) async fn form(
    State(store): State<Store>,
    page: TemplatePage,
    session: Session,
    user: Option<User>,
) -> Result<Response, ShopError> {
    let cart = Cart::of(&session).await?;
    let bill = Bill::of(&cart, store.products().await?);
    if bill.lines.is_empty() {
        return Ok(Redirect::to("/cart").into_response());
    }
    // Drawn before the form is sent, so that sending it twice finds the same number.
    session.get_or_insert(NEXT_ORDER, random_number()?).await?;
    let form = user.map(|user| GuestForm {
        name: user.full_name(),
        email: user.email().to_owned(),
        address: String::new(),
    });
    let values = CheckoutPage {
        bill,
        form: &form.unwrap_or_default(),
        errors: Errors::default(),
    };
    let page = page.render("checkout.html", Serde(values)).await?;
    Ok(page.into_response())
}

pub(crate) async fn place(
    State(store): State<Store>,
    State(jobs): State<Jobs>,
    page: TemplatePage,
    session: Session,
    user: Option<User>,
    messages: Messages,
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
            let values = CheckoutPage { bill, form, errors };
            let page = page.render("checkout.html", Serde(values)).await?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    let owner = user.as_ref().map(Owner::of);
    let number = session.get_or_insert(NEXT_ORDER, random_number()?).await?;
    let is_new = store.place(&number, &guest, &bill, owner.as_ref()).await?;
    let order = store.order(&number).await?.ok_or(ShopError::NotFound)?;
    settle(&session, &order, owner.is_none()).await?;
    if is_new {
        messages.success("Your order is placed.");
        // Last, so that nothing that fails after it leaves a mail for an order that is not there. The page says what came of it.
        jobs.confirm(&store, &number).await;
    }
    Ok(Redirect::to(&format!("/orders/{number}")).into_response())
}

/// Takes what was ordered out of the cart, and remembers a guest's order: both are stored at once, or neither is.
///
/// Only what the order holds leaves the cart: what another tab put in meanwhile stays.
async fn settle(session: &Session, order: &Order, is_guest: bool) -> Result<(), SessionError> {
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
    if !is_guest {
        return Ok(());
    }
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
    /// Whether whoever looks at it has placed it.
    is_mine: bool,
}

/// The confirmation. It holds an address, so it is for whoever ordered: the guest's browser or the user's account; and for
/// staff.
pub(crate) async fn order(
    State(store): State<Store>,
    page: TemplatePage,
    session: Session,
    user: Option<User>,
    Path(number): Path<String>,
) -> Result<Html<String>, ShopError> {
    let order = store.order(&number).await?.ok_or(ShopError::NotFound)?;
    let remembered: Vec<String> = session.get(ORDERS).await?.unwrap_or_default();
    let mut is_mine = remembered.contains(&number);
    let mut may_see = is_mine;
    if let Some(user) = &user {
        is_mine |= order.owner == Some(Owner::of(user));
        may_see = is_mine || user.has_perm("shop.view_order").await?;
    }
    if !may_see {
        return Err(ShopError::NotFound);
    }
    let values = OrderPage { order, is_mine };
    Ok(page.render("order.html", Serde(values)).await?)
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
        let errors = Guest::parse(&form("", "mina@", "here")).unwrap_err();
        assert_eq!(errors.fields(), ["address", "email", "name"]);
    }

    #[test]
    fn order_numbers_can_be_read_aloud_and_are_never_the_same() {
        let number = random_number().unwrap();
        assert_eq!(number.len(), "FL-00000-00000".len());
        assert!(!number.contains(['I', 'O', 'U']));
        assert_ne!(number, random_number().unwrap());
    }
}
