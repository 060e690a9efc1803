//! Beats in virtual time, over senders that write down what was sent.

mod app;
mod crashes;
mod missed;
mod running;
mod stage;
