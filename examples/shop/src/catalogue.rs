//! What there is to buy.

use axum::extract::{Path, State};
use axum::response::Html;
use minijinja::value::Serde;
use quintette::templates::TemplatePage;
use serde::Serialize;

use crate::error::ShopError;
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

/// The front page has no form: a form's token needs a cookie, and who only looks around gets none. The first one is that of
/// a product's page.
pub(crate) async fn index(
    State(store): State<Store>,
    page: TemplatePage,
) -> Result<Html<String>, ShopError> {
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
    Ok(page
        .render("catalogue.html", Serde(Catalogue { groups }))
        .await?)
}

pub(crate) async fn product(
    State(store): State<Store>,
    page: TemplatePage,
    Path(slug): Path<String>,
) -> Result<Html<String>, ShopError> {
    let product = store.product(&slug).await?.ok_or(ShopError::NotFound)?;
    Ok(page
        .render("product.html", Serde(ProductPage { product }))
        .await?)
}
