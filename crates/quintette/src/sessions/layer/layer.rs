use std::future::Future;
use std::pin::Pin;

use quintette_core::session::Sessions;
use tower_layer::Layer;

use super::SessionService;

/// Gives each request its session. See [the module](super).
#[derive(Clone, Debug)]
pub struct SessionLayer {
    sessions: Sessions,
}

impl SessionLayer {
    /// For these sessions. They must be used within a Tokio runtime.
    pub fn new(sessions: Sessions) -> Self {
        Self {
            sessions: sessions.spawning(spawn),
        }
    }
}

fn spawn(future: Pin<Box<dyn Future<Output = ()> + Send>>) {
    // The request's log of statements goes with its commit.
    #[cfg(feature = "database")]
    let future = crate::db::queries::Logs::current().carried(future);
    tokio::spawn(future);
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(inner, self.sessions.clone())
    }
}
