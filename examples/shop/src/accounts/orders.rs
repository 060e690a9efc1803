//! The orders of an account.

use axum::extract::State;
use axum::response::Html;
use minijinja::value::Serde;
use quintette::auth::User;
use quintette::templates::TemplatePage;
use serde::Serialize;

use crate::error::ShopError;
use crate::store::{OrderSummary, Owner, Store};

#[derive(Serialize)]
struct OrdersPage {
    orders: Vec<OrderSummary>,
}

pub(super) async fn mine(
    State(store): State<Store>,
    page: TemplatePage,
    user: User,
) -> Result<Html<String>, ShopError> {
    let orders = store.orders(Some(&Owner::of(&user))).await?;
    Ok(page
        .render("orders.html", Serde(OrdersPage { orders }))
        .await?)
}
