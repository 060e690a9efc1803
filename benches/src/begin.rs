//! How `benches/tasks` times a program without its start.

use std::error::Error;
use std::io;

/// What ends a benchmark.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The three parameters of the command line; what is missing is empty.
pub fn parameters() -> [String; 3] {
    let mut arguments = std::env::args().skip(1);
    std::array::from_fn(|_| arguments.next().unwrap_or_default())
}

/// Says that everything is ready, and waits for a line.
pub fn begin() {
    println!("ready");
    let _ = io::stdin().read_line(&mut String::new());
}

/// Says that it is done.
///
/// # Errors
///
/// None: it fits what the programs return.
pub fn ended() -> Result<(), Failure> {
    println!("done");
    Ok(())
}
