//! Whatever a broker delivers is a task or an error, within the limit; and a task that was read can be written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quintette_tasks::protocol::compression::Compression;
use quintette_tasks::protocol::repr::{args_repr, kwargs_repr};
use quintette_tasks::protocol::serializer::{AcceptContent, ContentPolicy, Serializer};
use quintette_tasks::protocol::{Message, TaskMessage};
use serde_json::{Map, Value, json};

const SERIALIZERS: [Serializer; 4] = [
    Serializer::Json,
    Serializer::Pickle,
    Serializer::Msgpack,
    Serializer::Yaml,
];
const COMPRESSIONS: [Compression; 5] = [
    Compression::Gzip,
    Compression::Bzip2,
    Compression::Lzma,
    Compression::Brotli,
    Compression::Zstd,
];
const LIMIT: usize = 1 << 20;

// Two bytes choose the format and the compression, then come the headers' JSON, a zero, and the body.
fuzz_target!(|data: &[u8]| {
    let [format, compression, rest @ ..] = data else {
        return;
    };
    let serializer = SERIALIZERS[usize::from(*format) % SERIALIZERS.len()];
    let compression = COMPRESSIONS.get(usize::from(*compression) % 6);
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(0);
    let (headers, body) = rest.split_at(end);
    let body = body.get(1..).unwrap_or_default();
    let mut headers: Map<String, Value> = serde_json::from_slice(headers).unwrap_or_else(|_| {
        Map::from_iter([("task".into(), json!("t")), ("id".into(), json!("1"))])
    });
    if let Some(compression) = compression {
        headers.insert("compression".into(), compression.content_type().into());
        if let Ok(expanded) = compression.decompress(body, LIMIT) {
            assert!(expanded.len() <= LIMIT);
        }
    }
    let message = Message {
        headers,
        content_type: serializer.content_type().into(),
        ..Message::json(body.to_vec())
    };
    let policy = ContentPolicy {
        accept: AcceptContent::from_names(["json", "pickle", "msgpack", "yaml"])
            .expect("these are serializers"),
        max_expanded: LIMIT,
    };
    let Ok(task) = TaskMessage::read(&message, &policy) else {
        return;
    };
    assert!(args_repr(&task.body.args).chars().count() < 1100);
    kwargs_repr(
        task.body
            .kwargs
            .iter()
            .map(|(name, value)| (&**name, value)),
    );

    let written = task.body.to_json().expect("what was read can be written");
    for serializer in SERIALIZERS {
        // Msgpack has no large integers.
        let Ok(body) = serializer.encode(&written) else {
            continue;
        };
        let again = Message {
            headers: task.headers.write(),
            content_type: serializer.content_type().into(),
            ..Message::json(body)
        };
        let read = TaskMessage::read(&again, &policy);
        // The parser of YAML takes 255 levels.
        assert!(read.is_ok() || serializer == Serializer::Yaml, "{read:?}");
    }
});
