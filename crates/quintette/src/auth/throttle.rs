use std::net::IpAddr;
use std::sync::Once;
use std::time::Duration;

use quintette_core::cache::{CacheError, Swapped};
use quintette_core::settings::Settings;
use quintette_core::signing::{SecretKey, salted_hmac};

use super::tokens::hex;
use super::{AuthError, Visitor, usernames};
use crate::cache::NamedCache;

/// As many failures as one address may have over all user names, for each that it may have over one: several people may
/// come from one address.
const ADDRESS_FACTOR: u32 = 10;

/// Whoever loses so many compare-and-swaps in a row is in a flood, which is what this is for.
const MAX_ATTEMPTS: u32 = 64;

/// Counts wrong passwords in the cache `default`: for a user name from one address, and for an address.
///
/// An attempt counts before its password is looked at, so that a thousand at once are no way around, and is taken back
/// when it was right.
#[derive(Debug)]
pub(super) struct Throttle {
    cache: NamedCache,
    limit: u32,
    cooloff: Duration,
    secret: SecretKey,
    /// That no address is known is told once.
    told: Once,
}

/// What an attempt has counted, to be taken back when it was right.
#[derive(Debug)]
pub(super) struct Attempt {
    by_name: String,
    by_address: Option<String>,
}

impl Throttle {
    pub(super) fn new(cache: NamedCache, limit: u32, settings: &Settings) -> Self {
        Self {
            cache,
            limit,
            cooloff: settings.login_cooloff_time.to_std().unwrap_or_default(),
            secret: settings.secret_key.secret().clone(),
            told: Once::new(),
        }
    }

    /// Counts an attempt. A cache that is down holds up nobody: it is told in the log.
    ///
    /// # Errors
    ///
    /// Where there were too many.
    pub(super) async fn begin(
        &self,
        username: &str,
        visitor: &Visitor,
    ) -> Result<Attempt, AuthError> {
        if visitor.address.is_none() {
            self.told.call_once(|| {
                tracing::warn!(
                    target: "quintette::auth",
                    "wrong passwords are counted for a user name alone, so that anybody can lock a user out, since the \
                     visitor's address is not known: serve `app.into_make_service_with_connect_info::<SocketAddr>()`, or \
                     behind a proxy set CLIENT_ADDRESS_HEADER"
                );
            });
        }
        let attempt = Attempt {
            by_name: self.name("name", Some(username), visitor.address),
            by_address: visitor
                .address
                .map(|address| self.name("address", None, Some(address))),
        };
        let limits = [
            (Some(&attempt.by_name), self.limit),
            (
                attempt.by_address.as_ref(),
                self.limit.saturating_mul(ADDRESS_FACTOR),
            ),
        ];
        for (name, limit) in limits {
            let Some(name) = name else { continue };
            match self
                .change(name, |count| Some(count.saturating_add(1)))
                .await
            {
                Ok(count) if count > limit => return Err(AuthError::throttled(self.cooloff)),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(
                        target: "quintette::auth",
                        "wrong passwords are not counted, since the cache \"default\" does not answer: {error}"
                    );
                }
            }
        }
        Ok(attempt)
    }

    /// The password was right: the name's failures are forgotten, and the address has one less.
    pub(super) async fn forgive(&self, attempt: &Attempt) {
        // What is not forgiven is forgotten when its time is over.
        let _ = self.cache.cache().delete(&attempt.by_name, None).await;
        if let Some(name) = &attempt.by_address {
            let _ = self.change(name, |count| count.checked_sub(1)).await;
        }
    }

    /// Nobody has looked at the password: an outage is not to lock out whoever tries again.
    pub(super) async fn take_back(&self, attempt: &Attempt) {
        let names = [Some(&attempt.by_name), attempt.by_address.as_ref()];
        for name in names.into_iter().flatten() {
            let _ = self.change(name, |count| count.checked_sub(1)).await;
        }
    }

    /// The new count.
    async fn change(
        &self,
        name: &str,
        change: impl Fn(u32) -> Option<u32>,
    ) -> Result<u32, CacheError> {
        let cache = self.cache.cache();
        for _ in 0..MAX_ATTEMPTS {
            let Some(cached) = cache.get(name).await? else {
                let count = change(0).unwrap_or_default();
                if cache.add(name, write(count), self.cooloff).await?.is_some() {
                    return Ok(count);
                }
                continue;
            };
            let seen = read(&cached.value);
            let count = change(seen).unwrap_or(seen);
            let revision = cached.into_revision();
            // The time begins anew with each attempt, so that whoever goes on stays out.
            let swapped = cache
                .replace(name, &revision, write(count), self.cooloff)
                .await?;
            if matches!(swapped, Swapped::Done(_)) {
                return Ok(count);
            }
        }
        Ok(u32::MAX)
    }

    /// Neither names nor addresses stand in the cache.
    fn name(&self, kind: &str, username: Option<&str>, address: Option<IpAddr>) -> String {
        let address = address.map(network).unwrap_or_default();
        // As the databases compare them, or `Mei` would be another five attempts at `mei`.
        let username = usernames::folded(username.unwrap_or_default());
        let mac = salted_hmac(
            "quintette.auth.throttle",
            format!("{kind}\n{address}\n{username}"),
            &self.secret,
        );
        self.cache
            .name(&format!("quintette.login.{}", hex(&mac[..16])))
    }
}

/// Who has one address of IPv6 has all of its /64.
fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::")
        }
    }
}

fn write(count: u32) -> Vec<u8> {
    count.to_string().into_bytes()
}

fn read(value: &[u8]) -> u32 {
    let text = std::str::from_utf8(value).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}
