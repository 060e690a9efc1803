//! Hashing passwords beside a running web service.

use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use super::hashers::{HashingError, PasswordHashers, Verification};

/// How many may wait for a thread, unless told otherwise: at ten hashes a second, some six seconds for the last.
const WAITING: usize = 64;

/// Hashes passwords on threads of their own, so many at once and no more.
///
/// A hash takes a core for a tenth of a second or longer, on purpose. On a thread that serves requests it would hold up
/// whatever else is served there, and a flood of logins on any number of threads would leave no core to other pages. So passwords
/// are hashed on tokio's blocking threads, by default on one core fewer than there are; some more wait in line; and beyond
/// those the answer is [`Busy`](super::hashers::HashingErrorKind::Busy) at once, which is a 503 with `Retry-After`.
///
/// A cheap handle; clones share the threads and the line. Its methods must be called within a tokio runtime.
///
/// ```
/// use quintette::auth::PasswordHashing;
/// use quintette::auth::hashers::{PasswordHashers, Pbkdf2, Verification};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let hashing = PasswordHashing::new(PasswordHashers::default());
/// # let hashing = PasswordHashing::new(PasswordHashers::default().with(Pbkdf2::sha256().with_iterations(10)));
/// let encoded = hashing.make_password("correct horse").await?;
/// assert_eq!(hashing.check_password("correct horse", &encoded).await?, Verification::Correct);
/// # Ok::<(), quintette::auth::hashers::HashingError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Cancellation
///
/// A call that is dropped while it waits leaves the line, and its place is free at once. A hash that has begun runs to its
/// end, with nobody to hear of it, and keeps its thread and its place until then: so visitors who hang up cannot have more
/// hashed at once than there are threads for.
#[derive(Clone, Debug)]
pub struct PasswordHashing {
    hashers: PasswordHashers,
    /// One for each hash that runs.
    threads: Arc<Semaphore>,
    /// One for each hash that runs or waits.
    places: Arc<Semaphore>,
    size: Size,
}

#[derive(Clone, Copy, Debug)]
struct Size {
    threads: usize,
    waiting: usize,
}

impl PasswordHashing {
    /// On one core fewer than there are, or the only one, with 64 in line.
    pub fn new(hashers: PasswordHashers) -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        let threads = cores.saturating_sub(1).max(1);
        Self::sized(hashers, threads, WAITING)
    }

    /// So many hashes at once: at least one, in effect. Each of Argon2 takes 100 MiB.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self::sized(self.hashers, threads, self.size.waiting)
    }

    /// So many that wait for a thread. With none, whoever does not find a thread free is turned away.
    #[must_use]
    pub fn with_waiting(self, waiting: usize) -> Self {
        Self::sized(self.hashers, self.size.threads, waiting)
    }

    fn sized(hashers: PasswordHashers, threads: usize, waiting: usize) -> Self {
        let threads = threads.clamp(1, Semaphore::MAX_PERMITS / 2);
        let waiting = waiting.min(Semaphore::MAX_PERMITS / 2);
        Self {
            hashers,
            threads: Arc::new(Semaphore::new(threads)),
            places: Arc::new(Semaphore::new(threads + waiting)),
            size: Size { threads, waiting },
        }
    }

    /// The hashers themselves, for a program that has no requests to hold up.
    pub fn hashers(&self) -> &PasswordHashers {
        &self.hashers
    }

    /// Hashes a password for storage: `make_password`.
    ///
    /// # Errors
    ///
    /// Of kind [`Busy`](super::hashers::HashingErrorKind::Busy), if too many wait already. After a login, that is no reason to
    /// turn the visitor away: an outdated hash can be written anew another time. Of kind
    /// [`Failed`](super::hashers::HashingErrorKind::Failed), if the system has no randomness or the runtime is shutting down.
    pub async fn make_password(&self, password: &str) -> Result<String, HashingError> {
        let password = password.to_owned();
        self.run(move |hashers| hashers.make_password(&password))
            .await?
    }

    /// Hashes a password with another algorithm than the preferred one: `make_password(password, hasher=algorithm)`.
    ///
    /// # Errors
    ///
    /// As [`make_password`](Self::make_password), and of kind
    /// [`Misconfigured`](super::hashers::HashingErrorKind::Misconfigured), if there is no hasher for the algorithm.
    pub async fn make_password_with(
        &self,
        algorithm: &str,
        password: &str,
    ) -> Result<String, HashingError> {
        let (algorithm, password) = (algorithm.to_owned(), password.to_owned());
        self.run(move |hashers| hashers.make_password_with(&algorithm, &password))
            .await?
    }

    /// Whether a password is the one that a hash was made of: `check_password`.
    ///
    /// # Errors
    ///
    /// Of kind [`Busy`](super::hashers::HashingErrorKind::Busy), if too many wait already; of kind
    /// [`Failed`](super::hashers::HashingErrorKind::Failed), if the hasher panicked or the runtime is shutting down.
    pub async fn check_password(
        &self,
        password: &str,
        encoded: &str,
    ) -> Result<Verification, HashingError> {
        let (password, encoded) = (password.to_owned(), encoded.to_owned());
        self.run(move |hashers| hashers.check_password(&password, &encoded))
            .await
    }

    /// Takes the time of [`check_password`](Self::check_password), for a user who does not exist, in the same line.
    ///
    /// # Errors
    ///
    /// As [`check_password`](Self::check_password).
    pub async fn check_nobody(&self, password: &str) -> Result<Verification, HashingError> {
        let password = password.to_owned();
        self.run(move |hashers| hashers.check_nobody(&password))
            .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&PasswordHashers) -> T + Send + 'static,
    ) -> Result<T, HashingError> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| HashingError::busy(self.size.waiting))?;
        let thread = Arc::clone(&self.threads)
            .acquire_owned()
            .await
            .map_err(|error| HashingError::failed("the line of passwords is closed", error))?;
        let hashers = self.hashers.clone();
        spawn_blocking(move || {
            // Held by the thread, not by the caller, who may go away.
            let _held: (OwnedSemaphorePermit, OwnedSemaphorePermit) = (place, thread);
            work(&hashers)
        })
        .await
        .map_err(|error| HashingError::failed("the thread that hashed a password is lost", error))
    }
}

#[cfg(test)]
mod tests;
