use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// Made by kombu: see `fixtures.py`.
const FIXTURES: &str = include_str!("../fixtures/compression.json");

#[derive(serde::Deserialize)]
struct Fixtures {
    body: String,
    compressed: BTreeMap<String, String>,
}

#[cfg(feature = "compression")]
const ALL: [Compression; 5] = [
    Compression::Gzip,
    Compression::Bzip2,
    Compression::Lzma,
    Compression::Brotli,
    Compression::Zstd,
];
#[cfg(not(feature = "compression"))]
const ALL: [Compression; 1] = [Compression::Gzip];

#[test]
fn what_kombu_compressed_is_expanded() {
    let fixtures: Fixtures = serde_json::from_str(FIXTURES).unwrap();
    for compression in ALL {
        let body = STANDARD
            .decode(&fixtures.compressed[compression.content_type()])
            .unwrap();
        let expanded = compression.decompress(&body, MAX_EXPANDED).unwrap();
        assert_eq!(String::from_utf8(expanded).unwrap(), fixtures.body);
    }
}

#[test]
fn what_is_compressed_here_is_expanded_here() {
    let large: Vec<u8> = (0..30_000_u32)
        .flat_map(|n| (n / 7).wrapping_mul(n).to_le_bytes())
        .collect();
    for compression in ALL {
        for body in [&b""[..], b"[[], {}, {}]", &large] {
            let compressed = compression.compress(body).unwrap();
            let expanded = compression.decompress(&compressed, large.len()).unwrap();
            assert!(expanded == body, "{compression}");
        }
    }
}

#[test]
fn a_bomb_is_an_error_before_it_is_expanded() {
    let zeros = vec![0; 4 << 20];
    for compression in ALL {
        let bomb = compression.compress(&zeros).unwrap();
        assert!(bomb.len() < zeros.len() / 100, "{compression}");
        let error = compression.decompress(&bomb, 1000).unwrap_err();
        assert!(
            matches!(error, CompressionError::TooLarge { limit: 1000 }),
            "{compression}: {error:?}"
        );
    }
}

#[test]
fn what_is_not_compressed_or_cut_off_is_an_error() {
    for compression in ALL {
        let whole = compression.compress(&[b'a'; 3000]).unwrap();
        for body in [&b"[[], {}, {}]"[..], &whole[..whole.len() - 3]] {
            let error = compression.decompress(body, 10_000).unwrap_err();
            assert!(
                matches!(error, CompressionError::Corrupt { .. }),
                "{compression}: {error:?}"
            );
        }
    }
}

#[test]
fn a_compression_is_known_by_its_content_type_and_its_names() {
    for compression in ALL {
        let again = Compression::from_name(compression.content_type()).unwrap();
        assert_eq!(again, compression);
    }
    assert_eq!(Compression::from_name("xz").unwrap(), Compression::Lzma);
    let error = Compression::from_name("application/x-rar").unwrap_err();
    assert!(error.to_string().contains("application/x-rar"), "{error}");
}

#[cfg(not(feature = "compression"))]
#[test]
fn a_compression_that_is_not_built_in_says_so() {
    let error = Compression::Zstd.decompress(b"", 10).unwrap_err();
    assert!(
        error.to_string().contains("feature `compression`"),
        "{error}"
    );
}
