//! Redis as a broker and for results, beside servers that fail.

mod broker;
mod recovery;
mod support;
