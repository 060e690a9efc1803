//! Beat over real stores, in processes that are killed, and over django-celery-beat's tables.

#![cfg(all(
    feature = "redis",
    feature = "sqlite",
    feature = "postgres",
    feature = "mysql"
))]

mod databases;
mod django;
mod killed;
mod places;
mod stores;
