//! What a worker promises.

mod acknowledgements;
mod bad_input;
mod basics;
mod broken;
mod limits;
mod orders;
mod retries;
mod shutdown;
mod site;
mod times;
