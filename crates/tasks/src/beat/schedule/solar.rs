//! Sunrises and their like: `celery.schedules.solar`.
//!
//! Celery asks the library ephem. Here the sun is placed by the shorter series of J. Meeus, *Astronomical Algorithms*, chapter
//! 25, which is good to a hundredth of a degree: in this century a few seconds of time, and more only near the poles, where
//! the sun crosses the horizon at a flat angle.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

/// The longest search for an event that does not happen each day: Celery's number.
const DAYS_TO_SEARCH: u32 = 366;
/// Degrees that the earth turns against the sky in a day.
const TURN: f64 = 360.985_647_366_29;

/// What the sun does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Rises,
    Transits,
    Sets,
}

/// Due when the sun does something at a place: `celery.schedules.solar`.
///
/// ```
/// use quintette_tasks::beat::schedule::Solar;
///
/// let sunset = Solar::new("sunset", 52.52, 13.405)?;
/// assert!(Solar::new("midnight", 52.52, 13.405).is_err());
/// # Ok::<(), quintette_tasks::beat::schedule::SolarError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Solar {
    name: String,
    event: Event,
    /// The altitude of the sun in degrees: of its upper edge for sunrise and sunset, else of its middle.
    altitude: f64,
    of_the_edge: bool,
    latitude: f64,
    longitude: f64,
}

/// A solar schedule of which there is no such event or place.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SolarError {
    /// The name is none of Celery's.
    #[error(
        "\"{0}\" is no solar event: write dawn_astronomical, dawn_nautical, dawn_civil, sunrise, solar_noon, sunset, \
         dusk_civil, dusk_nautical or dusk_astronomical"
    )]
    Event(String),
    /// A latitude beyond a pole.
    #[error("the latitude {0} is not from -90 to 90 degrees")]
    Latitude(f64),
    /// A longitude beyond the circle.
    #[error("the longitude {0} is not from -180 to 180 degrees")]
    Longitude(f64),
}

impl Solar {
    /// Due at each such event, by Celery's name for it, at a place north of the equator and east of Greenwich by so many
    /// degrees.
    ///
    /// # Errors
    ///
    /// [`SolarError`] for an event or a place that there is not.
    pub fn new(event: &str, latitude: f64, longitude: f64) -> Result<Self, SolarError> {
        let (kind, altitude) = match event {
            "dawn_astronomical" => (Event::Rises, -18.0),
            "dawn_nautical" => (Event::Rises, -12.0),
            "dawn_civil" => (Event::Rises, -6.0),
            // The air lifts the sun by 34 minutes of arc.
            "sunrise" => (Event::Rises, -34.0 / 60.0),
            "solar_noon" => (Event::Transits, 0.0),
            "sunset" => (Event::Sets, -34.0 / 60.0),
            "dusk_civil" => (Event::Sets, -6.0),
            "dusk_nautical" => (Event::Sets, -12.0),
            "dusk_astronomical" => (Event::Sets, -18.0),
            _ => return Err(SolarError::Event(event.to_owned())),
        };
        if !(-90.0..=90.0).contains(&latitude) {
            return Err(SolarError::Latitude(latitude));
        }
        if !(-180.0..=180.0).contains(&longitude) {
            return Err(SolarError::Longitude(longitude));
        }
        Ok(Self {
            name: event.to_owned(),
            event: kind,
            altitude,
            of_the_edge: matches!(event, "sunrise" | "sunset"),
            latitude,
            longitude,
        })
    }

    /// The first such event after `last_run`; none where there is none for a year, as at a pole.
    pub fn next_after(&self, last_run: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let east = self.longitude / 360.0;
        let last_noon = (days(last_run) + east).floor() - east;
        (0..DAYS_TO_SEARCH + 2)
            .filter_map(|day| self.on_the_day_of(last_noon - 1.0 + f64::from(day)))
            .filter_map(time)
            // The same event, computed from its own time, must not be due again.
            .find(|event| *event > last_run + TimeDelta::seconds(1))
    }

    /// The event of the day around this noon, in days since noon of January 1st, 2000.
    fn on_the_day_of(&self, noon: f64) -> Option<f64> {
        let transit = (0..4).fold(noon, |time, _| {
            time - self.hour_angle(&Sun::at(time), time) / TURN
        });
        let side = match self.event {
            Event::Transits => return Some(transit),
            Event::Rises => -1.0,
            Event::Sets => 1.0,
        };
        let mut event = transit;
        for _ in 0..6 {
            let sun = Sun::at(event);
            let wanted = side * self.arc(&sun)?;
            let off = degrees_around_zero(self.hour_angle(&sun, event) - wanted);
            event -= off / TURN;
        }
        Some(event)
    }

    /// Half the sun's way over the horizon of this event, in degrees; none where it does not cross that.
    fn arc(&self, sun: &Sun) -> Option<f64> {
        let radius = if self.of_the_edge { sun.radius } else { 0.0 };
        let altitude = (self.altitude - radius).to_radians();
        let latitude = self.latitude.to_radians();
        let cosine = (altitude.sin() - latitude.sin() * sun.declination.sin())
            / (latitude.cos() * sun.declination.cos());
        (cosine.abs() <= 1.0).then(|| cosine.acos().to_degrees())
    }

    /// How far the sun is past its highest, in degrees.
    fn hour_angle(&self, sun: &Sun, time: f64) -> f64 {
        let sidereal = 280.460_618_37 + TURN * time + sun.equinoxes;
        degrees_around_zero(sidereal + self.longitude - sun.right_ascension)
    }
}

impl fmt::Display for Solar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            latitude,
            longitude,
            ..
        } = self;
        write!(f, "{name} at latitude {latitude}, longitude {longitude}")
    }
}

/// Where the sun stands in the sky.
struct Sun {
    /// Degrees.
    right_ascension: f64,
    /// Radians.
    declination: f64,
    /// What the nodding of the earth adds to sidereal time, in degrees.
    equinoxes: f64,
    /// Half its breadth, in degrees.
    radius: f64,
}

impl Sun {
    fn at(days: f64) -> Self {
        // The earth is late by about 69 seconds against even time.
        let t = (days + 69.0 / 86_400.0) / 36_525.0;
        let mean_longitude = 280.466_46 + t * (36_000.769_83 + t * 0.000_303_2);
        let anomaly = (357.529_11 + t * (35_999.050_29 - t * 0.000_153_7)).to_radians();
        let center = (1.914_602 - t * (0.004_817 + t * 0.000_014)) * anomaly.sin()
            + (0.019_993 - t * 0.000_101) * (2.0 * anomaly).sin()
            + 0.000_289 * (3.0 * anomaly).sin();
        let node = (125.04 - 1_934.136 * t).to_radians();
        let longitude = (mean_longitude + center - 0.005_69 - 0.004_78 * node.sin()).to_radians();
        let obliquity = (23.439_291 - 0.013_004_2 * t + 0.002_56 * node.cos()).to_radians();
        let right_ascension = (obliquity.cos() * longitude.sin()).atan2(longitude.cos());
        let distance = 1.000_14 - 0.016_71 * anomaly.cos() - 0.000_14 * (2.0 * anomaly).cos();
        Self {
            right_ascension: right_ascension.to_degrees(),
            declination: (obliquity.sin() * longitude.sin()).asin(),
            equinoxes: -0.004_78 * node.sin() * obliquity.cos(),
            radius: 0.266_56 / distance,
        }
    }
}

fn degrees_around_zero(degrees: f64) -> f64 {
    (degrees + 180.0).rem_euclid(360.0) - 180.0
}

/// Noon of January 1st, 2000, from which astronomers count.
const NOON_OF_2000: i64 = 946_728_000;

#[allow(clippy::cast_precision_loss)] // a thousandth of a second in ten thousand years
fn days(time: DateTime<Utc>) -> f64 {
    (time.timestamp_millis() - NOON_OF_2000 * 1000) as f64 / 86_400_000.0
}

/// In whole seconds: the formulas know no better.
#[allow(clippy::cast_possible_truncation)] // saturates, and is then out of bounds
fn time(days: f64) -> Option<DateTime<Utc>> {
    let start = DateTime::from_timestamp(NOON_OF_2000, 0)?;
    start.checked_add_signed(TimeDelta::try_seconds((days * 86_400.0).ceil() as i64)?)
}
