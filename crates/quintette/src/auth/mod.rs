//! Users, logins and permissions: `django.contrib.auth`, on Django's tables, and on sessions that a live Django shares.
//!
//! | Django | here |
//! | --- | --- |
//! | `request.user` | the extractors [`User`] and `Option<User>`, [`Auth::user`] |
//! | `authenticate`, `login`, `logout`, `update_session_auth_hash` | [`Auth`] |
//! | `AUTHENTICATION_BACKENDS` | [`AuthenticationBackend`], [`ModelBackend`] |
//! | `AuthenticationMiddleware` | [`AuthLayer`] |
//! | `login_required`, `permission_required`, `user_passes_test`, `LoginRequiredMiddleware` | [`guards`] |
//! | `User.objects`, `set_password`, groups and permissions | [`Users`] |
//! | `PASSWORD_HASHERS` | [`hashers`], [`passwords`] |
//! | `AUTH_PASSWORD_VALIDATORS` | [`password_validation`] |
//! | `PasswordResetTokenGenerator` | [`tokens`] |
//! | the signals `user_logged_in`, `user_logged_out`, `user_login_failed` | [`AuthObserver`] |
//! | (nothing) | [`UserSessions`]: where a user is logged in, and the end of it |
//! | (nothing) | `LOGIN_FAILURE_LIMIT`: no more than so many wrong passwords |
//!
//! [`Authentication::connect`] is where to begin.
//!
//! # Who is in doubt is not let in
//!
//! A store that cannot answer is an error and never a stranger, who would be shown a login page, or a user. A session
//! proves its user only while the password is the one that it was made with.

mod authentication;
mod backends;
mod error;
#[cfg(feature = "axum")]
mod extract;
pub mod guards;
pub mod hashers;
pub mod layer;
mod observer;
pub mod password_validation;
pub mod passwords;
mod request;
mod response;
mod sessions;
mod throttle;
pub mod tokens;
mod user;
mod usernames;
mod users;

pub use authentication::{Authentication, Builder};
pub use backends::{
    ALLOW_ALL_USERS_MODEL_BACKEND, AuthenticationBackend, Credentials, MODEL_BACKEND, ModelBackend,
};
pub use error::{AuthError, AuthErrorKind};
#[cfg(feature = "axum")]
pub use extract::{MissingAuthLayer, UserRejection};
pub use layer::AuthLayer;
pub use observer::{AuthObserver, Visitor};
pub use passwords::PasswordHashing;
pub use request::{Auth, BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY};
pub use sessions::{UserSession, UserSessions};
pub use user::{AbstractUser, User, UserRecord};
pub use users::Users;
