use std::sync::Arc;

use quintette_core::settings::Settings;
use tower_layer::Layer;

use super::MessagesService;
use crate::messages::storage::Storage;

/// Gives each request its messages. See [the module](super).
#[derive(Clone, Debug)]
pub struct MessagesLayer {
    storage: Arc<Storage>,
}

impl MessagesLayer {
    /// Stores messages where `MESSAGE_STORAGE` says.
    pub fn new(settings: &Settings) -> Self {
        Self {
            storage: Arc::new(Storage::new(settings)),
        }
    }
}

impl<S> Layer<S> for MessagesLayer {
    type Service = MessagesService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        MessagesService::new(inner, self.storage.clone())
    }
}
