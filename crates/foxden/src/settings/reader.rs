//! Takes values out of what was given, and gathers the mistakes on the way.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{
    Need,
    given::{AllGiven, Given, Origin},
    mistakes::{Mistake, Mistakes},
    secret_file,
    sources::Sources,
    text,
    variables::{self, Secrecy, Variable},
};

/// Reads variables one by one. A mistake is noted and answered with `None`; the sections go on with what is left, so
/// that a person sees everything that is wrong at once.
pub(super) struct Reader {
    given: AllGiven,
    mistakes: Vec<Mistake>,
}

impl Reader {
    pub(super) fn new(sources: &Sources) -> Self {
        let mut mistakes = Vec::new();
        let given = AllGiven::collect(sources, &mut mistakes);
        Self { given, mistakes }
    }

    /// Whether the variable, or its `…_FILE` form, is set.
    pub(super) fn is_set(&self, name: &'static str) -> bool {
        self.given.values.contains_key(name) || self.given.files.contains_key(name)
    }

    /// Makes the value in a `…_FILE` available, if the command has a use for it, and insists on one if it must.
    pub(super) fn prepare_secret(&mut self, name: &'static str, need: Need) {
        if need == Need::Required {
            self.require(name);
        }
        if need == Need::Unused {
            return;
        }
        let Some(file) = self.given.files.get(name) else { return };
        let variable = format!("{name}_FILE");
        match secret_file::read(file.text.trim()) {
            Ok(secret) => {
                let origin = Origin::SecretFile { variable };
                self.given.values.insert(name, Given { text: secret, origin });
            }
            Err(problem) => self.mistakes.push(Mistake::new(variable, Some(file.origin.clone()), problem)),
        }
    }

    /// The file that the `…_FILE` form of a variable names.
    pub(super) fn secret_file(&self, name: &'static str) -> Option<PathBuf> {
        self.given.files.get(name).map(|file| PathBuf::from(file.text.trim()))
    }

    /// Notes a mistake unless the variable, or its `…_FILE` form, is set.
    pub(super) fn require(&mut self, name: &'static str) {
        if !self.is_set(name) {
            let variable = variable(name);
            let or_file = if variable.has_file_form() { format!(", here or by {name}_FILE") } else { String::new() };
            let problem = format!("this command needs it{or_file}: {}", variable.meaning);
            self.mistakes.push(Mistake::new(name, None, problem));
        }
    }

    /// The variable's value, or its default's. `None` if there is neither, or a mistake.
    pub(super) fn value<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let variable = variable(name);
        let (text, origin) = match self.given.values.get(name) {
            // Blanks around a secret may belong to it.
            Some(given) if variable.secrecy == Secrecy::Secret => (given.text.as_str(), Some(&given.origin)),
            Some(given) => (given.text.trim(), Some(&given.origin)),
            None => (variable.default?, None),
        };
        match parse(text) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.mistakes.push(Mistake::new(name, origin.cloned(), problem));
                None
            }
        }
    }

    /// A duration within limits.
    pub(super) fn duration(&mut self, name: &'static str, limits: &RangeInclusive<Duration>) -> Option<Duration> {
        self.value(name, |text| text::duration_within(text, limits))
    }

    /// Notes a mistake that is in no value by itself, such as a relation that does not hold.
    pub(super) fn refuse(&mut self, name: &'static str, problem: impl Into<String>) {
        let origin = self.given.values.get(name).map(|given| given.origin.clone());
        self.mistakes.push(Mistake::new(name, origin, problem));
    }

    /// All mistakes.
    pub(super) fn finish(self) -> Result<(), Mistakes> {
        Mistakes::check(self.mistakes)
    }
}

fn variable(name: &'static str) -> &'static Variable {
    variables::find(name).expect("every variable that is read is in the list")
}
