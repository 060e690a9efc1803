//! The standard session of the benchmarks: about 1 KB of JSON, as `/bench/fill` of the probe stores it.

use serde::Serialize;

/// One line of the cart.
#[derive(Serialize)]
pub struct Line {
    sku: String,
    qty: u32,
    price: &'static str,
    name: String,
}

/// The whole session.
#[derive(Serialize)]
pub struct Standard {
    /// Who is logged in.
    pub _auth_user_id: &'static str,
    /// What has checked the password.
    pub _auth_user_backend: &'static str,
    /// What ends the session when the password changes.
    pub _auth_user_hash: String,
    /// Ten lines.
    pub cart: Vec<Line>,
    /// What `/bench/read` reads and `/bench/write` counts up.
    pub n: i64,
}

impl Default for Standard {
    fn default() -> Self {
        let line = |index: u32| Line {
            sku: format!("SKU-{index:05}"),
            qty: index + 1,
            price: "19.99",
            name: format!("Product number {index} with a name"),
        };
        Self {
            _auth_user_id: "42",
            _auth_user_backend: "django.contrib.auth.backends.ModelBackend",
            _auth_user_hash: "a".repeat(64),
            cart: (0..10).map(line).collect(),
            n: 0,
        }
    }
}
