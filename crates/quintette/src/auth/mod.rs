//! Passwords: hashing them, and checking new ones.
//! | what | where |
//! | --- | --- |
//! | Django's password hashers | [`hashers`] |
//! | hashing beside a running web service | [`PasswordHashing`] |
//! | `AUTH_PASSWORD_VALIDATORS` | [`password_validation`] |

pub mod hashers;
pub mod password_validation;
pub mod passwords;

pub use passwords::PasswordHashing;
