//! Checks of new passwords.
