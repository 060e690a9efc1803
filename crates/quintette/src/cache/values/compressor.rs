use std::borrow::Cow;
use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use quintette_core::pickle::MAX_EXPANDED;

use super::ValueError;

/// `OPTIONS["COMPRESSOR"]` of django-redis (`django_redis/compressors/`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compressor {
    /// `identity.IdentityCompressor`, the default.
    Identity,
    /// `zlib.ZlibCompressor`.
    Zlib,
    /// `gzip.GzipCompressor`.
    Gzip,
    /// `lz4.Lz4Compressor`: an LZ4 frame.
    #[cfg(feature = "redis-compressors")]
    Lz4,
    /// `lzma.LzmaCompressor`: an .xz stream.
    #[cfg(feature = "redis-compressors")]
    Lzma,
    /// `zstd.ZStdCompressor`: a Zstandard frame.
    #[cfg(feature = "redis-compressors")]
    Zstd,
}

impl Compressor {
    /// The value as django-redis would compress it; short ones stay as they are.
    pub(super) fn compress(self, value: Vec<u8>) -> Vec<u8> {
        if value.len() <= self.min_length() {
            return value;
        }
        // Writing to memory does not fail; if it did, a value that is not compressed is read as well.
        match self.compressed(&value) {
            Ok(Some(compressed)) => compressed,
            Ok(None) | Err(_) => value,
        }
    }

    /// The value as it was before; what is not compressed comes back as it is, as in django-redis.
    pub(super) fn decompress(self, value: &[u8]) -> Result<Cow<'_, [u8]>, ValueError> {
        match self.decompressed(value) {
            Ok(Some(expanded)) if expanded.len() > MAX_EXPANDED => Err(ValueError::TooLarge),
            // Too little for a header is nothing to some; and nothing was never compressed.
            Ok(Some(expanded)) if expanded.is_empty() => Ok(Cow::Borrowed(value)),
            Ok(Some(expanded)) => Ok(Cow::Owned(expanded)),
            Ok(None) | Err(_) => Ok(Cow::Borrowed(value)),
        }
    }

    /// `min_length` in django-redis: what is not longer is not compressed.
    fn min_length(self) -> usize {
        match self {
            #[cfg(feature = "redis-compressors")]
            Self::Lzma => 100,
            _ => 15,
        }
    }

    fn compressed(self, value: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let compressed = match self {
            Self::Identity => return Ok(None),
            Self::Zlib => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
                encoder.write_all(value)?;
                encoder.finish()?
            }
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(value)?;
                encoder.finish()?
            }
            #[cfg(feature = "redis-compressors")]
            Self::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(value)?;
                encoder.finish()?
            }
            #[cfg(feature = "redis-compressors")]
            Self::Lzma => {
                let mut options = lzma_rust2::XzOptions::with_preset(4);
                // A window larger than the value costs both sides memory, and gains nothing.
                let window = u32::try_from(value.len()).unwrap_or(u32::MAX);
                let largest = options.lzma_options.dict_size;
                options.lzma_options.dict_size = window.clamp(4096, largest);
                let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options)?;
                encoder.write_all(value)?;
                encoder.finish()?
            }
            #[cfg(feature = "redis-compressors")]
            Self::Zstd => {
                let level = ruzstd::encoding::CompressionLevel::Fastest;
                ruzstd::encoding::compress_to_vec(value, level)
            }
        };
        Ok(Some(compressed))
    }

    /// At most one byte more than may be read: whoever compressed the value chose how much comes out of it.
    fn decompressed(self, value: &[u8]) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Identity => Ok(None),
            Self::Zlib => read(ZlibDecoder::new(value)).map(Some),
            Self::Gzip => read(MultiGzDecoder::new(value)).map(Some),
            #[cfg(feature = "redis-compressors")]
            Self::Lz4 => read(lz4_flex::frame::FrameDecoder::new(value)).map(Some),
            #[cfg(feature = "redis-compressors")]
            Self::Lzma => read(lzma_rust2::XzReader::new_mem_limit(
                value,
                true,
                MAX_WINDOW >> 10,
            ))
            .map(Some),
            #[cfg(feature = "redis-compressors")]
            Self::Zstd => {
                let window = u64::from(MAX_WINDOW);
                let decoder =
                    ruzstd::decoding::StreamingDecoder::new_with_max_window_size(value, window);
                read(decoder.map_err(io::Error::other)?).map(Some)
            }
        }
    }
}

/// The memory that a decompressor may take for itself, in bytes: twice what preset 4 of `lzma` asks for.
#[cfg(feature = "redis-compressors")]
const MAX_WINDOW: u32 = 8 << 20;

fn read(decoder: impl Read) -> io::Result<Vec<u8>> {
    let mut expanded = Vec::new();
    decoder
        .take(MAX_EXPANDED as u64 + 1)
        .read_to_end(&mut expanded)?;
    Ok(expanded)
}
