//! The `quintette` command. What it does is in the library `quintette_cli`.

use std::process::ExitCode;

use clap::Parser;
use quintette_cli::Arguments;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    quintette_cli::run(Arguments::parse()).await
}
