use std::io::{self, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use quintette_core::pickle;
use quintette_core::signing::{MAX_DECOMPRESSED, PayloadError, deflate, inflate};
use tracing::warn;

use super::Revision;

/// Within how many bytes the expiry must end. As Django writes it, it takes 22.
const MAX_EXPIRY: usize = 256;

/// What a file of Django's `FileBasedCache` says: a pickled number or `None`, and a zlib stream right after it.
pub(super) struct Entry<'a> {
    /// Seconds since 1970.
    expires_at: Option<f64>,
    /// The value, and whatever Django has left behind it where it rewrote a longer file in place.
    pub(super) stream: &'a [u8],
}

impl<'a> Entry<'a> {
    /// The entry in these bytes. `None` where it has expired; and where that cannot be told, as in an empty file.
    pub(super) fn unexpired(text: &'a [u8]) -> Option<Self> {
        let head = text.get(..MAX_EXPIRY).unwrap_or(text);
        let (expires_at, rest) = pickle::decode_number(head)
            .inspect_err(|error| {
                // An empty one is a place that somebody keeps.
                if !text.is_empty() {
                    warn!(target: "quintette::cache", %error, "the expiry of an entry in the cache's directory cannot be read");
                }
            })
            .ok()?;
        let stream = text.get(head.len() - rest.len()..).unwrap_or_default();
        // No number at all is less than now, nor is what is none.
        let expired = expires_at.is_some_and(|at| at < now());
        (!expired).then_some(Self { expires_at, stream })
    }

    /// How long it will live; `None` where it outlives all clocks.
    pub(super) fn ttl(&self) -> Option<Duration> {
        let seconds = self.expires_at? - now();
        Duration::try_from_secs_f64(seconds.max(0.0)).ok()
    }

    pub(super) fn unpack(&self) -> Result<Vec<u8>, PayloadError> {
        inflate(self.stream)
    }
}

/// A value as it lies in a file, which is what later writes compare.
pub(super) struct Stream(Vec<u8>);

impl Stream {
    /// Fails where it is larger than what is read again.
    pub(super) fn pack(value: &[u8]) -> io::Result<Self> {
        if value.len() > MAX_DECOMPRESSED {
            let message = format!("a value of more than {MAX_DECOMPRESSED} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        if let Some(stream) = deflate(value) {
            return Ok(Self(stream));
        }
        // What cannot be packed more tightly is a stream all the same.
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::none());
        encoder.write_all(value)?;
        encoder.finish().map(Self)
    }

    pub(super) fn of(revision: &Revision) -> Self {
        Self(revision.as_bytes().to_vec())
    }

    /// The whole file, of an entry that lives so long from now.
    pub(super) fn text(&self, ttl: Duration) -> Vec<u8> {
        // As Django does: what is over at once has been over for a second.
        let lives = if ttl.is_zero() {
            -1.0
        } else {
            ttl.as_secs_f64()
        };
        let mut text = pickle::encode_number(now() + lives);
        text.extend_from_slice(&self.0);
        text
    }
}

impl From<Stream> for Revision {
    fn from(stream: Stream) -> Self {
        stream.0.into()
    }
}

/// Python's `time.time()`.
fn now() -> f64 {
    // Before 1970, everything lives.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}
