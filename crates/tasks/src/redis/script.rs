use redis::Cmd;

/// A script in Lua.
pub(crate) struct Script {
    text: &'static str,
    sha1: String,
}

impl Script {
    pub(crate) fn new(text: &'static str) -> Self {
        let sha1 = redis::Script::new(text).get_hash().to_owned();
        Self { text, sha1 }
    }

    /// For a server that knows it already.
    pub(super) fn known(&self, keys: &[&[u8]], arguments: &[&[u8]]) -> Cmd {
        call("EVALSHA", &self.sha1, keys, arguments)
    }

    /// For a server that does not.
    pub(super) fn whole(&self, keys: &[&[u8]], arguments: &[&[u8]]) -> Cmd {
        call("EVAL", self.text, keys, arguments)
    }
}

fn call(command: &str, script: &str, keys: &[&[u8]], arguments: &[&[u8]]) -> Cmd {
    let all = keys.iter().chain(arguments);
    let size = command.len() + script.len() + 8 + all.map(|part| part.len()).sum::<usize>();
    let mut call = Cmd::with_capacity(keys.len() + arguments.len() + 3, size);
    call.arg(command).arg(script).arg(keys.len());
    for part in keys.iter().chain(arguments) {
        call.arg(*part);
    }
    call
}
