//! What a user may be called, as Django's fields have it.

use std::env;

use rustix::process::getuid;

/// As many characters as the columns have.
const LONGEST_USERNAME: usize = 150;
const LONGEST_EMAIL: usize = 254;

/// What is wrong with a user name, if anything. Django's `UnicodeUsernameValidator`.
pub(super) fn check_username(username: &str) -> Result<(), String> {
    let characters = username.chars().count();
    if characters == 0 {
        return Err("a user name cannot be blank".to_owned());
    }
    if characters > LONGEST_USERNAME {
        return Err(format!(
            "a user name has at most {LONGEST_USERNAME} characters, and this has {characters}"
        ));
    }
    let may_be_there = |character: char| character.is_alphanumeric() || "@.+-_".contains(character);
    if !username.chars().all(may_be_there) {
        return Err("a user name has letters, numbers and @/./+/-/_ only".to_owned());
    }
    Ok(())
}

/// What is wrong with an e-mail address, if anything; none is fine. Django's `EmailField` and `EmailValidator`.
pub(super) fn check_email(email: &str) -> Result<(), String> {
    if email.is_empty() {
        return Ok(());
    }
    let characters = email.chars().count();
    if characters > LONGEST_EMAIL {
        return Err(format!(
            "an e-mail address has at most {LONGEST_EMAIL} characters, and this has {characters}"
        ));
    }
    let is_address = email
        .rsplit_once('@')
        .is_some_and(|(name, domain)| is_local_part(name) && is_domain(domain));
    if !is_address {
        return Err(
            "this is no e-mail address: write one like mei@example.com, or none".to_owned(),
        );
    }
    Ok(())
}

/// Words with points between them (RFC 5322, `dot-atom`), or anything printable in quotes.
fn is_local_part(name: &str) -> bool {
    let is_atom = |atom: &str| {
        let in_atom =
            |byte: u8| byte.is_ascii_alphanumeric() || b"-!#$%&'*+/=?^_`{}|~".contains(&byte);
        !atom.is_empty() && atom.bytes().all(in_atom)
    };
    let quoted = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'));
    quoted.map_or_else(
        || name.split('.').all(is_atom),
        |quoted| {
            quoted
                .chars()
                .all(|character| matches!(character, '!'..='~') && !"\"\\".contains(character))
        },
    )
}

/// A name of two labels or more, `localhost`, or an address in brackets.
fn is_domain(domain: &str) -> bool {
    let address = domain
        .strip_prefix('[')
        .and_then(|domain| domain.strip_suffix(']'));
    if let Some(address) = address {
        return address.parse::<std::net::IpAddr>().is_ok();
    }
    let is_label = |label: &str| {
        let in_label = |character: char| character.is_alphanumeric() || character == '-';
        label.len() <= 63
            && label.chars().all(in_label)
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let labels: Vec<&str> = domain.split('.').collect();
    let ends_well = labels.last().is_some_and(|last| {
        last.chars().count() > 1 && !last.chars().all(|character| character.is_ascii_digit())
    });
    domain == "localhost" || (labels.len() > 1 && labels.into_iter().all(is_label) && ends_well)
}

/// Who runs this program: what Python's `getpass.getuser` says.
pub(super) fn system_username() -> Option<String> {
    let named = ["LOGNAME", "USER", "LNAME", "USERNAME"]
        .iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()));
    named.or_else(|| {
        let users = std::fs::read_to_string("/etc/passwd").ok()?;
        name_of(getuid().as_raw(), &users)
    })
}

/// Lines like `shop:x:1000:1000::/srv/shop:/bin/sh`.
fn name_of(uid: u32, users: &str) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Each was given to the fields of Django 5.2.
    #[test]
    fn user_names_are_those_that_django_takes() {
        for good in [
            "mei",
            "Mei.Lin+1@example-shop_2",
            "美",
            "josé",
            &"a".repeat(150),
        ] {
            assert!(check_username(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            " ",
            "mei lin",
            "mei\n",
            "mei/lin",
            "a\0",
            "<b>",
            &"a".repeat(151),
        ] {
            assert!(check_username(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_are_those_that_django_takes() {
        for good in [
            "",
            "mei@example.com",
            "m.e+i@sub.example.com",
            "mei@localhost",
            "mei@[127.0.0.1]",
            "mei@[::1]",
            "mei@exämple.com",
            "\"mei@lin\"@example.com",
            "mei@example.xn--p1ai",
        ] {
            assert!(check_email(good).is_ok(), "{good}");
        }
        for bad in [
            "mei",
            "mei@",
            "@example.com",
            "mei@example",
            "mei@-example.com",
            "mei@example-.com",
            "mei@example..com",
            "mei@example.c",
            "mei@127.0.0.1",
            "mei lin@example.com",
            "mei.@example.com",
            "mei@[127.0.0.256]",
            "mei@example.com\nbcc: all@example.com",
            &format!("{}@example.com", "a".repeat(243)),
        ] {
            assert!(check_email(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_is_found_by_its_number() {
        let users = "root:x:0:0:root:/root:/bin/bash\nodd\nshop:x:1000:1000::/srv/shop:/bin/sh\n";
        assert_eq!(name_of(1000, users).as_deref(), Some("shop"));
        assert_eq!(name_of(0, users).as_deref(), Some("root"));
        assert_eq!(name_of(7, users), None);
    }
}
