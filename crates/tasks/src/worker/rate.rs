//! Rate limits: `10/m`.

use std::str::FromStr;
use std::time::Duration;

/// So many tasks in a time. Celery's `rate_limit`: `10/s`, `10/m`, `10/h`, or a number of tasks a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    per_second: f64,
}

impl Rate {
    /// The time between two tasks; `None` where there is no limit (a rate of 0, as in Celery).
    pub fn interval(self) -> Option<Duration> {
        (self.per_second > 0.0)
            .then(|| Duration::try_from_secs_f64(1.0 / self.per_second).unwrap_or(Duration::MAX))
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let invalid = || InvalidRate(text.chars().take(40).collect());
        let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
        let seconds = match unit.trim() {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(invalid()),
        };
        let number: f64 = number.trim().parse().map_err(|_| invalid())?;
        if !number.is_finite() || number < 0.0 {
            return Err(invalid());
        }
        Ok(Self {
            per_second: number / seconds,
        })
    }
}

/// What is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no rate limit: write 10/s, 10/m or 10/h")]
pub struct InvalidRate(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_celery_reads_it() {
        let interval = |text: &str| text.parse::<Rate>().unwrap().interval();
        assert_eq!(interval("10/m"), Some(Duration::from_secs(6)));
        assert_eq!(interval("2/s"), Some(Duration::from_millis(500)));
        assert_eq!(interval("2"), Some(Duration::from_millis(500)));
        assert_eq!(interval("1/h"), Some(Duration::from_hours(1)));
        assert_eq!(interval("0"), None);
        for wrong in ["", "ten/m", "1/d", "-1/s", "NaN", "inf/s", "1/m/s"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_rate_too_small_for_a_clock_is_the_longest_wait_and_no_panic() {
        assert_eq!(
            "1e-300/h".parse::<Rate>().unwrap().interval(),
            Some(Duration::MAX)
        );
    }
}
