//! What was given, by variable: the settings file first, the environment over it.

use std::{collections::BTreeMap, fmt};

use zeroize::Zeroizing;

use super::{
    config_file, kubernetes,
    mistakes::Mistake,
    secret_url::SecretUrl,
    sources::{Asked, ConfigFile, Sources},
    suggestion,
    variables::{self, PREFIX, Secrecy, Variable},
};

/// A text that was given, and where. No `Debug`: it may be a secret.
pub(super) struct Given {
    pub(super) text: Zeroizing<String>,
    pub(super) origin: Origin,
}

impl Given {
    pub(super) fn new(text: String, origin: Origin) -> Self {
        Self { text: Zeroizing::new(text), origin }
    }
}

/// Where a text was given.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// In the environment.
    Environment,
    /// In the settings file, under this dotted key.
    Config { file: String, key: String },
    /// In the file that the `…_FILE` variable names.
    SecretFile { variable: String },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("environment"),
            Self::Config { file, key } => write!(f, "{key} in {file}"),
            Self::SecretFile { variable } => write!(f, "in the file that {variable} names"),
        }
    }
}

/// All that was given, by variable.
#[derive(Default)]
pub(super) struct AllGiven {
    /// Values, without those that are in secret files.
    pub(super) values: BTreeMap<&'static str, Given>,
    /// Paths of secret files, by the variable whose value they hold.
    pub(super) files: BTreeMap<&'static str, Given>,
}

impl AllGiven {
    /// Sorts what was found to the variables; what belongs to none is a mistake.
    pub(super) fn collect(sources: &Sources, mistakes: &mut Vec<Mistake>) -> Self {
        let mut all = Self::default();
        match &sources.config {
            ConfigFile::Absent => {}
            ConfigFile::Found { name, text, asked, .. } => {
                for entry in config_file::entries(name, text, mistakes) {
                    all.add_from_config(&entry.variable, entry.given, *asked, mistakes);
                }
            }
            ConfigFile::NotOurs { why } => {
                let problem = format!(
                    "is not read, since {why}; take it away, close it and its directories to others, or name the \
                     file that is meant: --config FILE"
                );
                mistakes.push(Mistake::new("./foxden.toml", None, problem));
            }
            ConfigFile::Unreadable { asked_by, error } => {
                mistakes.push(Mistake::new(*asked_by, None, format!("the settings file can't be read: {error}")));
            }
        }
        for (name, value) in &sources.environment {
            if !name.starts_with(PREFIX) || variables::is_for_tests(name) {
                continue;
            }
            match value.to_str() {
                Some(text) if variables::find(name).is_none() && kubernetes::is_service_variable(name, text) => {}
                Some(text) => {
                    all.add(name, Given::new(text.to_owned(), Origin::Environment), mistakes);
                }
                None => mistakes.push(Mistake::new(name, Some(Origin::Environment), "is not valid UTF-8")),
            }
        }
        all.refuse_both_forms(mistakes);
        all
    }

    fn add_from_config(&mut self, name: &str, given: Given, asked: Asked, mistakes: &mut Vec<Mistake>) {
        let origin = given.origin.clone();
        if name == "FOXDEN_CONFIG" {
            mistakes.push(Mistake::new(name, Some(origin), "a settings file can't name another"));
            return;
        }
        if variables::find(name).is_some_and(|variable| is_secret(variable, &given.text)) {
            let problem = format!("a secret doesn't belong into the settings file; use the environment or {name}_FILE");
            mistakes.push(Mistake::new(name, Some(origin), problem));
            return;
        }
        if asked == Asked::ByItsPlace && leads_elsewhere(name) {
            let problem = "says where secrets go, which a file that was not asked for can't; use the environment, or name \
                           the file: --config foxden.toml";
            mistakes.push(Mistake::new(name, Some(origin), problem));
            return;
        }
        if self.add(name, given, mistakes).is_some() {
            mistakes.push(Mistake::new(name, Some(origin), "is set twice in this file"));
        }
    }

    /// Puts a text where it belongs, unless it is empty. Answers what stood there.
    fn add(&mut self, name: &str, given: Given, mistakes: &mut Vec<Mistake>) -> Option<Given> {
        if given.text.trim().is_empty() {
            // A script whose own variable was empty meant another Foxy than the default.
            if name == "FOXDEN_FOXY_API" {
                let problem = "is empty, and calls would go to production; name the Foxy that is meant";
                mistakes.push(Mistake::new(name, Some(given.origin), problem));
            }
            return None;
        }
        if let Some(variable) = variables::find(name) {
            return self.values.insert(variable.name, given);
        }
        let file_of = name.strip_suffix("_FILE").and_then(variables::find);
        if let Some(variable) = file_of.filter(|variable| variable.has_file_form()) {
            return self.files.insert(variable.name, given);
        }
        mistakes.push(Mistake::new(name, Some(given.origin), suggestion::for_unknown(name)));
        None
    }

    /// Which of the two would win is anyone's guess, so neither does; whichever sources they come from.
    fn refuse_both_forms(&mut self, mistakes: &mut Vec<Mistake>) {
        for name in self.values.keys() {
            if let Some(file) = self.files.remove(name) {
                let problem = format!("{name} is set too; set one of the two");
                mistakes.push(Mistake::new(format!("{name}_FILE"), Some(file.origin), problem));
            }
        }
    }
}

fn leads_elsewhere(name: &str) -> bool {
    let of_value = name.strip_suffix("_FILE").and_then(variables::find).filter(|variable| variable.has_file_form());
    variables::find(name).or(of_value).is_some_and(Variable::leads_elsewhere)
}

fn is_secret(variable: &Variable, text: &str) -> bool {
    match variable.secrecy {
        Secrecy::Open => false,
        Secrecy::SecretIfPassword => SecretUrl::has_password(text),
        Secrecy::Secret => true,
    }
}
