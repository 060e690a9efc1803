use std::fmt;

/// How much a message matters: any integer, the more the higher. Django's `messages.constants`.
///
/// ```
/// use quintette::messages::Level;
///
/// assert!(Level::SUCCESS < Level::new(29) && Level::new(29) < Level::WARNING);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(i64);

/// The levels that have names, as templates know them. Django's `DEFAULT_LEVELS`, the variable `DEFAULT_MESSAGE_LEVELS`.
pub const DEFAULT_LEVELS: [(&str, Level); 5] = [
    ("DEBUG", Level::DEBUG),
    ("INFO", Level::INFO),
    ("SUCCESS", Level::SUCCESS),
    ("WARNING", Level::WARNING),
    ("ERROR", Level::ERROR),
];

impl Level {
    /// For those who develop the site; below the default `MESSAGE_LEVEL`, and so not kept.
    pub const DEBUG: Self = Self(10);
    /// For the visitor to know.
    pub const INFO: Self = Self(20);
    /// What the visitor wanted is done.
    pub const SUCCESS: Self = Self(25);
    /// Nothing failed yet.
    pub const WARNING: Self = Self(30);
    /// What the visitor wanted is not done.
    pub const ERROR: Self = Self(40);

    /// A level of the application's own.
    pub const fn new(level: i64) -> Self {
        Self(level)
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The tag where `MESSAGE_TAGS` has none: the name in lower case, or nothing. Django's `DEFAULT_TAGS`.
    pub const fn default_tag(self) -> &'static str {
        match self {
            Self::DEBUG => "debug",
            Self::INFO => "info",
            Self::SUCCESS => "success",
            Self::WARNING => "warning",
            Self::ERROR => "error",
            _ => "",
        }
    }
}

impl From<i64> for Level {
    fn from(level: i64) -> Self {
        Self(level)
    }
}

/// The number.
impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
