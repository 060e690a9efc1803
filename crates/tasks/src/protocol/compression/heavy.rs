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
            let frame = ruzstd::encoding::compress_to_vec(body, level);
            Ok(with_content_size(frame, body.len()))
        }
        Compression::Gzip => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// The frame with the size of its content in its header, which ruzstd leaves out and without which kombu before 5.6 reads nothing.
///
/// Source: RFC 8878, 3.1.1.1: the magic number, a descriptor (two bits of it tell how long the size is), the window, the size.
fn with_content_size(mut frame: Vec<u8>, size: usize) -> Vec<u8> {
    const DESCRIPTOR: usize = 4;
    const AFTER_WINDOW: usize = 6;
    const EIGHT_BYTES: u8 = 0b1100_0000;
    // Neither a size nor a dictionary, and a window of its own; what looks otherwise stays as it is.
    let plain = |descriptor: &u8| descriptor & 0b1110_0011 == 0;
    if frame.get(DESCRIPTOR).is_some_and(plain) && frame.len() >= AFTER_WINDOW {
        frame[DESCRIPTOR] |= EIGHT_BYTES;
        let size = u64::try_from(size).unwrap_or(u64::MAX).to_le_bytes();
        frame.splice(AFTER_WINDOW..AFTER_WINDOW, size);
    }
    frame
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zstd_frame_tells_the_size_of_its_content() {
        let frame = compress(Compression::Zstd, &[7; 1000]).unwrap();

        assert_eq!(frame[4] & 0b1100_0000, 0b1100_0000);
        assert_eq!(frame[6..14], 1000_u64.to_le_bytes());
        assert_eq!(
            decompress(Compression::Zstd, &frame, 2000).unwrap(),
            [7; 1000]
        );
    }
}
