use std::net::IpAddr;

use async_trait::async_trait;

use super::User;

/// Who is told of logins and logouts. Django's signals `user_logged_in`, `user_logged_out` and `user_login_failed`.
///
/// ```
/// use async_trait::async_trait;
/// use quintette::auth::{AuthObserver, User, Visitor};
///
/// struct Journal;
///
/// #[async_trait]
/// impl AuthObserver for Journal {
///     async fn user_logged_in(&self, user: &User, visitor: &Visitor) {
///         println!("{user} came in from {:?}", visitor.address);
///     }
/// }
/// ```
///
/// # Cancellation
///
/// The request may vanish at any `await`: whoever must not be cut short spawns a task.
#[async_trait]
pub trait AuthObserver: Send + Sync + 'static {
    /// The user has just logged in; the session is that of the login.
    async fn user_logged_in(&self, user: &User, visitor: &Visitor) {
        let _ = (user, visitor);
    }

    /// The user has just been logged out; `None` where nobody was logged in.
    async fn user_logged_out(&self, user: Option<&User>, visitor: &Visitor) {
        let _ = (user, visitor);
    }

    /// Nobody was proven by what was given, of which the user name is all that is told.
    async fn user_login_failed(&self, username: Option<&str>, visitor: &Visitor) {
        let _ = (username, visitor);
    }
}

/// Where a request comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Visitor {
    /// The address, where it is known: see [`RequestHead::client_address`](crate::http::RequestHead::client_address).
    pub address: Option<IpAddr>,
    /// What the browser calls itself, where it says so; the visitor's to choose.
    pub user_agent: Option<String>,
}
