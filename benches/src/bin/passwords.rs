//! `passwords ALGORITHM NUMBER`: hashes a password so many times with the hasher's own parameters, and prints the last hash and
//! the seconds that each took, in JSON. `benches/django/passwords.py` does the same.

use std::env::args;
use std::time::Instant;

use quintette::auth::hashers::{BCrypt, Md5, PasswordHashers};
use quintette_benches::raw::Failure;
use serde_json::json;

fn main() -> Result<(), Failure> {
    let algorithm = args().nth(1).ok_or("which algorithm?")?;
    let number: usize = args().nth(2).ok_or("how many times?")?.parse()?;
    let hashers = PasswordHashers::default()
        .with(BCrypt::plain())
        .with(Md5::new());
    // Once before it counts, for the memory and the processor's clock.
    let mut encoded = hashers.make_password_with(&algorithm, "correct horse")?;
    let mut seconds = Vec::with_capacity(number);
    for _ in 0..number {
        let start = Instant::now();
        encoded = hashers.make_password_with(&algorithm, "correct horse")?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    println!("{}", json!({ "encoded": encoded, "seconds": seconds }));
    Ok(())
}
