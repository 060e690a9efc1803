//! Products and orders: the shop's own tables, in its `SQLite` file.

mod back_office;

use std::path::Path;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use quintette::auth::User;
use serde::Serialize;
use sqlx::error::DatabaseError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
};
use sqlx::{FromRow, Row as _};
use tokio::time::Instant;

use crate::cart::Bill;
use crate::checkout::Guest;
use crate::sample;

pub(crate) use back_office::{Confirmation, PriceChange};

/// How long a statement waits for another that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const TABLES: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS shop_product (
        id INTEGER PRIMARY KEY, slug TEXT NOT NULL UNIQUE, category TEXT NOT NULL, name TEXT NOT NULL,
        summary TEXT NOT NULL, description TEXT NOT NULL, facts TEXT NOT NULL, unit TEXT NOT NULL,
        price_cents INTEGER NOT NULL CHECK (price_cents >= 0))",
    "CREATE TABLE IF NOT EXISTS shop_order (
        number TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, address TEXT NOT NULL,
        goods_cents INTEGER NOT NULL, delivery_cents INTEGER NOT NULL, total_cents INTEGER NOT NULL,
        placed_at TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS shop_order_line (
        id INTEGER PRIMARY KEY, order_number TEXT NOT NULL REFERENCES shop_order (number),
        product TEXT NOT NULL, name TEXT NOT NULL, quantity INTEGER NOT NULL, sum_cents INTEGER NOT NULL)",
];

/// Columns that the orders of an older shop lack: from before there were accounts, and before there were confirmations.
const LATER_COLUMNS: [(&str, &str); 2] = [
    ("owner", "ALTER TABLE shop_order ADD COLUMN owner TEXT"),
    (
        "confirmation",
        "ALTER TABLE shop_order ADD COLUMN confirmation TEXT",
    ),
];

/// How many orders a page lists.
const LISTED_ORDERS: u32 = 100;

/// A handle to the shop's tables; clones share the connections.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: SqlitePool,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Product {
    pub(crate) slug: String,
    pub(crate) category: String,
    pub(crate) name: String,
    pub(crate) summary: String,
    pub(crate) description: String,
    pub(crate) facts: Vec<Fact>,
    pub(crate) unit: String,
    pub(crate) price_cents: i64,
}

/// Such as: from Uji, Japan.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Fact {
    name: String,
    value: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Order {
    pub(crate) number: String,
    #[serde(skip)]
    pub(crate) owner: Option<Owner>,
    pub(crate) confirmation: Confirmation,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) address: String,
    pub(crate) lines: Vec<OrderLine>,
    goods_cents: i64,
    pub(crate) delivery_cents: i64,
    pub(crate) total_cents: i64,
    placed_at: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct OrderLine {
    pub(crate) product: String,
    pub(crate) name: String,
    pub(crate) quantity: u32,
    pub(crate) sum_cents: i64,
}

/// An order in a list.
#[derive(Debug, Serialize)]
pub(crate) struct OrderSummary {
    number: String,
    name: String,
    has_account: bool,
    pieces: u32,
    total_cents: i64,
    placed_at: String,
}

/// Whose account an order belongs to.
///
/// Orders stay in this file, but users are where `DATABASE_URL` says, and user 1 of another database is another person, who
/// must not see addresses: so it is also told by the moment when the account was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner(String);

impl Owner {
    pub(crate) fn of(user: &User) -> Self {
        let joined = user.record().date_joined().unwrap_or_default();
        let joined = joined.to_rfc3339_opts(SecondsFormat::Micros, true);
        Self(format!("{} {joined}", user.id()))
    }
}

impl Store {
    /// Opens the file, and makes what is missing: itself, the tables, the sample products.
    pub(crate) async fn open(file: &Path) -> sqlx::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .busy_timeout(BUSY_TIMEOUT)
            .journal_mode(SqliteJournalMode::Wal);
        // Of two shops that open at once, SQLite tells one that the file is locked, however long its busy timeout is.
        let deadline = Instant::now() + BUSY_TIMEOUT;
        loop {
            match Self::stocked(options.clone()).await {
                Err(error) if is_locked(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                opened => return opened,
            }
        }
    }

    async fn stocked(options: SqliteConnectOptions) -> sqlx::Result<Self> {
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options)
            .await?;
        let store = Self { pool };
        for table in TABLES {
            sqlx::query(table).execute(&store.pool).await?;
        }
        store.add_columns().await?;
        store.stock().await?;
        Ok(store)
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    pub(crate) async fn products(&self) -> sqlx::Result<Vec<Product>> {
        sqlx::query_as("SELECT * FROM shop_product ORDER BY id")
            .fetch_all(&self.pool)
            .await
    }

    pub(crate) async fn product(&self, slug: &str) -> sqlx::Result<Option<Product>> {
        sqlx::query_as("SELECT * FROM shop_product WHERE slug = ?")
            .bind(slug)
            .fetch_optional(&self.pool)
            .await
    }

    /// Stores an order, unless there is one of this number already: a form that is sent twice is one order. Whether it was
    /// stored.
    pub(crate) async fn place(
        &self,
        number: &str,
        guest: &Guest,
        bill: &Bill,
        owner: Option<&Owner>,
    ) -> sqlx::Result<bool> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let placed = sqlx::query(
            "INSERT INTO shop_order (number, name, email, address, goods_cents, delivery_cents, total_cents, placed_at, owner,
                confirmation)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting') ON CONFLICT DO NOTHING",
        )
        .bind(number)
        .bind(&guest.name)
        .bind(&guest.email)
        .bind(&guest.address)
        .bind(bill.goods_cents)
        .bind(bill.delivery_cents)
        .bind(bill.total_cents)
        .bind(Utc::now().format("%-d %B %Y, %H:%M UTC").to_string())
        .bind(owner.map(|owner| &owner.0))
        .execute(&mut *transaction)
        .await?;
        if placed.rows_affected() == 0 {
            return Ok(false);
        }
        for line in &bill.lines {
            sqlx::query(
                "INSERT INTO shop_order_line (order_number, product, name, quantity, sum_cents) VALUES (?, ?, ?, ?, ?)",
            )
            .bind(number)
            .bind(&line.product.slug)
            .bind(&line.product.name)
            .bind(line.quantity)
            .bind(line.sum_cents)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// The orders of an account, or all there are; the latest first.
    pub(crate) async fn orders(&self, owner: Option<&Owner>) -> sqlx::Result<Vec<OrderSummary>> {
        sqlx::query_as(
            "SELECT number, name, owner IS NOT NULL AS has_account, total_cents, placed_at,
                (SELECT sum(quantity) FROM shop_order_line WHERE order_number = number) AS pieces
             FROM shop_order WHERE ?1 IS NULL OR owner = ?1 ORDER BY shop_order.rowid DESC LIMIT ?2",
        )
        .bind(owner.map(|owner| &owner.0))
        .bind(LISTED_ORDERS)
        .fetch_all(&self.pool)
        .await
    }

    pub(crate) async fn order(&self, number: &str) -> sqlx::Result<Option<Order>> {
        let order: Option<Order> = sqlx::query_as("SELECT * FROM shop_order WHERE number = ?")
            .bind(number)
            .fetch_optional(&self.pool)
            .await?;
        let Some(mut order) = order else {
            return Ok(None);
        };
        order.lines =
            sqlx::query_as("SELECT * FROM shop_order_line WHERE order_number = ? ORDER BY id")
                .bind(number)
                .fetch_all(&self.pool)
                .await?;
        Ok(Some(order))
    }

    async fn add_columns(&self) -> sqlx::Result<()> {
        // In one transaction, since another shop that opens may look at the same time.
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for (name, add) in LATER_COLUMNS {
            let column =
                sqlx::query("SELECT name FROM pragma_table_info('shop_order') WHERE name = ?")
                    .bind(name)
                    .fetch_optional(&mut *transaction)
                    .await?;
            if column.is_none() {
                sqlx::query(add).execute(&mut *transaction).await?;
            }
        }
        transaction.commit().await
    }

    /// Puts the sample products on the shelves, where they are not there yet. What the owner changed is left alone.
    /// In one transaction, so that the disk is waited for once.
    async fn stock(&self) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for product in sample::PRODUCTS {
            sqlx::query(
                "INSERT INTO shop_product (slug, category, name, summary, description, facts, unit, price_cents)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(product.slug)
            .bind(product.category)
            .bind(product.name)
            .bind(product.summary)
            .bind(product.description)
            .bind(product.facts)
            .bind(product.unit)
            .bind(product.price_cents)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await
    }
}

fn is_locked(error: &sqlx::Error) -> bool {
    // SQLITE_BUSY, and what is said of it more exactly (https://sqlite.org/rescode.html).
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.and_then(|code| code.parse::<i32>().ok())
        .is_some_and(|code| code & 0xff == 5)
}

impl FromRow<'_, SqliteRow> for Product {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        let facts: &str = row.try_get("facts")?;
        Ok(Self {
            slug: row.try_get("slug")?,
            category: row.try_get("category")?,
            name: row.try_get("name")?,
            summary: row.try_get("summary")?,
            description: row.try_get("description")?,
            facts: facts.lines().filter_map(Fact::parse).collect(),
            unit: row.try_get("unit")?,
            price_cents: row.try_get("price_cents")?,
        })
    }
}

impl Fact {
    fn parse(line: &str) -> Option<Self> {
        let (name, value) = line.split_once(": ")?;
        Some(Self {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }
}

impl FromRow<'_, SqliteRow> for Order {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            number: row.try_get("number")?,
            owner: row.try_get::<Option<String>, _>("owner")?.map(Owner),
            confirmation: Confirmation::read(row.try_get("confirmation")?),
            name: row.try_get("name")?,
            email: row.try_get("email")?,
            address: row.try_get("address")?,
            lines: Vec::new(),
            goods_cents: row.try_get("goods_cents")?,
            delivery_cents: row.try_get("delivery_cents")?,
            total_cents: row.try_get("total_cents")?,
            placed_at: row.try_get("placed_at")?,
        })
    }
}

impl FromRow<'_, SqliteRow> for OrderSummary {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            number: row.try_get("number")?,
            name: row.try_get("name")?,
            has_account: row.try_get("has_account")?,
            pieces: row.try_get("pieces")?,
            total_cents: row.try_get("total_cents")?,
            placed_at: row.try_get("placed_at")?,
        })
    }
}

impl FromRow<'_, SqliteRow> for OrderLine {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            product: row.try_get("product")?,
            name: row.try_get("name")?,
            quantity: row.try_get("quantity")?,
            sum_cents: row.try_get("sum_cents")?,
        })
    }
}
