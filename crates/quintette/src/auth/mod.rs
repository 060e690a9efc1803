//! Passwords: hashing them, checking new ones, and the tokens that reset them.
//!
//! | what | where |
//! | --- | --- |
//! | Django's password hashers | [`hashers`] |
//! | hashing beside a running web service | [`PasswordHashing`] |
//! | `AUTH_PASSWORD_VALIDATORS` | [`password_validation`] |
//! | reset tokens, and the hash that binds a session to a password | [`tokens`] |

pub mod hashers;
pub mod password_validation;
pub mod passwords;
pub mod tokens;

pub use passwords::PasswordHashing;
