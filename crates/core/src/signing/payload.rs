use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chrono::TimeDelta;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Keys, SignatureError, TimestampSigner};
use crate::json::{JsonError, RawJson};

/// How much a signed payload may hold, in bytes: 16 MiB.
///
/// The signature keeps strangers from sending archives that unpack to gigabytes; this keeps a service out of
/// trouble that shares its keys with one that can be talked into signing such a thing.
pub const MAX_DECOMPRESSED: usize = 16 << 20;

/// Why a payload with the right signature could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// It is not URL-safe base64.
    #[error("the payload is not base64")]
    Base64,
    /// It is not the zlib stream that it says it is.
    #[error("the payload is no complete zlib stream")]
    Zlib,
    /// It is larger than [`MAX_DECOMPRESSED`].
    #[error("the payload exceeds {MAX_DECOMPRESSED} bytes")]
    TooLarge,
    /// It is not JSON.
    #[error("the payload is not JSON")]
    Json(#[from] JsonError),
    /// It is JSON of another shape.
    #[error("the payload is not what was expected")]
    Shape(#[from] serde_json::Error),
}

/// Signs any value, as JSON: `django.core.signing.dumps`.
///
/// # Errors
///
/// If the value cannot be written as JSON.
pub fn dumps<T: Serialize + ?Sized>(
    keys: &Keys,
    salt: &str,
    value: &T,
    compress: bool,
) -> Result<String, serde_json::Error> {
    let json = RawJson::from_value(value)?;
    Ok(TimestampSigner::new(keys, salt).sign_bytes(json.as_str().as_bytes(), compress))
}

/// The value that was signed, if that was no longer than `max_age` ago: `django.core.signing.loads`.
///
/// # Errors
///
/// If the signature is missing, wrong or too old, or the value is not a `T`.
pub fn loads<T: DeserializeOwned>(
    keys: &Keys,
    salt: &str,
    signed: &str,
    max_age: Option<TimeDelta>,
) -> Result<T, SignatureError> {
    let payload = TimestampSigner::new(keys, salt).unsign_bytes(signed, max_age)?;
    let json = RawJson::parse_bytes(&payload).map_err(PayloadError::Json)?;
    Ok(json.deserialize().map_err(PayloadError::Shape)?)
}

/// Django writes no padding, and reads with or without; it does not look at the bits past the last byte.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What Django signs for a payload.
pub(super) fn encode(payload: &[u8], compress: bool) -> String {
    if compress && let Some(compressed) = deflate(payload) {
        // The dot has to be won back too.
        if compressed.len() + 1 < payload.len() {
            let mut encoded = String::from(".");
            BASE64.encode_string(compressed, &mut encoded);
            return encoded;
        }
    }
    BASE64.encode(payload)
}

/// The payload that was encoded.
pub(super) fn decode(encoded: &str) -> Result<Vec<u8>, PayloadError> {
    let (compressed, encoded) = match encoded.strip_prefix('.') {
        Some(encoded) => (true, encoded),
        None => (false, encoded),
    };
    let payload = BASE64.decode(encoded).map_err(|_| PayloadError::Base64)?;
    if compressed {
        inflate(&payload)
    } else {
        Ok(payload)
    }
}

/// The zlib stream of `data`, as Python's `zlib.compress`; `None` where it would be longer than the data.
pub fn deflate(data: &[u8]) -> Option<Vec<u8>> {
    thread_local! {
        // A new one takes 300 KB, which are cleared first: more work than compressing a session.
        static STREAM: RefCell<Compress> = RefCell::new(Compress::new(Compression::default(), true));
    }
    STREAM.with_borrow_mut(|stream| {
        stream.reset();
        // Longer than the data is of no use, so there need not be room for it.
        let mut out = Vec::with_capacity(data.len());
        match stream.compress_vec(data, &mut out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => Some(out),
            _ => None,
        }
    })
}

/// What a zlib stream holds. As Python, ignores what follows the stream, and accepts none that is cut off.
///
/// # Errors
///
/// Where it is no zlib stream, or holds more than [`MAX_DECOMPRESSED`] bytes.
pub fn inflate(data: &[u8]) -> Result<Vec<u8>, PayloadError> {
    thread_local! {
        static STREAM: RefCell<Decompress> = RefCell::new(Decompress::new(true));
    }
    STREAM.with_borrow_mut(|stream| {
        stream.reset(true);
        inflate_with(stream, data)
    })
}

fn inflate_with(stream: &mut Decompress, data: &[u8]) -> Result<Vec<u8>, PayloadError> {
    let mut out = Vec::with_capacity(data.len().saturating_mul(4).clamp(256, MAX_DECOMPRESSED));
    let mut rest = data;
    loop {
        let (read, written) = (stream.total_in(), out.len());
        let status = stream
            .decompress_vec(rest, &mut out, FlushDecompress::None)
            .map_err(|_| PayloadError::Zlib)?;
        if out.len() > MAX_DECOMPRESSED {
            return Err(PayloadError::TooLarge);
        }
        if status == Status::StreamEnd {
            return Ok(out);
        }
        let read = usize::try_from(stream.total_in() - read).unwrap_or(usize::MAX);
        rest = rest.get(read..).unwrap_or_default();
        if out.len() == out.capacity() {
            // One byte more than allowed tells a payload that just fits from one that does not.
            let room = out.len().min(MAX_DECOMPRESSED + 1 - out.len());
            out.reserve_exact(room.max(1));
        } else if read == 0 && out.len() == written {
            return Err(PayloadError::Zlib);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_compressed_only_where_that_pays() {
        assert_eq!(encode(b"short", true), "c2hvcnQ");
        assert!(encode(&[b'a'; 100], true).starts_with('.'));
        assert!(!encode(&[b'a'; 100], false).starts_with('.'));
    }

    #[test]
    fn a_zip_bomb_is_refused_at_the_limit() {
        let bomb = encode(&vec![0; MAX_DECOMPRESSED + 1], true);
        assert!(bomb.len() < 64 << 10);
        assert!(matches!(decode(&bomb), Err(PayloadError::TooLarge)));
    }

    #[test]
    fn a_payload_as_large_as_allowed_is_read() {
        let payload = vec![0; MAX_DECOMPRESSED];
        assert!(decode(&encode(&payload, true)).is_ok_and(|read| read == payload));
    }

    #[test]
    fn a_stream_cut_anywhere_is_no_payload() {
        let stream = deflate(&b"all work and no play ".repeat(9)).expect("compressible");
        for end in 0..stream.len() {
            assert!(matches!(inflate(&stream[..end]), Err(PayloadError::Zlib)));
        }
        let followed = [&stream[..], b"ignored, as by Python"].concat();
        assert_eq!(inflate(&followed).ok(), inflate(&stream).ok());
    }

    #[test]
    fn a_stream_with_a_wrong_checksum_is_no_payload() {
        let mut stream = deflate(&[b'a'; 100]).expect("compressible");
        *stream.last_mut().expect("not empty") ^= 1;
        assert!(matches!(inflate(&stream), Err(PayloadError::Zlib)));
    }

    #[test]
    fn base64_is_read_with_and_without_padding() {
        for encoded in ["YQ", "YQ==", "YR"] {
            assert!(decode(encoded).is_ok_and(|payload| payload == b"a"));
        }
        for encoded in ["Y", "Y===", "YQ=a", "Y\u{e9}"] {
            assert!(
                matches!(decode(encoded), Err(PayloadError::Base64)),
                "{encoded}"
            );
        }
    }
}
