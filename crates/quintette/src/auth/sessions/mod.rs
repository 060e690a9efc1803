mod index;

use std::collections::HashMap;
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use quintette_core::session::{Listed, SessionData, SessionKey, Sessions};
use quintette_core::settings::SessionEngineName;

use super::request::text_of;
use super::user::Proof;
use super::{
    Auth, AuthError, AuthErrorKind, Authentication, BACKEND_SESSION_KEY, HASH_SESSION_KEY,
    SESSION_KEY, User, Visitor,
};
use crate::db::UserSessionRow;

pub(super) use index::Index;

/// How many sessions are looked at at a time.
const PAGE: usize = 500;
const PAGE_ROWS: u32 = 500;

/// RFC 6265bis, section 5.5: no cookie lives longer.
const LONGEST_COOKIE: TimeDelta = TimeDelta::days(400);

/// Where one user is logged in, and the end of it: of one session, of all, or of all but the present one.
///
/// Django keeps no such list. Ours is a table beside Django's, `quintette_user_session`, whatever engine keeps the
/// sessions. A session gets there with the first request that asks for its user, a Django site's sessions, too; those that
/// no request has brought yet are found by [`fill`](Self::fill), where the engine can list its sessions (`db`, `cached_db`
/// and `file` can). What ends here is gone from the store, and so for the Django site.
///
/// ```no_run
/// # use quintette::auth::{Auth, AuthError};
/// # async fn example(auth: Auth) -> Result<(), AuthError> {
/// let sessions = auth.sessions().await?;
/// for session in sessions.list().await? {
///     println!("{} {} {}", session.last_activity, session.address, session.user_agent);
/// }
/// sessions.end_others().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct UserSessions {
    authentication: Authentication,
    index: Index,
    sessions: Sessions,
    user_id: String,
    /// The session of the request, where there is one.
    current: Option<SessionKey>,
}

/// A session of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserSession {
    /// What to call it, in a form say: it is no key to the session.
    pub id: String,
    /// Whether it is the one of this request.
    pub is_current: bool,
    /// When it was first seen here.
    pub created: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_activity: DateTime<Utc>,
    /// What the browser called itself then, in at most 255 characters of the visitor's choice; empty where it did not.
    pub user_agent: String,
    /// The address that it was last used from; empty where it is not known.
    pub address: String,
}

impl UserSessions {
    /// The sessions of this user, outside of a request.
    ///
    /// # Errors
    ///
    /// Where there is no database, or the sessions are kept in cookies, where nobody can list or end them.
    pub fn of(
        authentication: &Authentication,
        sessions: &Sessions,
        user_id: impl Into<String>,
    ) -> Result<Self, AuthError> {
        if sessions.settings().session_engine == SessionEngineName::SignedCookies {
            return Err(AuthError::new(
                AuthErrorKind::Misconfigured,
                "SESSION_ENGINE is signed_cookies, which stores no session here: nobody can list or end what is in the \
                 visitors' browsers. Take another engine",
            ));
        }
        let index = authentication.index().ok_or_else(|| {
            AuthError::new(
                AuthErrorKind::Misconfigured,
                "the sessions of a user are listed in the table quintette_user_session, which is missing: run `quintette \
                 migrate`, and hand the database over with Authentication::connect or .database(…)",
            )
        })?;
        Ok(Self {
            authentication: authentication.clone(),
            index: index.clone(),
            sessions: sessions.clone(),
            user_id: user_id.into(),
            current: None,
        })
    }

    pub(super) async fn of_request(auth: &Auth) -> Result<Self, AuthError> {
        let user = auth.user().await?.ok_or_else(|| {
            AuthError::new(
                AuthErrorKind::PermissionDenied,
                "Nobody is logged in, so there are no sessions to list.",
            )
        })?;
        let session = auth.session();
        let mut sessions = Self::of(auth.authentication(), session.sessions(), user.id())?;
        if let Some(key) = session.key() {
            // Now, and not soon: it is to be on the list.
            sessions
                .index
                .note(&key, &sessions.user_id, auth.visitor())
                .await?;
            sessions.current = Some(key);
        }
        Ok(sessions)
    }

    /// Where the user is logged in, the most recently used first. A session that has ended otherwise is left out, and
    /// forgotten; one that proves nobody any more, since the password has changed or the user is deactivated, is left out.
    ///
    /// # Errors
    ///
    /// Where a store cannot answer.
    ///
    /// # Cancellation
    ///
    /// Nothing has changed but that some ended sessions are forgotten.
    pub async fn list(&self) -> Result<Vec<UserSession>, AuthError> {
        let current = self.current.as_ref().map(|key| self.index.id(key));
        let mut logged_in = Vec::new();
        // One user, whom more than one backend may know.
        let mut users = HashMap::new();
        for row in self.index.tables().sessions_of(&self.user_id).await? {
            let Some(data) = self.stored(&row).await? else {
                self.index.tables().forget_session(&row.id).await?;
                continue;
            };
            if self.proves_the_user(&data, &mut users).await? {
                logged_in.push(UserSession {
                    is_current: current.as_deref() == Some(&row.id),
                    id: row.id,
                    created: row.created,
                    last_activity: row.last_activity,
                    user_agent: row.user_agent,
                    address: row.address,
                });
            }
        }
        Ok(logged_in)
    }

    /// What the session holds, where it is still one of this user.
    async fn stored(&self, row: &UserSessionRow) -> Result<Option<SessionData>, AuthError> {
        let Some(key) = self.index.key(row) else {
            return Ok(None);
        };
        let stored = self.sessions.engine().load(&key).await?;
        let data = stored.map(|stored| stored.data);
        Ok(data.filter(|data| text(data, SESSION_KEY).as_deref() == Some(&*self.user_id)))
    }

    /// Whether the next request of this session will be the user's.
    async fn proves_the_user(
        &self,
        data: &SessionData,
        users: &mut HashMap<String, Option<User>>,
    ) -> Result<bool, AuthError> {
        let (Some(backend), Some(proof)) = (
            text(data, BACKEND_SESSION_KEY),
            text(data, HASH_SESSION_KEY),
        ) else {
            return Ok(false);
        };
        if !users.contains_key(&backend) {
            let user = self.authentication.user(&backend, &self.user_id).await?;
            users.insert(backend.clone(), user);
        }
        let keys = &self.authentication.settings().secret_key;
        let user = users.get(&backend).and_then(Option::as_ref);
        Ok(user.is_some_and(|user| user.proves(&proof, keys) != Proof::None))
    }

    /// Ends the session of this [id](UserSession::id); `false` where the user has no such session.
    ///
    /// # Errors
    ///
    /// Where a store cannot answer. The session may then go on.
    ///
    /// # Cancellation
    ///
    /// The session has ended or not.
    pub async fn end(&self, id: &str) -> Result<bool, AuthError> {
        let row = self.index.tables().session(id).await?;
        // An id is no secret: whose session it is counts.
        let Some(row) = row.filter(|row| row.user_id == self.user_id) else {
            return Ok(false);
        };
        self.end_row(&row).await?;
        Ok(true)
    }

    /// Ends all sessions of the user, and returns how many. What the present request's session holds goes with it.
    ///
    /// # Errors
    ///
    /// As [`end`](Self::end); those before have ended.
    ///
    /// # Cancellation
    ///
    /// Some have ended.
    pub async fn end_all(&self) -> Result<u64, AuthError> {
        self.end_but(None).await
    }

    /// Ends all sessions of the user but that of this request, and returns how many.
    ///
    /// # Errors
    ///
    /// As [`end_all`](Self::end_all).
    ///
    /// # Cancellation
    ///
    /// Some have ended.
    pub async fn end_others(&self) -> Result<u64, AuthError> {
        self.end_but(self.current.as_ref()).await
    }

    async fn end_but(&self, spared: Option<&SessionKey>) -> Result<u64, AuthError> {
        let spared = spared.map(|key| self.index.id(key));
        let mut ended = 0;
        loop {
            let rows = self.index.tables().sessions_of(&self.user_id).await?;
            let doomed: Vec<_> = rows
                .iter()
                .filter(|row| spared.as_deref() != Some(&row.id))
                .collect();
            if doomed.is_empty() {
                return Ok(ended);
            }
            for row in doomed {
                ended += u64::from(self.stored(row).await?.is_some());
                self.end_row(row).await?;
            }
        }
    }

    /// From the store first: a session that is on no list would go on unseen.
    async fn end_row(&self, row: &UserSessionRow) -> Result<(), AuthError> {
        if let Some(key) = self.index.key(row) {
            self.sessions.engine().delete(&key, None).await?;
        }
        self.index.tables().forget_session(&row.id).await?;
        Ok(())
    }

    /// Looks through all sessions in the store, of all users, for those that no request has brought yet, and lists them.
    /// Tells `progress` how many it has looked at. Returns how many it has listed.
    ///
    /// # Errors
    ///
    /// Where the engine cannot list its sessions, as that of a cache, and where a store cannot answer.
    ///
    /// # Cancellation
    ///
    /// Some are listed.
    pub async fn fill(
        authentication: &Authentication,
        sessions: &Sessions,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<u64, AuthError> {
        let this = Self::of(authentication, sessions, "")?;
        let (mut after, mut seen, mut listed) = (None, 0, 0);
        loop {
            let page = sessions.engine().list(after.as_ref(), PAGE).await?;
            for session in &page {
                listed += u64::from(this.list_one(session).await?);
            }
            seen += page.len() as u64;
            progress(seen);
            match page.into_iter().next_back() {
                Some(last) => after = Some(last.key),
                None => return Ok(listed),
            }
        }
    }

    /// Forgets the sessions that no browser can have any more, those that were not used for 400 days, which is how long
    /// browsers keep a cookie at most. Returns how many.
    ///
    /// # Errors
    ///
    /// Where the database cannot answer.
    ///
    /// # Cancellation
    ///
    /// Some are forgotten.
    pub async fn forget_old(authentication: &Authentication) -> Result<u64, AuthError> {
        let Some(index) = authentication.index() else {
            return Ok(0);
        };
        let time = Utc::now() - LONGEST_COOKIE;
        let mut forgotten = 0;
        loop {
            let some = index
                .tables()
                .forget_sessions_before(time, PAGE_ROWS)
                .await?;
            forgotten += some;
            if some < u64::from(PAGE_ROWS) {
                return Ok(forgotten);
            }
        }
    }

    async fn list_one(&self, session: &Listed) -> Result<bool, AuthError> {
        let Some(user_id) = text(&session.data, SESSION_KEY) else {
            return Ok(false);
        };
        let id = self.index.id(&session.key);
        if self.index.tables().session(&id).await?.is_some() {
            return Ok(false);
        }
        let nowhere = Visitor::default();
        self.index.note(&session.key, &user_id, &nowhere).await?;
        Ok(true)
    }
}

fn text(data: &SessionData, key: &str) -> Option<String> {
    text_of(data.json(key)?)
}

impl fmt::Debug for UserSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserSessions")
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}
