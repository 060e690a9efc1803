//! All orders. The guard before it has asked for the permission.

use axum::extract::State;
use axum::response::Html;
use minijinja::value::Serde;
use quintette::templates::TemplatePage;
use serde::Serialize;

use crate::error::ShopError;
use crate::store::{OrderSummary, Store};

#[derive(Serialize)]
struct OrdersPage {
    orders: Vec<OrderSummary>,
}

pub(super) async fn all(
    State(store): State<Store>,
    page: TemplatePage,
) -> Result<Html<String>, ShopError> {
    let orders = store.orders(None).await?;
    Ok(page
        .render("staff_orders.html", Serde(OrdersPage { orders }))
        .await?)
}
