//! Whatever stands in a settings file or in the environment is settings or an error, and either can be shown.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quintette_core::settings::{Loader, Settings};

const SECRET: &str = "the secret that nothing may show";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if text.contains(SECRET) {
        return;
    }
    load(Settings::loader().toml_str(text));

    let variables = text.lines().filter_map(|line| line.split_once('='));
    load(Settings::loader().variables(variables.clone()));
    // Both at once, as in a program: the rules between settings meet values from either.
    load(Settings::loader().toml_str(text).variables(variables));
});

fn load(loader: Loader) {
    // Above everything else, so that it is the secret of whatever is loaded.
    match loader.variables([("SECRET_KEY", SECRET)]).load() {
        Ok(settings) => {
            assert!(settings.check().is_ok(), "what is loaded keeps the rules");
            let warnings = settings.deploy_warnings();
            assert!(!format!("{settings:?} {warnings:?}").contains(SECRET));
        }
        Err(error) => assert!(!format!("{error} {error:?}").contains(SECRET)),
    }
}
