//! Who is at the command line, for the audit.

use clap::Args;
use foxden_ledger::By;

/// How long a name and a reason may be.
const NAME_MAX: usize = 100;
const REASON_MAX: usize = 300;

/// Linux's word for "nobody has logged in", as for a service.
const NOBODY_LOGGED_IN: u32 = u32::MAX;

/// Who asks, and why. Both are recorded.
#[derive(Args, Debug)]
pub(crate) struct Asking {
    /// Who asks, where several people share an account; the account is recorded beside it
    #[arg(long = "as", value_name = "NAME", value_parser = |text: &str| line(text, NAME_MAX))]
    name: Option<String>,
    /// Why; it is recorded and logged for good, so name no customer
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| line(text, REASON_MAX))]
    reason: Option<String>,
}

impl Asking {
    /// Whether a reason was given.
    pub(crate) fn has_reason(&self) -> bool {
        self.reason.is_some()
    }

    /// The same, as the ledger takes it.
    pub(crate) fn by(self) -> By {
        let account = account();
        let who = self.name.map_or_else(|| account.clone(), |name| format!("{name} via {account}"));
        By { who, reason: self.reason }
    }
}

/// The account that foxden runs under; before it, where that is another, the one that has logged in: `ada via root`.
pub(crate) fn account() -> String {
    let uid = rustix::process::getuid().as_raw();
    let logged_in = std::fs::read_to_string("/proc/self/loginuid").ok().and_then(|text| text.trim().parse().ok());
    let account = name_of(uid);
    match logged_in {
        Some(login) if login != uid && login != NOBODY_LOGGED_IN => format!("{} via {account}", name_of(login)),
        _ => account,
    }
}

/// The user's name, else its number. Names of a directory service are not looked up; numbers can be, later.
fn name_of(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    find(&users, uid).map_or_else(|| format!("uid {uid}"), str::to_owned)
}

fn find(users: &str, uid: u32) -> Option<&str> {
    users.lines().find_map(|user| {
        let mut fields = user.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then_some(name)
    })
}

/// A text on one line, not empty and not too long.
fn line(text: &str, max: usize) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > max || text.chars().any(char::is_control) {
        return Err(format!("expected 1 to {max} characters on one line"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_number() {
        let users = "root:x:0:0:root:/root:/bin/bash\nbroken\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!((find(users, 0), find(users, 1000), find(users, 7)), (Some("root"), Some("ada"), None));
    }

    #[test]
    fn a_name_and_a_reason_are_one_line() {
        assert_eq!(line(" ticket 7 ", 20).as_deref(), Ok("ticket 7"));
        for text in ["", "  ", "two\nlines", &"x".repeat(21)] {
            assert!(line(text, 20).is_err(), "{text:?}");
        }
    }

    #[test]
    fn whoever_says_a_name_is_recorded_with_their_account() {
        let asking = Asking { name: Some("ada".into()), reason: Some("ticket 7".into()) };
        assert_eq!(asking.by(), By { who: format!("ada via {}", account()), reason: Some("ticket 7".into()) });
    }
}
