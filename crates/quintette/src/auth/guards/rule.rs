use std::fmt;
use std::sync::Arc;

use crate::auth::{Auth, AuthError, User};
use crate::http::{PathPatterns, RequestHead};

/// Who passes, and what becomes of the others.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    test: Arc<Test>,
    pub(super) refuses: bool,
    pub(super) login_url: Option<String>,
    /// Paths that are for everyone.
    pub(super) open: PathPatterns,
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
            test: Arc::new(test),
            refuses: false,
            login_url: None,
            open: PathPatterns::default(),
        }
    }

    /// Whether the path is for everyone: it is named, or it is the login page, which nobody could reach otherwise.
    pub(super) fn is_open(&self, request: RequestHead<'_>, auth: &Auth) -> bool {
        self.open.contain(request) || request.is_page(self.login_url_of(auth))
    }

    pub(super) fn login_url_of<'a>(&'a self, auth: &'a Auth) -> &'a str {
        let settings = auth.authentication().settings();
        self.login_url.as_deref().unwrap_or(&settings.login_url)
    }

    pub(super) async fn passes(&self, auth: &Auth) -> Result<bool, AuthError> {
        let user = auth.user().await?;
        match (&*self.test, user) {
            (Test::Passes(test), user) => Ok(test(user.as_ref())),
            (_, None) => Ok(false),
            (Test::LoggedIn, Some(_)) => Ok(true),
            (Test::Permissions(permissions), Some(user)) => user.has_perms(permissions).await,
        }
    }
}
