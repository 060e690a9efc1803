use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::Utc;
use http::{HeaderMap, HeaderValue, header};
use quintette_core::cookie;
use quintette_core::session::{Session, SessionError};
use quintette_core::settings::Settings;

use super::form::FIELD;
use super::token::{Secret, TokenProblem};
use crate::http::{RequestHead, vary_on_cookie};

/// Django's `CSRF_SESSION_KEY`.
const SESSION_KEY: &str = "_csrftoken";

/// The CSRF token of one request's visitor: what a form carries, so that this site knows it for its own.
///
/// The layer puts it into the request's extensions; with the feature `axum` it is an extractor. A cheap handle; clones
/// share the secret.
///
/// ```
/// # use quintette::csrf::Csrf;
/// # use quintette::sessions::SessionError;
/// async fn page(csrf: Csrf) -> Result<String, SessionError> {
///     let token = csrf.token().await?;
///     Ok(format!(r#"<meta name="csrf-token" content="{token}">"#))
/// }
/// ```
#[derive(Clone)]
pub struct Csrf {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Arc<Settings>,
    /// Where `CSRF_USE_SESSIONS` keeps the secret; otherwise it is in the cookie.
    session: Option<Session>,
    state: Mutex<State>,
}

struct State {
    held: Held,
    /// Whether the response is to carry the secret. Django's `CSRF_COOKIE_NEEDS_UPDATE`.
    needs_update: bool,
}

/// What is known of the visitor's secret.
enum Held {
    /// The session has not been asked.
    Unasked,
    Nothing,
    Secret(Secret),
}

/// What is left to do when the headers of a response are there.
pub(super) type Finish = Pin<Box<dyn Future<Output = Result<(), SessionError>> + Send>>;

impl Csrf {
    /// For a request. Where `CSRF_USE_SESSIONS` is set, `session` is there.
    pub(super) fn new(
        settings: Arc<Settings>,
        session: Option<Session>,
        head: RequestHead<'_>,
    ) -> Self {
        let mut state = State {
            held: Held::Unasked,
            needs_update: false,
        };
        if session.is_none() {
            let sent = cookie_secret(head, &settings);
            // A cookie that is none is replaced at once, as in Django, and not only where a token is wanted.
            state.needs_update = sent.is_err();
            state.held = sent.unwrap_or_default().into();
        }
        Self {
            inner: Arc::new(Inner {
                settings,
                session,
                state: Mutex::new(state),
            }),
        }
    }

    /// A token for a form or a script, another one each time. Django's `get_token` and `{{ csrf_token }}`.
    ///
    /// From then on the response depends on the visitor: it says `Vary: Cookie`, and sets the cookie anew for another
    /// `CSRF_COOKIE_AGE`. Call it also where a script is to find the cookie, as Django's `ensure_csrf_cookie` does.
    ///
    /// # Errors
    ///
    /// With `CSRF_USE_SESSIONS`, where the store of sessions cannot answer. Where the system has no randomness to give.
    ///
    /// # Cancellation
    ///
    /// Nothing has changed.
    pub async fn token(&self) -> Result<String, SessionError> {
        let stored = self.stored().await?;
        let mut state = self.state();
        if matches!(state.held, Held::Unasked) {
            state.held = stored.into();
        }
        state.needs_update = true;
        state.secret()?.masked()
    }

    /// The hidden field of a form, with a token. Django's `{% csrf_token %}`.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token).
    ///
    /// # Cancellation
    ///
    /// Nothing has changed.
    pub async fn input(&self) -> Result<String, SessionError> {
        let token = self.token().await?;
        Ok(format!(
            "<input type=\"hidden\" name=\"{FIELD}\" value=\"{token}\">"
        ))
    }

    /// Gives the visitor a new secret with this response: the tokens from before are worth nothing then. A login does so,
    /// so that nobody who knew the secret before has one of the user. Django's `rotate_token`.
    pub fn rotate(&self) {
        let mut state = self.state();
        state.held = Held::Nothing;
        state.needs_update = true;
    }

    /// The visitor's secret as it came with the request, whatever happened since.
    pub(super) async fn sent(
        &self,
        head: RequestHead<'_>,
    ) -> Result<Result<Option<Secret>, TokenProblem>, SessionError> {
        match &self.inner.session {
            Some(session) => Ok(Ok(session_secret(session).await?)),
            None => Ok(cookie_secret(head, &self.inner.settings)),
        }
    }

    /// Puts the secret into the response where it is to carry it, or returns how to put it into the session.
    pub(super) fn finish(&self, headers: &mut HeaderMap) -> Result<Option<Finish>, SessionError> {
        let mut state = self.state();
        if !std::mem::take(&mut state.needs_update) {
            return Ok(None);
        }
        let secret = state.secret()?.text();
        if let Some(session) = &self.inner.session {
            return Ok(Some(Box::pin(store(session.clone(), secret))));
        }
        let settings = &self.inner.settings;
        let cookie = settings.csrf_cookie();
        match HeaderValue::try_from(cookie.set(&secret, settings.csrf_cookie_age, Utc::now())) {
            Ok(cookie) => {
                headers.append(header::SET_COOKIE, cookie);
            }
            // The settings are checked at start-up, and a secret is letters: not reachable but through a defect.
            Err(error) => {
                tracing::error!(target: "quintette::csrf", %error, "the CSRF cookie is no header value");
            }
        }
        vary_on_cookie(headers);
        Ok(None)
    }

    async fn stored(&self) -> Result<Option<Secret>, SessionError> {
        let is_unasked = matches!(self.state().held, Held::Unasked);
        match &self.inner.session {
            Some(session) if is_unasked => session_secret(session).await,
            _ => Ok(None),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change to the state is complete before anything in it can panic.
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The secret, which is made where there is none.
    fn secret(&mut self) -> Result<Secret, SessionError> {
        if let Held::Secret(secret) = &self.held {
            return Ok(secret.clone());
        }
        let secret = Secret::random()?;
        self.held = Held::Secret(secret.clone());
        Ok(secret)
    }
}

impl From<Option<Secret>> for Held {
    fn from(secret: Option<Secret>) -> Self {
        secret.map_or(Self::Nothing, Self::Secret)
    }
}

impl fmt::Debug for Csrf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Csrf")
            .field("needs_update", &state.needs_update)
            .finish_non_exhaustive()
    }
}

fn cookie_secret(
    head: RequestHead<'_>,
    settings: &Settings,
) -> Result<Option<Secret>, TokenProblem> {
    let headers = head.headers().get_all(header::COOKIE).iter();
    let name = settings.csrf_cookie_name.as_str();
    cookie::value(headers.map(HeaderValue::as_bytes), name)
        .map(|value| Secret::parse(&value))
        .transpose()
}

/// What is no secret in a session is as good as none: only a site's own code can have put it there.
async fn session_secret(session: &Session) -> Result<Option<Secret>, SessionError> {
    let stored = session.raw(SESSION_KEY).await?;
    let text = stored.and_then(|stored| stored.deserialize::<String>().ok());
    Ok(text.and_then(|text| Secret::parse(&text).ok()))
}

/// Puts the secret into the session, where it is not there: it is new, or the session has been flushed since it was read.
async fn store(session: Session, secret: String) -> Result<(), SessionError> {
    // Of two requests that find none and make one, the first one's stays.
    let stored = session.get_or_insert(SESSION_KEY, secret.clone()).await;
    if stored.is_ok_and(|stored| stored == secret) {
        return Ok(());
    }
    session.insert(SESSION_KEY, secret)
}
