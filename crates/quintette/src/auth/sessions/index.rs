use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{SubsecRound as _, Utc};
use moka::sync::Cache;
use quintette_core::session::{Session, SessionKey};
use quintette_core::signing::{Keys, SecretKey, salted_hmac};

use crate::auth::tokens::hex;
use crate::auth::{AuthError, AuthErrorKind, User, Visitor};
use crate::db::{DatabaseErrorKind, UserSessionRow, UserTables};
use crate::seal::Seal;

/// Keeps this purpose apart from all others of `SECRET_KEY`.
const SALT: &str = "quintette.auth.sessions";

/// A session's activity is noted once in so long, so that it costs one write in a minute and not one with each request.
const NOTED_EVERY: Duration = Duration::from_mins(1);

/// How many sessions this process remembers to have noted.
const REMEMBERED: u64 = 100_000;

/// The table `quintette_user_session`: which sessions a user has, whatever engine keeps them.
///
/// A session is found there by an HMAC of its key, and its key is encrypted: who reads the table can be nobody by it.
#[derive(Clone)]
pub(in crate::auth) struct Index {
    tables: Arc<dyn UserTables>,
    seal: Seal,
    secret: SecretKey,
    /// The ids that were noted lately.
    noted: Cache<String, ()>,
}

impl Index {
    /// `None` where the table is missing: Django's migrations do not make it, `quintette migrate` does.
    pub(in crate::auth) async fn open(
        tables: &Arc<dyn UserTables>,
        keys: &Keys,
    ) -> Result<Option<Self>, AuthError> {
        match tables.session("").await {
            Ok(_) => Ok(Some(Self::new(tables.clone(), keys))),
            Err(error) if error.kind() == DatabaseErrorKind::MissingTable => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn new(tables: Arc<dyn UserTables>, keys: &Keys) -> Self {
        Self {
            tables,
            seal: Seal::new(keys, SALT, SALT),
            secret: keys.secret().clone(),
            noted: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(NOTED_EVERY)
                .build(),
        }
    }

    pub(super) fn tables(&self) -> &dyn UserTables {
        &*self.tables
    }

    /// What the table calls the session, which is no secret.
    pub(super) fn id(&self, key: &SessionKey) -> String {
        hex(&salted_hmac(SALT, key.as_str(), &self.secret))
    }

    /// The session's key; `None` where no key of ours has sealed it.
    pub(super) fn key(&self, row: &UserSessionRow) -> Option<SessionKey> {
        let key = String::from_utf8(self.seal.open(&row.sealed_key)?).ok()?;
        SessionKey::parse(key)
    }

    /// Notes, in a task of its own and once a minute, that the user's session was used.
    pub(in crate::auth) fn note_soon(&self, user: &User, session: &Session, visitor: &Visitor) {
        let Some(key) = session.key() else { return };
        let id = self.id(&key);
        // Two requests at once may both write: that does no harm.
        if self.noted.contains_key(&id) {
            return;
        }
        self.noted.insert(id.clone(), ());
        let (index, user_id, visitor) = (self.clone(), user.id(), visitor.clone());
        tokio::spawn(async move {
            if let Err(error) = index.note(&key, &user_id, &visitor).await {
                // Another request notes it.
                index.noted.invalidate(&id);
                tracing::warn!(target: "quintette::auth", "a session was not noted for its user: {error}");
            }
        });
    }

    /// Notes that the user's session was used just now.
    pub(super) async fn note(
        &self,
        key: &SessionKey,
        user_id: &str,
        visitor: &Visitor,
    ) -> Result<(), AuthError> {
        let now = Utc::now().trunc_subsecs(6);
        let sealed_key = self.seal.seal(key.as_str().as_bytes()).map_err(|error| {
            AuthError::new(AuthErrorKind::Unavailable, error.to_string()).with_source(error)
        })?;
        let row = UserSessionRow {
            id: self.id(key),
            sealed_key,
            user_id: user_id.to_owned(),
            created: now,
            last_activity: now,
            user_agent: visitor.user_agent.clone().unwrap_or_default(),
            address: visitor
                .address
                .map(|address| address.to_string())
                .unwrap_or_default(),
        };
        Ok(self.tables.record_session(&row).await?)
    }

    /// Forgets a session that has ended, in a task of its own: whoever lists sessions finds out as well.
    pub(in crate::auth) fn forget_soon(&self, key: &SessionKey) {
        let (index, id) = (self.clone(), self.id(key));
        tokio::spawn(async move {
            index.noted.invalidate(&id);
            let _ = index.tables.forget_session(&id).await;
        });
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").finish_non_exhaustive()
    }
}
