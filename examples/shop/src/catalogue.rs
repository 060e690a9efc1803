//! What there is to buy.

use axum::extract::{Path, State};
use axum::response::Html;
use quintette::sessions::Session;
use serde::Serialize;

use crate::cart::Cart;
use crate::error::ShopError;
use crate::pages::Pages;
use crate::store::{Product, Store};

#[derive(Serialize)]
struct Catalogue {
    groups: Vec<Group>,
}

/// The products of one category.
#[derive(Serialize)]
struct Group {
    name: String,
    products: Vec<Product>,
}

#[derive(Serialize)]
struct ProductPage {
    product: Product,
}

pub(crate) async fn index(
    State(store): State<Store>,
    State(pages): State<Pages>,
    session: Session,
) -> Result<Html<String>, ShopError> {
    let cart = Cart::of(&session).await?;
    let mut groups: Vec<Group> = Vec::new();
    for product in store.products().await? {
        match groups.last_mut() {
            Some(group) if group.name == product.category => group.products.push(product),
            _ => groups.push(Group {
                name: product.category.clone(),
                products: vec![product],
            }),
        }
    }
    pages.page("catalogue", &cart, Catalogue { groups })
}

pub(crate) async fn product(
    State(store): State<Store>,
    State(pages): State<Pages>,
    session: Session,
    Path(slug): Path<String>,
) -> Result<Html<String>, ShopError> {
    let product = store.product(&slug).await?.ok_or(ShopError::NotFound)?;
    let cart = Cart::of(&session).await?;
    pages.page("product", &cart, ProductPage { product })
}
