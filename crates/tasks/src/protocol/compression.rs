//! Compressed bodies: the header `compression`, `task_compression` in Celery's settings.
//!
//! | header | names in settings | format | needs the feature `compression` |
//! | --- | --- | --- | --- |
//! | `application/x-gzip` | `gzip`, `zlib` | zlib, whatever its name says | no |
//! | `application/x-bz2` | `bzip2`, `bzip` | bzip2 | yes |
//! | `application/x-lzma` | `lzma`, `xz` | .xz | yes |
//! | `application/x-brotli` | `brotli` | Brotli | yes |
//! | `application/zstd` | `zstd`, `zstandard` | Zstandard | yes |
//!
//! Source: `kombu/compression.py` of kombu 5.7.

use std::io::{self, Read, Write};

use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

/// How much a body may expand to by default, in bytes: 64 MiB.
pub const MAX_EXPANDED: usize = 64 << 20;

/// A way to compress bodies that Celery knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// `gzip`, which is zlib.
    Gzip,
    /// `bzip2`.
    Bzip2,
    /// `lzma`: an .xz stream.
    Lzma,
    /// `brotli`.
    Brotli,
    /// `zstd`.
    Zstd,
}

impl Compression {
    /// The compression that a header or a setting names: by content type, or by one of kombu's names for it.
    ///
    /// ```
    /// use quintette_tasks::protocol::compression::Compression;
    ///
    /// assert_eq!(Compression::from_name("application/x-gzip")?, Compression::Gzip);
    /// assert_eq!(Compression::from_name("zlib")?, Compression::Gzip);
    /// # Ok::<(), quintette_tasks::protocol::compression::CompressionError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If Celery knows no such compression.
    pub fn from_name(name: &str) -> Result<Self, CompressionError> {
        Ok(match name {
            "application/x-gzip" | "gzip" | "zlib" => Self::Gzip,
            "application/x-bz2" | "bzip2" | "bzip" => Self::Bzip2,
            "application/x-lzma" | "lzma" | "xz" => Self::Lzma,
            "application/x-brotli" | "brotli" => Self::Brotli,
            "application/zstd" | "zstd" | "zstandard" => Self::Zstd,
            _ => return Err(CompressionError::Unknown(shortened(name))),
        })
    }

    /// What stands in the header `compression`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Gzip => "application/x-gzip",
            Self::Bzip2 => "application/x-bz2",
            Self::Lzma => "application/x-lzma",
            Self::Brotli => "application/x-brotli",
            Self::Zstd => "application/zstd",
        }
    }

    /// A body, compressed.
    ///
    /// # Errors
    ///
    /// If it needs the feature `compression`, and that is off.
    pub fn compress(self, body: &[u8]) -> Result<Vec<u8>, CompressionError> {
        match self {
            Self::Gzip => {
                let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(body).and_then(|()| encoder.finish())
            }
            #[cfg(feature = "compression")]
            other => heavy::compress(other, body),
            #[cfg(not(feature = "compression"))]
            other => return Err(CompressionError::NotBuilt(other)),
        }
        .map_err(|source| CompressionError::Corrupt {
            compression: self,
            source,
        })
    }

    /// A compressed body as it was before, of at most `limit` bytes.
    ///
    /// Whoever compressed it chose how much comes out of it: so no more is expanded than that, and one byte.
    ///
    /// ```
    /// use quintette_tasks::protocol::compression::Compression;
    ///
    /// let bomb = Compression::Gzip.compress(&vec![0; 100_000])?;
    /// assert!(bomb.len() < 1000);
    /// assert!(Compression::Gzip.decompress(&bomb, 99_999).is_err());
    /// assert_eq!(Compression::Gzip.decompress(&bomb, 100_000)?.len(), 100_000);
    /// # Ok::<(), quintette_tasks::protocol::compression::CompressionError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If it would be larger, is broken, or needs the feature `compression`, and that is off.
    pub fn decompress(self, body: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
        let expanded = match self {
            Self::Gzip => read(ZlibDecoder::new(body), limit),
            #[cfg(feature = "compression")]
            other => heavy::decompress(other, body, limit),
            #[cfg(not(feature = "compression"))]
            other => return Err(CompressionError::NotBuilt(other)),
        };
        match expanded {
            Ok(expanded) if expanded.len() > limit => Err(CompressionError::TooLarge { limit }),
            Ok(expanded) => Ok(expanded),
            Err(source) => Err(CompressionError::Corrupt {
                compression: self,
                source,
            }),
        }
    }
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.content_type())
    }
}

/// A body that cannot be compressed or expanded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompressionError {
    /// No compression that Celery has.
    #[error(
        "unknown compression {0:?}: Celery has gzip, bzip2, lzma, brotli and zstd, by these names or their content types"
    )]
    Unknown(Box<str>),
    /// One that this program was built without.
    #[error("{0} is not built in: enable the feature `compression` of quintette-tasks")]
    NotBuilt(Compression),
    /// A body that expands to more than it may.
    #[error("the compressed body expands to more than {limit} bytes")]
    TooLarge {
        /// How much it may expand to, in bytes.
        limit: usize,
    },
    /// A body that is not what its header says.
    #[error("the body is no {compression}")]
    Corrupt {
        /// What the header says.
        compression: Compression,
        /// What the decoder says.
        source: io::Error,
    },
}

/// As much of a stranger's text as an error needs.
fn shortened(name: &str) -> Box<str> {
    name.chars().take(100).collect()
}

/// At most one byte more than may be read.
fn read(decoder: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut expanded = Vec::new();
    decoder
        .take((limit as u64).saturating_add(1))
        .read_to_end(&mut expanded)?;
    Ok(expanded)
}

#[cfg(feature = "compression")]
mod heavy;
#[cfg(test)]
mod tests;
