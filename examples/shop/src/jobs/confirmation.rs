//! The mail that confirms an order.

use std::fmt::Write as _;

use quintette_tasks::TaskError;

use super::{Jobs, Tools};
use crate::mail::Mail;
use crate::pages::price;
use crate::store::{Confirmation, Order, Store};

/// Sends it, unless it was sent before: a task may run twice.
pub(super) async fn send(tools: &Tools, number: &str) -> Result<(), TaskError> {
    let Some(order) = tools.store.order(number).await? else {
        return Err(TaskError::failure(
            "LookupError",
            format_args!("there is no order {number}"),
        ));
    };
    if order.confirmation == Confirmation::Sent {
        return Ok(());
    }
    tools.post.send(number, &mail(&order)).await?;
    tools.store.confirmation_is_sent(number).await?;
    Ok(())
}

/// Queues those that are not queued yet.
pub(super) async fn queue_forgotten(jobs: &Jobs, store: &Store) -> Result<usize, TaskError> {
    let mut queued = 0;
    for number in store.without_confirmation().await? {
        if !jobs.confirm(store, &number).await {
            break;
        }
        queued += 1;
    }
    Ok(queued)
}

fn mail(order: &Order) -> Mail {
    let mut text = format!(
        "Dear {},\n\nthank you for your order {}.\n\n",
        order.name, order.number
    );
    for line in &order.lines {
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "  {} × {}: {}",
            line.quantity,
            line.name,
            price(line.sum_cents)
        );
    }
    let _ = write!(
        text,
        "  Delivery: {}\n  Total: {}\n\nIt would go to:\n\n{}\n{}\n\nFive Leaves\n",
        price(order.delivery_cents),
        price(order.total_cents),
        order.name,
        order.address
    );
    Mail {
        to: order.email.clone(),
        subject: format!("Your order {}", order.number),
        text,
    }
}
