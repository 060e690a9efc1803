//! What tasks read and write.

use chrono::NaiveDate;
use serde::Serialize;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{LISTED_ORDERS, Store};
use crate::jobs::report::{Report, Sold};

/// Where the mail is that confirms an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Confirmation {
    /// Of an order from before there were confirmations.
    None,
    /// Not queued yet.
    Waiting,
    /// Queued.
    Queued,
    /// Sent.
    Sent,
}

impl Confirmation {
    pub(super) fn read(text: Option<&str>) -> Self {
        match text {
            Some("waiting") => Self::Waiting,
            Some("queued") => Self::Queued,
            Some("sent") => Self::Sent,
            _ => Self::None,
        }
    }
}

/// What came of a new price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PriceChange {
    /// It is another one.
    Changed,
    /// It was that before.
    Same,
    /// There is no such product.
    NoProduct,
}

impl Store {
    pub(crate) async fn confirmation_is_queued(&self, number: &str) -> sqlx::Result<()> {
        // It may have been sent meanwhile.
        sqlx::query(
            "UPDATE shop_order SET confirmation = 'queued' WHERE number = ? AND confirmation = 'waiting'",
        )
        .bind(number)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    pub(crate) async fn confirmation_is_sent(&self, number: &str) -> sqlx::Result<()> {
        sqlx::query("UPDATE shop_order SET confirmation = 'sent' WHERE number = ?")
            .bind(number)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The numbers of orders whose confirmation is not queued, the oldest first.
    pub(crate) async fn without_confirmation(&self) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar(
            "SELECT number FROM shop_order WHERE confirmation = 'waiting' ORDER BY rowid LIMIT ?",
        )
        .bind(LISTED_ORDERS)
        .fetch_all(&self.pool)
        .await
    }

    pub(crate) async fn set_price(&self, slug: &str, cents: i64) -> sqlx::Result<PriceChange> {
        let changed = sqlx::query(
            "UPDATE shop_product SET price_cents = ?1 WHERE slug = ?2 AND price_cents <> ?1",
        )
        .bind(cents)
        .bind(slug)
        .execute(&self.pool)
        .await?;
        if changed.rows_affected() > 0 {
            return Ok(PriceChange::Changed);
        }
        let product = self.product(slug).await?;
        Ok(product.map_or(PriceChange::NoProduct, |_| PriceChange::Same))
    }

    /// The sales of a day; when that was asked is left open.
    pub(crate) async fn sales(&self, day: NaiveDate) -> sqlx::Result<Report> {
        // As orders have it: 4 March 2025, 14:05 UTC.
        let placed = format!("{}, %", day.format("%-d %B %Y"));
        let (orders, total_cents): (u32, i64) = sqlx::query_as(
            "SELECT count(*), coalesce(sum(total_cents), 0) FROM shop_order WHERE placed_at LIKE ?",
        )
        .bind(&placed)
        .fetch_one(&self.pool)
        .await?;
        let products: Vec<Sold> = sqlx::query(
            "SELECT shop_order_line.name, sum(quantity) AS pieces, sum(sum_cents) AS sum_cents
             FROM shop_order_line JOIN shop_order ON order_number = number
             WHERE placed_at LIKE ? GROUP BY product ORDER BY 3 DESC, 1",
        )
        .bind(&placed)
        .try_map(|row: SqliteRow| {
            Ok(Sold {
                name: row.try_get("name")?,
                pieces: row.try_get("pieces")?,
                sum_cents: row.try_get("sum_cents")?,
            })
        })
        .fetch_all(&self.pool)
        .await?;
        Ok(Report {
            day,
            written_at: String::new(),
            orders,
            pieces: products.iter().map(|sold| sold.pieces).sum(),
            total_cents,
            products,
        })
    }
}
