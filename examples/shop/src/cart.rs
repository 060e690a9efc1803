//! The cart, which lives in the session.

use axum::Form;
use axum::extract::State;
use axum::response::{Html, Redirect};
use indexmap::IndexMap;
use minijinja::value::Serde;
use quintette::messages::Messages;
use quintette::sessions::{Session, SessionError};
use quintette::templates::TemplatePage;
use serde::{Deserialize, Serialize};

use crate::error::ShopError;
use crate::store::{Product, Store};

/// Of one product.
pub(crate) const MAX_QUANTITY: u32 = 99;

/// The session's key of the cart.
const CART: &str = "cart";

/// In cents.
const DELIVERY: i64 = 490;
/// In cents: from here on delivery is free.
const FREE_DELIVERY: i64 = 4_000;

/// Products and how many of each, in the order in which they were put in.
///
/// In the session it is `{"sencha": 2}`: a Django view of the same site reads `request.session["cart"]["sencha"]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Cart(IndexMap<String, u32>);

impl Cart {
    /// The visitor's cart. To look at it makes no session: who only looks around gets no cookie.
    pub(crate) async fn of(session: &Session) -> Result<Self, SessionError> {
        Ok(session.get(CART).await?.unwrap_or_default())
    }

    /// Changes the cart in the session.
    ///
    /// `update` calls `edit` again, on the newest cart, where another tab has changed it meanwhile: two tabs that each
    /// add one add two. Inserting a cart that was read before would lose the other tab's.
    pub(crate) async fn edit(
        session: &Session,
        edit: impl Fn(&mut Self) + Send + Sync + 'static,
    ) -> Result<(), SessionError> {
        let edited = move |cart: Option<Self>| {
            let mut cart = cart.unwrap_or_default();
            edit(&mut cart);
            cart
        };
        session.update(CART, edited).await.map(drop)
    }

    /// How many pieces there are in it.
    pub(crate) fn count(&self) -> u64 {
        self.0.values().map(|quantity| u64::from(*quantity)).sum()
    }

    fn add(&mut self, product: &str, quantity: Quantity) {
        let line = self.0.entry(product.to_owned()).or_default();
        *line = line.saturating_add(quantity.0).min(MAX_QUANTITY);
    }

    /// What another tab has removed stays removed.
    fn set(&mut self, product: &str, quantity: Quantity) {
        if let Some(line) = self.0.get_mut(product) {
            *line = quantity.0;
        }
    }

    fn remove(&mut self, product: &str) {
        self.0.shift_remove(product);
    }

    /// Takes out what was ordered, and leaves what was put in since.
    pub(crate) fn take_out(&mut self, product: &str, quantity: u32) {
        if let Some(line) = self.0.get_mut(product) {
            *line = line.saturating_sub(quantity);
        }
        self.0.retain(|_, quantity| *quantity > 0);
    }
}

/// From 1 to [`MAX_QUANTITY`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u32")]
pub(crate) struct Quantity(u32);

impl TryFrom<u32> for Quantity {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if (1..=MAX_QUANTITY).contains(&number) {
            Ok(Self(number))
        } else {
            Err(format!("{number} is not from 1 to {MAX_QUANTITY}"))
        }
    }
}

/// A cart with today's prices.
#[derive(Debug, Serialize)]
pub(crate) struct Bill {
    pub(crate) lines: Vec<BillLine>,
    pub(crate) goods_cents: i64,
    pub(crate) delivery_cents: i64,
    pub(crate) total_cents: i64,
}

#[derive(Debug, Serialize)]
pub(crate) struct BillLine {
    pub(crate) product: Product,
    pub(crate) quantity: u32,
    pub(crate) sum_cents: i64,
}

impl Bill {
    /// Prices are the store's, never the form's nor the session's. What is no longer sold is left out.
    pub(crate) fn of(cart: &Cart, products: Vec<Product>) -> Self {
        let mut lines: Vec<BillLine> = products
            .into_iter()
            .filter_map(|product| {
                let quantity = *cart.0.get(&product.slug)?;
                let sum_cents = product.price_cents.saturating_mul(quantity.into());
                Some(BillLine {
                    product,
                    quantity,
                    sum_cents,
                })
            })
            .collect();
        lines.sort_by_key(|line| cart.0.get_index_of(&line.product.slug));
        let goods_cents = lines.iter().map(|line| line.sum_cents).sum();
        let delivery_cents = if goods_cents < FREE_DELIVERY {
            DELIVERY
        } else {
            0
        };
        Self {
            lines,
            goods_cents,
            delivery_cents,
            total_cents: goods_cents + delivery_cents,
        }
    }
}

#[derive(Serialize)]
struct CartPage {
    bill: Bill,
}

pub(crate) async fn show(
    State(store): State<Store>,
    page: TemplatePage,
    session: Session,
) -> Result<Html<String>, ShopError> {
    let cart = Cart::of(&session).await?;
    let bill = Bill::of(&cart, store.products().await?);
    Ok(page.render("cart.html", Serde(CartPage { bill })).await?)
}

#[derive(Deserialize)]
pub(crate) struct LineForm {
    product: String,
    quantity: Quantity,
}

pub(crate) async fn add(
    State(store): State<Store>,
    session: Session,
    messages: Messages,
    Form(form): Form<LineForm>,
) -> Result<Redirect, ShopError> {
    let Product { slug, name, .. } = find(&store, &form.product).await?;
    Cart::edit(&session, move |cart| cart.add(&slug, form.quantity)).await?;
    let Quantity(quantity) = form.quantity;
    messages.success(format!("In your cart: {quantity} × {name}."));
    Ok(Redirect::to("/cart"))
}

pub(crate) async fn set_quantity(
    State(store): State<Store>,
    session: Session,
    messages: Messages,
    Form(form): Form<LineForm>,
) -> Result<Redirect, ShopError> {
    let Product { slug, name, .. } = find(&store, &form.product).await?;
    if session.contains(CART).await? {
        Cart::edit(&session, move |cart| cart.set(&slug, form.quantity)).await?;
        let Quantity(quantity) = form.quantity;
        messages.success(format!("Changed: {quantity} × {name}."));
    }
    Ok(Redirect::to("/cart"))
}

#[derive(Deserialize)]
pub(crate) struct RemoveForm {
    product: String,
}

pub(crate) async fn remove(
    State(store): State<Store>,
    session: Session,
    messages: Messages,
    Form(form): Form<RemoveForm>,
) -> Result<Redirect, ShopError> {
    let Product { slug, name, .. } = find(&store, &form.product).await?;
    if session.contains(CART).await? {
        Cart::edit(&session, move |cart| cart.remove(&slug)).await?;
        messages.success(format!("Removed: {name}."));
    }
    Ok(Redirect::to("/cart"))
}

async fn find(store: &Store, slug: &str) -> Result<Product, ShopError> {
    store.product(slug).await?.ok_or(ShopError::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_never_exceeds_its_maximum() {
        let mut cart = Cart::default();
        cart.add("sencha", Quantity(MAX_QUANTITY));
        cart.add("sencha", Quantity(1));
        assert_eq!(cart.count(), u64::from(MAX_QUANTITY));
    }

    #[test]
    fn what_was_removed_elsewhere_cannot_be_changed() {
        let mut cart = Cart::default();
        cart.set("sencha", Quantity(3));
        assert_eq!(cart, Cart::default());
    }

    #[test]
    fn an_order_takes_out_what_it_holds_and_no_more() {
        let mut cart = Cart::default();
        cart.add("sencha", Quantity(2));
        cart.add("oolong", Quantity(1));
        cart.add("sencha", Quantity(1));
        cart.take_out("sencha", 2);
        cart.take_out("oolong", 1);
        let mut left = Cart::default();
        left.add("sencha", Quantity(1));
        assert_eq!(cart, left);
    }
}
