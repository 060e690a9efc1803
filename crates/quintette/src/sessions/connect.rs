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
    let engine: Arc<dyn SessionEngine> = match settings.session_engine {
        #[cfg(feature = "database")]
        SessionEngineName::Db => {
            let database = Database::connect(&settings).await?;
            Arc::new(DbEngine::new(&database, &settings).await?)
        }
        #[cfg(feature = "database")]
        SessionEngineName::CachedDb => {
            let database = Database::connect(&settings).await?;
            let alias = &settings.session_cache_alias;
            let cache = NamedCache::connect_before(&database, &settings, alias).await?;
            if settings
                .caches
                .get(alias)
                .is_some_and(|cache| cache.backend == CacheBackend::LocMem)
            {
                tracing::warn!(
                    target: "quintette::settings",
                    "cached_db keeps its cache in this process (CACHES[{alias:?}] is LocMemCache): a logout in another \
                     process is not seen here, so run one process only"
                );
            }
            Arc::new(CachedDbEngine::new(&database, cache, &settings).await?)
        }
        SessionEngineName::Cache => {
            let cache = NamedCache::connect(&settings, &settings.session_cache_alias).await?;
            Arc::new(CacheEngine::new(cache))
        }
        SessionEngineName::File => Arc::new(FileEngine::new(&settings)?),
        SessionEngineName::SignedCookies => Arc::new(SignedCookiesEngine::new(&settings)),
        #[cfg(not(feature = "database"))]
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
