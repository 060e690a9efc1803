use std::fmt;

use crate::auth::{Auth, AuthError, User};
use crate::http::RequestHead;

/// Who passes, and what becomes of the others.
#[derive(Debug)]
pub(super) struct Rule {
    test: Test,
    pub(super) refuses: bool,
    pub(super) login_url: Option<String>,
    /// Paths that are for everyone.
    pub(super) open: Vec<String>,
}

pub(super) enum Test {
    LoggedIn,
    Permissions(Vec<String>),
    Passes(Box<UserTest>),
}

/// Given `None` for a stranger.
type UserTest = dyn Fn(Option<&User>) -> bool + Send + Sync;

impl fmt::Debug for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoggedIn => f.write_str("LoggedIn"),
            Self::Permissions(permissions) => {
                f.debug_tuple("Permissions").field(permissions).finish()
            }
            Self::Passes(_) => f.write_str("Passes(…)"),
        }
    }
}

impl Rule {
    pub(super) fn new(test: Test) -> Self {
        Self {
            test,
            refuses: false,
            login_url: None,
            open: Vec::new(),
        }
    }

    /// Whether the path is for everyone: it is named, or it is the login page, which nobody could reach otherwise.
    pub(super) fn is_open(&self, request: RequestHead<'_>, auth: &Auth) -> bool {
        let path = request.path();
        let is_named = |pattern: &String| match pattern.strip_suffix('*') {
            // A path that climbs is not below what it begins with.
            Some(prefix) => path.starts_with(prefix) && !path.split('/').any(|part| part == ".."),
            None => path == *pattern,
        };
        let login_url = self.login_url_of(auth);
        let login_page = login_url.split(['?', '#']).next().unwrap_or_default();
        self.open.iter().any(is_named) || path == login_page
    }

    pub(super) fn login_url_of<'a>(&'a self, auth: &'a Auth) -> &'a str {
        let settings = auth.authentication().settings();
        self.login_url.as_deref().unwrap_or(&settings.login_url)
    }

    pub(super) async fn passes(&self, auth: &Auth) -> Result<bool, AuthError> {
        let user = auth.user().await?;
        match (&self.test, user) {
            (Test::Passes(test), user) => Ok(test(user.as_ref())),
            (_, None) => Ok(false),
            (Test::LoggedIn, Some(_)) => Ok(true),
            (Test::Permissions(permissions), Some(user)) => user.has_perms(permissions).await,
        }
    }
}
