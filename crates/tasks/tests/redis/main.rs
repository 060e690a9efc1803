//! Redis as a broker and for results, beside servers that fail.

mod broker;
mod elsewhere;
mod recovery;
mod results;
mod support;
