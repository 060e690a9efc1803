use std::sync::Arc;

use quintette_core::settings::Settings;
use tower_layer::Layer;

use super::TimeoutService;
use super::clock::Timeout;

/// Ends sessions that were not used for a while. See [the module](super).
#[derive(Clone, Debug)]
pub struct TimeoutLayer {
    timeout: Arc<Timeout>,
}

impl TimeoutLayer {
    /// After the times that the settings name.
    pub fn new(settings: &Settings) -> Self {
        Self {
            timeout: Arc::new(Timeout::new(settings)),
        }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = TimeoutService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TimeoutService::new(inner, self.timeout.clone())
    }
}
