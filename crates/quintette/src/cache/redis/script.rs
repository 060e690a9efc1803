use std::sync::LazyLock;

use redis::{Cmd, Pipeline};

/// A script in Lua about one name. It answers 1 where it did its work, 0 where something else is there, -1 where nothing
/// is.
pub(super) struct Script {
    text: String,
    sha1: String,
}

/// Stores `ARGV[2]` for `ARGV[3]` milliseconds in place of `ARGV[1]`.
pub(super) static REPLACE: LazyLock<Script> =
    LazyLock::new(|| Script::where_seen("redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[3])"));

/// Lets `ARGV[1]` live for `ARGV[2]` milliseconds.
pub(super) static TOUCH: LazyLock<Script> =
    LazyLock::new(|| Script::where_seen("redis.call('PEXPIRE',KEYS[1],ARGV[2])"));

/// Deletes `ARGV[1]`.
pub(super) static DELETE: LazyLock<Script> =
    LazyLock::new(|| Script::where_seen("redis.call('DEL',KEYS[1])"));

impl Script {
    fn where_seen(action: &str) -> Self {
        let text = format!(
            "local v=redis.call('GET',KEYS[1]) \
             if not v then return -1 end \
             if v~=ARGV[1] then return 0 end \
             {action} return 1"
        );
        let sha1 = redis::Script::new(&text).get_hash().to_owned();
        Self { text, sha1 }
    }

    /// For a server that knows it already, by its SHA-1: a tenth less work for the server than reading it each time.
    pub(super) fn known(&self, name: &str, arguments: &[&[u8]]) -> Pipeline {
        call("EVALSHA", &self.sha1, name, arguments)
    }

    /// For a server that does not.
    pub(super) fn whole(&self, name: &str, arguments: &[&[u8]]) -> Pipeline {
        call("EVAL", &self.text, name, arguments)
    }
}

fn call(command: &str, script: &str, name: &str, arguments: &[&[u8]]) -> Pipeline {
    let size = arguments
        .iter()
        .map(|argument| argument.len())
        .sum::<usize>();
    let size = size + command.len() + script.len() + name.len() + 1;
    let mut call = Cmd::with_capacity(arguments.len() + 4, size);
    call.arg(command).arg(script).arg(1).arg(name);
    for argument in arguments {
        call.arg(argument);
    }
    let mut commands = Pipeline::with_capacity(1);
    commands.add_command(call);
    commands
}
