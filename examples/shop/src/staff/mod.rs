//! Pages for staff: all orders, sales reports, prices.

mod orders;
mod prices;
mod reports;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use quintette::auth::guards::{login_required, permission_required};
use quintette::auth::{AuthError, Authentication};

use crate::app::Shop;

/// To see orders, and what was sold.
const VIEW_ORDER: &str = "shop.view_order";
/// To change prices.
const CHANGE_PRODUCT: &str = "shop.change_product";

/// In bytes: a list of prices is longer than other forms.
const LONGEST_LIST: usize = 1024 * 1024;

/// Makes what staff may be given; a superuser may do everything anyway.
pub(crate) async fn create_permissions(authentication: &Authentication) -> Result<(), AuthError> {
    let users = authentication.users()?;
    users
        .create_permission("shop", "order", "view_order", "Can view order")
        .await?;
    users
        .create_permission("shop", "product", "change_product", "Can change product")
        .await?;
    Ok(())
}

/// Whoever is logged in and may not is told so, and not asked to log in again.
pub(crate) fn routes() -> Router<Shop> {
    let orders = Router::new()
        .route("/staff/orders", get(orders::all))
        .route("/staff/reports", get(reports::list).post(reports::run_now))
        .layer(permission_required(VIEW_ORDER).raise_exception())
        .layer(login_required());
    let products = Router::new()
        .route("/staff/prices", get(prices::form).post(prices::import))
        .route("/staff/prices/{import}", get(prices::progress))
        .layer(DefaultBodyLimit::max(LONGEST_LIST))
        .layer(permission_required(CHANGE_PRODUCT).raise_exception())
        .layer(login_required());
    orders.merge(products)
}
