//! Which names a pickle has no honest use for.
//!
//! Nothing in a pickle is ever looked up or called here, so this protects nobody by itself. It tells an attack, which is
//! read as no session at all, from an object of the application's, which is kept for Django.

/// Modules whose functions act on the machine.
const MODULES: &[&str] = &[
    "_posixsubprocess",
    "asyncio.subprocess",
    "code",
    "codeop",
    "commands",
    "ctypes",
    "importlib",
    "marshal",
    "multiprocessing",
    "nt",
    "os",
    "pickle",
    "platform",
    "posix",
    "pty",
    "runpy",
    "shutil",
    "socket",
    "subprocess",
    "sys",
    "threading",
    "timeit",
    "types",
    "webbrowser",
];

/// Functions of `builtins` that run or open what they are given.
const BUILTINS: &[&str] = &[
    "__import__",
    "compile",
    "eval",
    "exec",
    "execfile",
    "file",
    "input",
    "open",
];

pub(super) fn runs_code(module: &str, name: &str) -> bool {
    match module {
        "builtins" | "__builtin__" => BUILTINS.contains(&name),
        module => MODULES.iter().any(|known| {
            module
                .strip_prefix(known)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_the_machine_is_told_from_what_holds_data() {
        for (module, name) in [
            ("os", "system"),
            ("posix", "system"),
            ("builtins", "eval"),
            ("importlib.util", "find_spec"),
        ] {
            assert!(runs_code(module, name), "{module}.{name}");
        }
        for (module, name) in [
            ("datetime", "datetime"),
            ("builtins", "set"),
            ("builtins", "getattr"),
            ("oscar.models", "Basket"),
            ("django.db.models.base", "model_unpickle"),
        ] {
            assert!(!runs_code(module, name), "{module}.{name}");
        }
    }
}
