use std::fmt;
use std::mem;
use std::sync::{Arc, OnceLock};

use quintette_core::json::RawJson;
use quintette_core::session::{Session, SessionKey};
use serde_json::Value;
use tokio::sync::Mutex;

use super::user::Proof;
use super::{AuthError, AuthErrorKind, Authentication, Credentials, User, UserSessions, Visitor};
use crate::csrf::Csrf;

/// The session's key of the user's primary key. Django's `SESSION_KEY`.
pub const SESSION_KEY: &str = "_auth_user_id";
/// The session's key of the backend's path. Django's `BACKEND_SESSION_KEY`.
pub const BACKEND_SESSION_KEY: &str = "_auth_user_backend";
/// The session's key of the proof that the password has not changed. Django's `HASH_SESSION_KEY`.
pub const HASH_SESSION_KEY: &str = "_auth_user_hash";

/// Who is asking, in one request: `request.user`, and Django's `authenticate`, `login` and `logout`.
///
/// A cheap handle: clones share it. The user is loaded when it is asked for, once a request; a request that does not ask
/// costs nothing.
///
/// ```
/// use axum::{Form, response::Redirect};
/// use quintette::auth::{Auth, AuthError, Credentials};
///
/// #[derive(serde::Deserialize)]
/// struct Login {
///     username: String,
///     password: String,
/// }
///
/// async fn log_in(auth: Auth, Form(form): Form<Login>) -> Result<Redirect, AuthError> {
///     let credentials = Credentials::new(form.username, form.password);
///     let Some(user) = auth.authenticate(&credentials).await? else {
///         return Ok(Redirect::to("/login?wrong"));
///     };
///     auth.login(&user).await?;
///     Ok(Redirect::to("/"))
/// }
/// ```
#[derive(Clone)]
pub struct Auth {
    inner: Arc<Inner>,
}

struct Inner {
    authentication: Authentication,
    session: Session,
    /// Of the layer outside, else of the one inside, once that has been called.
    csrf: OnceLock<Csrf>,
    visitor: Visitor,
    /// Held while the user is loaded, so that it is loaded once.
    user: Mutex<Known>,
}

/// What this request knows of its user.
enum Known {
    /// Nobody has asked yet.
    Nothing,
    /// The user, or that there is none.
    User(Option<User>),
}

impl Auth {
    pub(super) fn new(
        authentication: Authentication,
        session: Session,
        csrf: Option<Csrf>,
        visitor: Visitor,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                authentication,
                session,
                csrf: csrf.map_or_else(OnceLock::new, OnceLock::from),
                visitor,
                user: Mutex::new(Known::Nothing),
            }),
        }
    }

    /// For a layer inside the `AuthLayer`: a login changes this secret, whatever the order of the layers.
    pub(crate) fn adopt_csrf(&self, csrf: &Csrf) {
        self.inner.csrf.get_or_init(|| csrf.clone());
    }

    /// Who the users are, and how they prove it.
    pub fn authentication(&self) -> &Authentication {
        &self.inner.authentication
    }

    /// The request's session.
    pub fn session(&self) -> &Session {
        &self.inner.session
    }

    /// Where the request comes from.
    pub fn visitor(&self) -> &Visitor {
        &self.inner.visitor
    }

    /// The user who has logged in; `None` for a stranger. Django's `request.user`.
    ///
    /// One load of the session and one of the user, for all who ask in this request. A session whose user has changed
    /// the password since, or is none any more, is nobody's; in the former case it is flushed, as in Django.
    ///
    /// # Errors
    ///
    /// Where a store cannot answer. It is not taken for a stranger then.
    ///
    /// # Cancellation
    ///
    /// Who asks next loads.
    pub async fn user(&self) -> Result<Option<User>, AuthError> {
        let mut user = self.inner.user.lock().await;
        if let Known::User(user) = &*user {
            return Ok(user.clone());
        }
        let loaded = self.load().await?;
        if let (Some(user), Some(index)) = (&loaded, self.inner.authentication.index()) {
            index.note_soon(user, &self.inner.session, &self.inner.visitor);
        }
        *user = Known::User(loaded.clone());
        Ok(loaded)
    }

    async fn load(&self) -> Result<Option<User>, AuthError> {
        let session = &self.inner.session;
        let (Some(id), Some(backend)) = (
            self.value(SESSION_KEY).await?,
            self.value(BACKEND_SESSION_KEY).await?,
        ) else {
            return Ok(None);
        };
        let Some(user) = self.inner.authentication.user(&backend, &id).await? else {
            return Ok(None);
        };
        let proof = self.value(HASH_SESSION_KEY).await?.unwrap_or_default();
        let keys = &self.inner.authentication.settings().secret_key;
        match user.proves(&proof, keys) {
            Proof::Current => Ok(Some(user)),
            Proof::OfOldKey => {
                match self.cycle_key().await {
                    Ok(()) => session.insert(HASH_SESSION_KEY, user.session_auth_hash(keys))?,
                    // Another request of the same page was faster, and its response has the new key.
                    Err(error) if error.kind() == AuthErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
                Ok(Some(user))
            }
            Proof::None => {
                session.flush().await?;
                Ok(None)
            }
        }
    }

    async fn value(&self, key: &str) -> Result<Option<String>, AuthError> {
        let raw = self.inner.session.raw(key).await?;
        Ok(raw.as_ref().and_then(text_of))
    }

    /// The user whom the credentials prove; `None` where they prove none. Django's `authenticate`.
    ///
    /// The backends of `AUTHENTICATION_BACKENDS` are asked in their order. Nobody is logged in yet: that is
    /// [`login`](Self::login).
    ///
    /// # Errors
    ///
    /// [`Throttled`](super::AuthErrorKind::Throttled) after too many failures, where `LOGIN_FAILURE_LIMIT` is set;
    /// [`Unavailable`](super::AuthErrorKind::Unavailable) where more passwords are being checked than this process can, or the
    /// store cannot answer.
    ///
    /// # Cancellation
    ///
    /// A password that waits to be checked is not; one that is being checked is checked to the end. The attempt counts, as
    /// one that ends with an error does not.
    pub async fn authenticate(&self, credentials: &Credentials) -> Result<Option<User>, AuthError> {
        let Inner {
            authentication,
            visitor,
            ..
        } = &*self.inner;
        let username = credentials.username();
        let attempt = match authentication.throttle() {
            Some(throttle) => {
                let begun = throttle
                    .begin(username.unwrap_or_default(), visitor)
                    .await?;
                Some((throttle, begun))
            }
            None => None,
        };
        let proven = match authentication.prove(credentials).await {
            Ok(proven) => proven,
            Err(unproven) => {
                if let (Some((throttle, attempt)), false) = (attempt, unproven.was_refused) {
                    throttle.take_back(&attempt).await;
                }
                return Err(unproven.error);
            }
        };
        if proven.is_none() {
            for observer in authentication.observers() {
                observer.user_login_failed(username, visitor).await;
            }
        } else if let Some((throttle, attempt)) = attempt {
            throttle.forgive(&attempt).await;
        }
        Ok(proven)
    }

    /// Logs the user in: from the response on, the visitor is that user. Django's `login`.
    ///
    /// The session gets another key, so that one that was planted before is worth nothing after, and keeps what a stranger
    /// has put into it; a session of another user is flushed first. The CSRF secret is made anew, `last_login` is set, and
    /// the observers are told.
    ///
    /// # Errors
    ///
    /// Where a store cannot answer. Nobody is logged in then: a session of another user has ended, that of a stranger is what
    /// it was.
    ///
    /// # Cancellation
    ///
    /// As where it fails; `last_login` may be set.
    pub async fn login(&self, user: &User) -> Result<(), AuthError> {
        let Inner {
            authentication,
            session,
            ..
        } = &*self.inner;
        let keys = &authentication.settings().secret_key;
        let mut current = self.inner.user.lock().await;
        let user = authentication.logging_in(user).await?;
        let known = match self.value(SESSION_KEY).await? {
            None => false,
            Some(id) => {
                let proof = self.value(HASH_SESSION_KEY).await?.unwrap_or_default();
                if user.proves(&proof, keys) != Proof::Current || !self.names(&id, &user).await? {
                    self.end_session().await?;
                }
                true
            }
        };
        let unfinished = (!known).then(|| UnfinishedLogin(session));
        // Before the key changes: the new session is then stored once, with all of it.
        session.insert(SESSION_KEY, user.id())?;
        session.insert(BACKEND_SESSION_KEY, user.backend())?;
        session.insert(HASH_SESSION_KEY, user.session_auth_hash(keys))?;
        if let Some(csrf) = self.inner.csrf.get() {
            csrf.rotate();
        }
        // A session that is not stored yet gets a key when it is.
        if !known && session.key().is_some() {
            self.cycle_key().await?;
        }
        mem::forget(unfinished);
        *current = Known::User(Some(user.clone()));
        drop(current);
        for observer in authentication.observers() {
            observer.user_logged_in(&user, &self.inner.visitor).await;
        }
        Ok(())
    }

    /// Whether the session, which names this id, names this user. Users of two backends may have the same id, and where they
    /// have no password also the same proof; the same user may also come by two backends.
    async fn names(&self, id: &str, user: &User) -> Result<bool, AuthError> {
        let backend = self.value(BACKEND_SESSION_KEY).await?.unwrap_or_default();
        if id != user.id() || backend == user.backend() {
            return Ok(id == user.id());
        }
        let named = self.inner.authentication.user(&backend, id).await?;
        Ok(named.is_some_and(|named| named.is_of_the_kind_of(user)))
    }

    /// Logs out whoever is logged in, and ends the session with all its data. Django's `logout`.
    ///
    /// # Errors
    ///
    /// Where the store cannot answer: the visitor may still be logged in, so answer with the error. Where only the observers
    /// cannot be told whom it was, since the users' store is down, the session has ended.
    ///
    /// # Cancellation
    ///
    /// A logout that has begun is done, whether the client waits for it or not; the observers may not hear of it.
    pub async fn logout(&self) -> Result<(), AuthError> {
        let observers = self.inner.authentication.observers();
        let user = if observers.is_empty() {
            Ok(None)
        } else {
            self.user().await
        };
        let mut current = self.inner.user.lock().await;
        self.end_session().await?;
        *current = Known::User(None);
        drop(current);
        let user = user?;
        for observer in observers {
            observer
                .user_logged_out(user.as_ref(), &self.inner.visitor)
                .await;
        }
        Ok(())
    }

    async fn end_session(&self) -> Result<(), AuthError> {
        let key = self.inner.session.key();
        self.inner.session.flush().await?;
        self.forget(key);
        Ok(())
    }

    async fn cycle_key(&self) -> Result<(), AuthError> {
        let key = self.inner.session.key();
        self.inner.session.cycle_key().await?;
        self.forget(key);
        Ok(())
    }

    /// The user has no session of this key any more.
    fn forget(&self, key: Option<SessionKey>) {
        if let (Some(key), Some(index)) = (key, self.inner.authentication.index()) {
            index.forget_soon(&key);
        }
    }

    /// Keeps this session when its user's password has changed, and gives it another key; all other sessions of the user
    /// have ended with the password. Django's `update_session_auth_hash`.
    ///
    /// `user` is the user with the new password.
    ///
    /// # Errors
    ///
    /// Where a store cannot answer.
    ///
    /// # Cancellation
    ///
    /// This session may have ended, too.
    pub async fn update_session_auth_hash(&self, user: &User) -> Result<(), AuthError> {
        let mut current = self.inner.user.lock().await;
        // Not who the session proves: with the new password, it proves nobody.
        let id = self.value(SESSION_KEY).await?;
        if id.is_some_and(|id| id == user.id()) {
            let keys = &self.inner.authentication.settings().secret_key;
            let proof = user.session_auth_hash(keys);
            self.inner.session.insert(HASH_SESSION_KEY, proof)?;
            self.cycle_key().await?;
            *current = Known::User(Some(user.clone()));
        }
        Ok(())
    }

    /// The sessions of this request's user, on all devices.
    ///
    /// # Errors
    ///
    /// Where nobody is logged in, the application has no database, or its sessions are kept in cookies, where nobody can list
    /// or end them.
    pub async fn sessions(&self) -> Result<UserSessions, AuthError> {
        UserSessions::of_request(self).await
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("session", &self.inner.session)
            .finish_non_exhaustive()
    }
}

/// Whoever planted the session's key would be logged in by a login that has not changed it: dropped before that, this
/// takes the user out of the stranger's session again.
struct UnfinishedLogin<'s>(&'s Session);

impl Drop for UnfinishedLogin<'_> {
    fn drop(&mut self) {
        for key in [SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY] {
            self.0.remove(key);
        }
    }
}

/// A text or a number in the session; what else there may be is none of ours.
pub(super) fn text_of(raw: &RawJson) -> Option<String> {
    match raw.deserialize::<Value>() {
        Ok(Value::String(text)) => Some(text),
        Ok(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    }
}
