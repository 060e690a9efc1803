use std::sync::Arc;

#[cfg(feature = "database")]
use quintette_core::settings::CacheBackend;
use quintette_core::settings::{SessionEngineName, Settings};

use super::engines::{CacheEngine, FileEngine, SignedCookiesEngine};
#[cfg(feature = "database")]
use super::engines::{CachedDbEngine, DbEngine};
use super::{SessionEngine, SessionError, Sessions};
use crate::cache::NamedCache;
#[cfg(feature = "database")]
use crate::db::Database;

/// The sessions that the settings describe: `SESSION_ENGINE`, and the database or cache that it needs.
///
/// What can be known at start-up is found here: a missing database or table, a directory that cannot be written.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use quintette::{sessions, settings::Settings};
///
/// let sessions = sessions::connect(Settings::load()?).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Where the store cannot be used: the message says which, what is wrong with it, and what to do.
pub async fn connect(settings: impl Into<Arc<Settings>>) -> Result<Sessions, SessionError> {
    let settings = settings.into();
    #[cfg(feature = "database")]
    if settings.session_engine.uses_database() {
        let database = Database::connect(&settings).await?;
        return connect_with(&database, settings).await;
    }
    without_database(settings).await
}

async fn without_database(settings: Arc<Settings>) -> Result<Sessions, SessionError> {
    let engine: Arc<dyn SessionEngine> = match settings.session_engine {
        SessionEngineName::Cache => {
            let cache = NamedCache::connect(&settings, &settings.session_cache_alias).await?;
            Arc::new(CacheEngine::new(cache))
        }
        SessionEngineName::File => Arc::new(FileEngine::new(&settings)?),
        SessionEngineName::SignedCookies => Arc::new(SignedCookiesEngine::new(&settings)),
        SessionEngineName::Db | SessionEngineName::CachedDb => {
            return Err(SessionError::new(
                super::SessionErrorKind::Misconfigured,
                format!(
                    "SESSION_ENGINE is {}, but this program was built without a database: \
                     enable the feature \"sqlite\", \"postgres\" or \"mysql\" of quintette",
                    settings.session_engine
                ),
            ));
        }
    };
    Ok(Sessions::new(engine, settings))
}

/// As [`connect`], with a database that is open already: what else uses it, users say, shares its connections.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
///
/// use quintette::{db::Database, sessions, settings::Settings};
///
/// let settings = Arc::new(Settings::load()?);
/// let database = Database::connect(&settings).await?;
/// let sessions = sessions::connect_with(&database, settings).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`connect`].
#[cfg(feature = "database")]
pub async fn connect_with(
    database: &Database,
    settings: impl Into<Arc<Settings>>,
) -> Result<Sessions, SessionError> {
    let settings = settings.into();
    let engine: Arc<dyn SessionEngine> = match settings.session_engine {
        SessionEngineName::Db => Arc::new(DbEngine::new(database, &settings).await?),
        SessionEngineName::CachedDb => {
            let alias = &settings.session_cache_alias;
            let cache = NamedCache::connect_before(database, &settings, alias).await?;
            warn_of_local_cache(&settings);
            Arc::new(CachedDbEngine::new(database, cache, &settings).await?)
        }
        _ => return without_database(settings).await,
    };
    Ok(Sessions::new(engine, settings))
}

#[cfg(feature = "database")]
fn warn_of_local_cache(settings: &Settings) {
    let alias = &settings.session_cache_alias;
    let cache = settings.caches.get(alias);
    if cache.is_some_and(|cache| cache.backend == CacheBackend::LocMem) {
        tracing::warn!(
            target: "quintette::settings",
            "cached_db keeps its cache in this process (CACHES[{alias:?}] is LocMemCache): a logout in another \
             process is not seen here, so run one process only"
        );
    }
}
