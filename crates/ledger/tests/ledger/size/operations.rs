//! The list of the ledger's operations, read from its source: so none can be forgotten.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Every name that is given to `Ledger::detached` or `Ledger::batched`, which every operation passes.
fn all() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        // The batcher itself passes a name on.
        let text = text.replace(".batched(", ".detached(").replace(".detached(operation", "");
        for call in text.split(".detached(").skip(1) {
            let name = call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
            names.insert(name.unwrap_or_else(|| panic!("{}: an operation without a name", path.display())).to_owned());
        }
    }
    assert!(names.len() > 30, "the source is not read rightly: {names:?}");
    names
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let inside = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    inside.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Each operation was driven, or is left out for a reason that still holds.
pub(crate) fn all_are_driven(driven: &BTreeSet<&'static str>, left_out: &[(&str, &str)]) {
    let all = all();
    let is_left_out = |name: &str| left_out.iter().any(|(left_out, _)| *left_out == name);
    let forgotten: Vec<_> = all.iter().filter(|name| !driven.contains(name.as_str()) && !is_left_out(name)).collect();
    assert!(forgotten.is_empty(), "not driven: {forgotten:?}. Drive them in size/drive.rs");
    let gone: Vec<_> = left_out.iter().filter(|(name, _)| !all.contains(*name)).collect();
    assert!(gone.is_empty(), "there is no such operation: {gone:?}");
}
