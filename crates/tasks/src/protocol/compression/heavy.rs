//! The compressions that cost a dependency each.

use std::io::{self, Write};

use brotli::enc::{BrotliEncoderParams, StandardAlloc};
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

use super::{Compression, read};

/// The memory that a decoder may take for its window, in bytes: what the highest preset of `lzma` asks for, and then some.
const MAX_WINDOW: u32 = 80 << 20;

pub(super) fn compress(compression: Compression, body: &[u8]) -> io::Result<Vec<u8>> {
    match compression {
        Compression::Bzip2 => {
            let level = bzip2::Compression::best();
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), level);
            encoder.write_all(body)?;
            encoder.finish()
        }
        Compression::Lzma => {
            let mut options = lzma_rust2::XzOptions::with_preset(6);
            // A window larger than the body costs both sides memory, and gains nothing.
            let window = u32::try_from(body.len()).unwrap_or(u32::MAX);
            let largest = options.lzma_options.dict_size;
            options.lzma_options.dict_size = window.clamp(4096, largest);
            let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options)?;
            encoder.write_all(body)?;
            encoder.finish()
        }
        Compression::Brotli => {
            // Python's 11 takes a hundred times as long for a tenth less.
            let parameters = BrotliEncoderParams {
                quality: 5,
                ..BrotliEncoderParams::default()
            };
            let mut compressed = Vec::new();
            brotli::BrotliCompress(&mut &*body, &mut compressed, &parameters)?;
            Ok(compressed)
        }
        Compression::Zstd => {
            let level = ruzstd::encoding::CompressionLevel::Fastest;
            Ok(ruzstd::encoding::compress_to_vec(body, level))
        }
        Compression::Gzip => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Little more than `limit` bytes at most: as much as shows that there are more.
pub(super) fn decompress(
    compression: Compression,
    body: &[u8],
    limit: usize,
) -> io::Result<Vec<u8>> {
    match compression {
        Compression::Bzip2 => read(bzip2::read::MultiBzDecoder::new(body), limit),
        Compression::Lzma => {
            let decoder = lzma_rust2::XzReader::new_mem_limit(body, true, MAX_WINDOW >> 10);
            read(decoder, limit)
        }
        Compression::Brotli => expand_brotli(body, limit),
        Compression::Zstd => {
            let window = u64::from(MAX_WINDOW);
            let decoder =
                ruzstd::decoding::StreamingDecoder::new_with_max_window_size(body, window);
            read(decoder.map_err(io::Error::other)?, limit)
        }
        Compression::Gzip => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Not by `brotli::Decompressor`, which grants windows of a gigabyte that no standard has.
fn expand_brotli(body: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let mut state = BrotliState::new_strict(
        StandardAlloc::default(),
        StandardAlloc::default(),
        StandardAlloc::default(),
    );
    let (mut left, mut read, mut written) = (body.len(), 0, 0);
    let mut expanded = Vec::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let (mut free, mut filled) = (CHUNK, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut read,
            body,
            &mut free,
            &mut filled,
            &mut chunk,
            &mut written,
            &mut state,
        );
        expanded.extend_from_slice(&chunk[..filled]);
        match result {
            BrotliResult::ResultSuccess if left == 0 => return Ok(expanded),
            BrotliResult::NeedsMoreOutput if expanded.len() <= limit => {}
            BrotliResult::NeedsMoreOutput => return Ok(expanded),
            BrotliResult::NeedsMoreInput => return Err(io::ErrorKind::UnexpectedEof.into()),
            BrotliResult::ResultSuccess | BrotliResult::ResultFailure => {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }
}

const CHUNK: usize = 16 << 10;
