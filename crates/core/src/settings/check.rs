//! The rules between settings, and those a field can break that was assigned in code.

use chrono::TimeDelta;
use serde_json::Value;

use super::cookie::{domain_problem, path_problem};
use super::error::{Problem, SettingsError};
use super::sessions::SessionEngineName;
use super::{Settings, value};

impl Settings {
    /// Checks what no setting can tell alone. [`Loader::load`](super::Loader::load) does it too.
    ///
    /// # Errors
    ///
    /// - `SESSION_COOKIE_NAME` begins with `__Secure-` or `__Host-`, and the cookie is not what browsers then demand (RFC 6265bis).
    /// - `SESSION_COOKIE_PARTITIONED` without `SESSION_COOKIE_SECURE`.
    /// - `SESSION_COOKIE_DOMAIN` or `SESSION_COOKIE_PATH` holds what would end the attribute.
    /// - `CACHES` has no `default`, or not the cache that `SESSION_CACHE_ALIAS` names while the engine uses it.
    /// - `SESSION_COOKIE_ENCRYPTED` with another engine than `signed_cookies`.
    /// - A time of more than a thousand years, or a limit below zero.
    /// - `SESSION_TOUCH_INTERVAL` is more than half of `SESSION_COOKIE_AGE`.
    pub fn check(&self) -> Result<(), SettingsError> {
        SettingsError::unless_empty(self.broken_rules())
    }

    pub(super) fn broken_rules(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(self.cookie_name_rule());
        problems.extend(self.cookie_attribute_rules());
        problems.extend(self.cache_rules());
        problems.extend(self.time_rules());
        problems.extend(self.touch_rule());
        if self.session_cookie_encrypted && self.session_engine != SessionEngineName::SignedCookies
        {
            problems.push(Problem::wrong(
                "SESSION_COOKIE_ENCRYPTED",
                &Value::from(true),
                format!(
                    "only the engine signed_cookies encrypts, and SESSION_ENGINE is {}; leave it out or change the engine",
                    self.session_engine
                ),
            ));
        }
        problems
    }

    fn cookie_name_rule(&self) -> Option<Problem> {
        let name = &self.session_cookie_name;
        let advice = if name.requires_secure() && !self.session_cookie_secure {
            "browsers take a cookie of this name only with SESSION_COOKIE_SECURE = true"
        } else if name.requires_host_only() && self.session_cookie_domain.is_some() {
            "browsers take a __Host- cookie only without SESSION_COOKIE_DOMAIN; leave the domain out, or name it __Secure-"
        } else if name.requires_host_only() && self.session_cookie_path != "/" {
            "browsers take a __Host- cookie only with SESSION_COOKIE_PATH = \"/\"; set that, or name it __Secure-"
        } else {
            return None;
        };
        Some(Problem::wrong(
            "SESSION_COOKIE_NAME",
            &Value::from(name.as_str()),
            advice,
        ))
    }

    fn cookie_attribute_rules(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(domain) = &self.session_cookie_domain
            && let Some(advice) = domain_problem(domain)
        {
            problems.push(Problem::wrong(
                "SESSION_COOKIE_DOMAIN",
                &Value::from(domain.as_str()),
                advice,
            ));
        }
        if let Some(advice) = path_problem(&self.session_cookie_path) {
            problems.push(Problem::wrong(
                "SESSION_COOKIE_PATH",
                &Value::from(self.session_cookie_path.as_str()),
                advice,
            ));
        }
        if self.session_cookie_partitioned && !self.session_cookie_secure {
            problems.push(Problem::wrong(
                "SESSION_COOKIE_PARTITIONED",
                &Value::from(true),
                "browsers take a partitioned cookie only with SESSION_COOKIE_SECURE = true",
            ));
        }
        problems
    }

    fn cache_rules(&self) -> Option<Problem> {
        if !self.caches.contains_key("default") {
            // Django's system check caches.E001.
            return Some(Problem::secret(
                "CACHES",
                "has no cache of the alias \"default\", which there must be",
            ));
        }
        let alias = &self.session_cache_alias;
        if self.session_engine.uses_cache() && !self.caches.contains_key(alias) {
            let aliases: Vec<&str> = self.caches.keys().map(String::as_str).collect();
            return Some(Problem::wrong(
                "SESSION_CACHE_ALIAS",
                &Value::from(alias.as_str()),
                format!(
                    "CACHES has no such cache, and SESSION_ENGINE is {}; there is {}",
                    self.session_engine,
                    aliases.join(", ")
                ),
            ));
        }
        None
    }

    fn time_rules(&self) -> Vec<Problem> {
        let longest = value::LONGEST_SECONDS;
        [
            (
                "SESSION_COOKIE_AGE",
                Some(self.session_cookie_age),
                -longest,
            ),
            ("SESSION_EXPIRE_SECONDS", self.session_expire_seconds, 0),
            (
                "SESSION_EXPIRE_AFTER_LAST_ACTIVITY_GRACE_PERIOD",
                Some(self.session_expire_after_last_activity_grace_period),
                0,
            ),
            (
                "SESSION_EXPIRE_ABSOLUTE_SECONDS",
                self.session_expire_absolute_seconds,
                0,
            ),
        ]
        .into_iter()
        .filter_map(|(name, time, least)| {
            let time = time.filter(|time| {
                *time < TimeDelta::seconds(least) || *time > TimeDelta::seconds(longest)
            })?;
            Some(Problem::wrong(
                name,
                &Value::from(time.num_seconds()),
                format!("take from {least} to {longest} seconds (a thousand years)"),
            ))
        })
        .collect()
    }

    /// An expiry that is put off for longer would end the sessions of visitors who were there lately.
    fn touch_rule(&self) -> Option<Problem> {
        let interval = self.session_touch_interval;
        let longest = self.session_cookie_age / 2;
        (interval > TimeDelta::zero() && interval > longest).then(|| {
            Problem::wrong(
                "SESSION_TOUCH_INTERVAL",
                &Value::from(interval.num_seconds()),
                format!(
                    "take at most half of SESSION_COOKIE_AGE, which is {} seconds",
                    self.session_cookie_age.num_seconds()
                ),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{CacheBackend, CacheSettings, SameSite};
    use super::*;

    /// Django's defaults, changed.
    fn with(change: impl FnOnce(&mut Settings)) -> Settings {
        let mut settings = Settings::new("secret");
        change(&mut settings);
        settings
    }

    fn complaint(change: impl FnOnce(&mut Settings)) -> String {
        with(change).check().unwrap_err().to_string()
    }

    #[test]
    fn djangos_defaults_break_no_rule() {
        with(|_| {}).check().unwrap();
    }

    #[test]
    fn a_secure_name_needs_a_secure_cookie() {
        let name = |s: &mut Settings| s.session_cookie_name = "__Secure-id".parse().unwrap();
        assert!(complaint(name).contains("SESSION_COOKIE_SECURE"));
        with(|s| {
            name(s);
            s.session_cookie_secure = true;
            s.session_cookie_domain = Some("example.com".to_owned());
            s.session_cookie_path = "/shop/".to_owned();
        })
        .check()
        .unwrap();
    }

    #[test]
    fn a_host_name_needs_a_cookie_of_the_host_alone() {
        let named = |s: &mut Settings| {
            s.session_cookie_name = "__Host-id".parse().unwrap();
            s.session_cookie_secure = true;
        };
        with(named).check().unwrap();
        let domain = complaint(|s| {
            named(s);
            s.session_cookie_domain = Some("example.com".to_owned());
        });
        assert!(domain.contains("SESSION_COOKIE_DOMAIN"), "{domain}");
        let path = complaint(|s| {
            named(s);
            s.session_cookie_path = "/shop/".to_owned();
        });
        assert!(path.contains("SESSION_COOKIE_PATH"), "{path}");
    }

    #[test]
    fn samesite_none_without_secure_is_for_the_deploy_check_as_django_allows_it() {
        with(|s| s.session_cookie_samesite = SameSite::None)
            .check()
            .unwrap();
    }

    #[test]
    fn what_would_split_the_header_is_refused() {
        assert!(
            complaint(|s| s.session_cookie_domain = Some("a;b".to_owned()))
                .contains("SESSION_COOKIE_DOMAIN")
        );
        assert!(
            complaint(|s| s.session_cookie_path = "/\r\nX: y".to_owned())
                .contains("SESSION_COOKIE_PATH")
        );
    }

    #[test]
    fn a_partitioned_cookie_is_secure() {
        assert!(
            complaint(|s| s.session_cookie_partitioned = true).contains("SESSION_COOKIE_SECURE")
        );
    }

    #[test]
    fn the_session_cache_exists_where_the_engine_uses_it() {
        let elsewhere = |s: &mut Settings| s.session_cache_alias = "sessions".to_owned();
        with(elsewhere).check().unwrap();
        for engine in [SessionEngineName::Cache, SessionEngineName::CachedDb] {
            let error = complaint(|s| {
                elsewhere(s);
                s.session_engine = engine;
            });
            assert!(
                error.starts_with("SESSION_CACHE_ALIAS (in code) is \"sessions\""),
                "{error}"
            );
        }
        let without_default = complaint(|s| {
            s.caches = BTreeMap::from([("x".to_owned(), CacheSettings::new(CacheBackend::Dummy))]);
        });
        assert!(without_default.contains("\"default\""), "{without_default}");
    }

    #[test]
    fn only_signed_cookies_are_encrypted() {
        assert!(complaint(|s| s.session_cookie_encrypted = true).contains("signed_cookies"));
        with(|s| {
            s.session_cookie_encrypted = true;
            s.session_engine = SessionEngineName::SignedCookies;
        })
        .check()
        .unwrap();
    }

    #[test]
    fn times_set_in_code_are_bounded_too() {
        assert!(
            complaint(|s| s.session_cookie_age = TimeDelta::MAX).contains("SESSION_COOKIE_AGE")
        );
        assert!(
            complaint(|s| s.session_cookie_age = TimeDelta::MIN).contains("SESSION_COOKIE_AGE")
        );
        assert!(
            complaint(|s| s.session_expire_seconds = Some(TimeDelta::seconds(-1)))
                .contains("SESSION_EXPIRE_SECONDS")
        );
        with(|s| s.session_cookie_age = TimeDelta::seconds(-1))
            .check()
            .unwrap();
    }

    #[test]
    fn a_touch_is_put_off_for_half_of_the_cookies_age_at_the_most() {
        let hours = TimeDelta::hours;
        let settings = |age, interval| {
            with(|s| {
                (s.session_cookie_age, s.session_touch_interval) = (hours(age), hours(interval));
            })
        };
        settings(2, 1).check().unwrap();
        settings(-1, 0).check().unwrap();
        for (age, interval) in [(2, 2), (3, 2), (0, 1), (-2, 1)] {
            let told = settings(age, interval).check().unwrap_err().to_string();
            assert!(told.contains("SESSION_TOUCH_INTERVAL"), "{told}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let error = with(|s| {
            s.session_cookie_partitioned = true;
            s.session_cookie_encrypted = true;
        })
        .check()
        .unwrap_err();
        let named: Vec<_> = error
            .problems()
            .iter()
            .filter_map(Problem::setting)
            .collect();
        assert_eq!(
            named,
            ["SESSION_COOKIE_PARTITIONED", "SESSION_COOKIE_ENCRYPTED"]
        );
    }
}
