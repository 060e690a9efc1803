//! Which of several servers keeps a key: as the Python client on the other side decides it.

/// How keys are spread over servers.
#[derive(Debug)]
pub(super) enum Placement {
    /// There is only one.
    Single,
    /// pymemcache's `RendezvousHash`: the server whose name and the key together hash highest.
    Rendezvous(Vec<String>),
    /// libmemcached's `MEMCACHED_DISTRIBUTION_MODULA`, the default of pylibmc: the key's hash modulo their number.
    Modula(usize),
    /// libmemcached's `MEMCACHED_DISTRIBUTION_CONSISTENT`, in pylibmc the behavior `ketama`: the next point on a circle
    /// on which each server has a hundred.
    Consistent(Vec<(u32, usize)>),
}

impl Placement {
    /// pymemcache's, over the servers as it names them.
    pub(super) fn rendezvous(names: Vec<String>) -> Self {
        match names.len() {
            1 => Self::Single,
            _ => Self::Rendezvous(names),
        }
    }

    /// pylibmc's own choice.
    pub(super) fn modula(servers: usize) -> Self {
        match servers {
            1 => Self::Single,
            _ => Self::Modula(servers),
        }
    }

    /// pylibmc's with `ketama`, over the servers as libmemcached names them.
    pub(super) fn consistent(names: &[String]) -> Self {
        if names.len() == 1 {
            return Self::Single;
        }
        let mut points: Vec<(u32, usize)> = names
            .iter()
            .enumerate()
            .flat_map(|(server, name)| {
                (0..100).map(move |n| (one_at_a_time(format!("{name}-{n}").as_bytes()), server))
            })
            .collect();
        points.sort_unstable();
        Self::Consistent(points)
    }

    /// The number of the server that keeps this key.
    pub(super) fn of(&self, key: &str) -> usize {
        match self {
            Self::Single => 0,
            Self::Rendezvous(names) => {
                let scored = names.iter().enumerate().map(|(server, name)| {
                    // Python hashes characters, of each the lowest byte.
                    let text = name.chars().chain(['-']).chain(key.chars());
                    let bytes: Vec<u8> = text
                        .map(|character| (character as u32 & 0xff) as u8)
                        .collect();
                    (murmur3_32(&bytes), name, server)
                });
                scored.max().map_or(0, |(_, _, server)| server)
            }
            Self::Modula(servers) => one_at_a_time(key.as_bytes()) as usize % servers,
            Self::Consistent(points) => {
                let hash = one_at_a_time(key.as_bytes());
                let next = points.partition_point(|(point, _)| *point < hash);
                let point = points.get(next).or(points.first());
                point.map_or(0, |(_, server)| *server)
            }
        }
    }
}

/// `MurmurHash3_x86_32` (Austin Appleby) with the seed 0.
fn murmur3_32(bytes: &[u8]) -> u32 {
    let mixed = |block: u32| {
        block
            .wrapping_mul(0xcc9e_2d51)
            .rotate_left(15)
            .wrapping_mul(0x1b87_3593)
    };
    let (blocks, rest) = bytes.as_chunks::<4>();
    let mut hash = blocks.iter().fold(0_u32, |hash, block| {
        (hash ^ mixed(u32::from_le_bytes(*block)))
            .rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xe654_6b64)
    });
    if !rest.is_empty() {
        let block = rest
            .iter()
            .rev()
            .fold(0, |block, byte| block << 8 | u32::from(*byte));
        hash ^= mixed(block);
    }
    // No name and key come near to 4 GiB.
    hash ^= u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

/// Bob Jenkins' one-at-a-time hash, libmemcached's `MEMCACHED_HASH_DEFAULT`. It reads bytes as C's `char`, which has a sign
/// on x86; other machines place keys beyond ASCII elsewhere.
fn one_at_a_time(bytes: &[u8]) -> u32 {
    let mut hash = bytes.iter().fold(0_u32, |hash, byte| {
        let hash = hash.wrapping_add_signed(i32::from(byte.cast_signed()));
        let hash = hash.wrapping_add(hash << 10);
        hash ^ hash >> 6
    });
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15)
}
