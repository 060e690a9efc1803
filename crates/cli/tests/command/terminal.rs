use std::io::{Read, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::site::Site;

/// Long enough for a busy machine; a test that waits for so long has failed.
const LIMIT: Duration = Duration::from_mins(1);

/// The command in a terminal, with a person before it: `script` of util-linux is the terminal.
pub(crate) struct Terminal {
    script: Child,
    keyboard: ChildStdin,
    screen: Arc<Screen>,
    /// How much of the screen was read.
    read: usize,
}

#[derive(Default)]
struct Screen {
    text: Mutex<(String, bool)>,
    changed: Condvar,
}

impl Site {
    /// Runs `line` in a shell; `quintette` stands for the command.
    pub(crate) fn terminal(&self, line: &str) -> Terminal {
        let line = line.replace("quintette", env!("CARGO_BIN_EXE_quintette"));
        let this = self.command(&[]);
        let mut command = Command::new("script");
        command.env_clear().args(["-qefc", &line, "/dev/null"]);
        for (name, value) in this.get_envs() {
            command.env(name, value.expect("only set, never removed"));
        }
        command
            .current_dir(this.get_current_dir().expect("a site has a directory"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut script = command.spawn().unwrap();
        let screen = Arc::new(Screen::default());
        let mut stdout = script.stdout.take().unwrap();
        let shown = Arc::clone(&screen);
        std::thread::spawn(move || shown.fill(&mut stdout));
        Terminal {
            keyboard: script.stdin.take().unwrap(),
            script,
            screen,
            read: 0,
        }
    }
}

impl Screen {
    fn fill(&self, from: &mut impl Read) {
        let mut buffer = [0; 4096];
        let mut bytes = Vec::new();
        loop {
            let read = from.read(&mut buffer).unwrap_or(0);
            bytes.extend_from_slice(&buffer[..read]);
            let mut text = self.text.lock().unwrap();
            text.0 = String::from_utf8_lossy(&bytes).into_owned();
            text.1 = read == 0;
            self.changed.notify_all();
            if read == 0 {
                return;
            }
        }
    }
}

impl Terminal {
    /// Waits until the screen shows this, after what was waited for before.
    pub(crate) fn expect(&mut self, expected: &str) {
        let read = self.read;
        let text = self.screen.text.lock().unwrap();
        let waiting = |(text, has_ended): &mut (String, bool)| {
            !*has_ended && !text[read..].contains(expected)
        };
        let (text, _) = self
            .screen
            .changed
            .wait_timeout_while(text, LIMIT, waiting)
            .unwrap();
        let found = text.0[read..].find(expected);
        let found = found.unwrap_or_else(|| panic!("{expected:?} does not come in {:?}", text.0));
        self.read = read + found + expected.len();
    }

    /// Types at a prompt that has been waited for.
    pub(crate) fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn answers(&mut self, prompt: &str, answer: &str) {
        self.expect(prompt);
        self.types(&format!("{answer}\n"));
    }

    /// Waits for the end. Returns the exit code, and all that was shown.
    pub(crate) fn ends(mut self) -> (i32, String) {
        let text = self.screen.text.lock().unwrap();
        let (text, waited) = self
            .screen
            .changed
            .wait_timeout_while(text, LIMIT, |(_, has_ended)| !*has_ended)
            .unwrap();
        assert!(!waited.timed_out(), "it does not end: {:?}", text.0);
        let shown = text.0.replace('\r', "");
        drop(text);
        let code = self.script.wait().unwrap().code().unwrap();
        assert!(!shown.contains("panicked"), "{shown}");
        (code, shown)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}
