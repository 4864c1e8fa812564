//! Keeps the crates from knowing each other in other ways than `docs/ARCHITECTURE.md` draws.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Every crate, and which of ours it may depend on. Tests, benches and examples may know more.
const MAY_KNOW: &[(&str, &[&str])] = &[
    (
        "foxden",
        &[
            "foxden-custody",
            "foxden-intake",
            "foxden-ledger",
            "foxden-provisioning",
            "foxden-vault",
            "foxden-web",
            "foxy-api",
            "foxy-sim",
        ],
    ),
    ("foxden-custody", &["foxden-ledger", "foxden-vault"]),
    ("foxden-intake", &["foxden-custody", "foxden-ledger", "foxden-vault"]),
    ("foxden-ledger", &["foxden-migrations", "foxden-vault"]),
    ("foxden-migrations", &[]),
    ("foxden-provisioning", &["foxden-custody", "foxden-ledger", "foxden-vault", "foxy-api"]),
    ("foxden-vault", &[]),
    ("foxden-web", &["foxden-vault"]),
    ("foxy-api", &["foxden-vault"]),
    ("foxy-sim", &[]),
];

/// Heavy libraries, and where each may be depended on.
const FENCED: &[(&str, &[&str])] = &[
    ("axum", &["foxden-web", "foxy-sim"]),
    ("chacha20poly1305", &["foxden-vault"]),
    ("hyper", &["foxden-web"]),
    ("lapin", &["foxden-intake"]),
    ("maud", &["foxden-web"]),
    ("reqwest", &["foxy-api"]),
    ("sea-orm", &["foxden-ledger"]),
    ("sea-orm-migration", &["foxden-ledger", "foxden-migrations"]),
];

/// What the ledger may name of the vault: bytes that name their key and their layout, and a reader of files. No
/// secret, no key ring.
const LEDGER_NAMES: [&str; 5] = ["Fingerprint", "Format", "KeyId", "Sealed", "read_small_file"];

fn crates() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crates lie in one folder")
}

/// Every crate's name with what it depends on, tests aside.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let mut folders: Vec<PathBuf> = fs::read_dir(crates()).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.push(crates().parent().unwrap().join("migrations"));
    let read = |folder: PathBuf| {
        let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
        let mut sections = vec![&manifest];
        sections.extend(
            manifest
                .get("target")
                .and_then(|targets| targets.as_table())
                .into_iter()
                .flat_map(|targets| targets.values().filter_map(|target| target.as_table())),
        );
        let of = |section: &toml::Table| {
            let named =
                ["dependencies", "build-dependencies"].map(|kind| section.get(kind).and_then(|it| it.as_table()));
            named.into_iter().flatten().flat_map(|table| table.keys().cloned()).collect::<Vec<_>>()
        };
        let name = manifest["package"]["name"].as_str().unwrap().to_owned();
        (name, sections.into_iter().flat_map(of).collect())
    };
    folders.into_iter().map(read).collect()
}

#[test]
fn each_crate_knows_only_those_below_it() {
    let dependencies = dependencies();
    let ours: BTreeSet<&str> = dependencies.keys().map(String::as_str).collect();
    assert_eq!(ours, MAY_KNOW.iter().map(|(name, _)| *name).collect(), "a crate has no place in the house");
    for (name, may_know) in MAY_KNOW {
        let knows = dependencies[*name].iter().map(String::as_str).filter(|known| ours.contains(known));
        assert_eq!(knows.collect::<BTreeSet<_>>(), may_know.iter().copied().collect(), "what {name} knows");
    }
}

#[test]
fn each_heavy_library_is_fenced_in() {
    let dependencies = dependencies();
    for (library, may_use) in FENCED {
        let users = dependencies.iter().filter(|(_, uses)| uses.contains(*library)).map(|(name, _)| name.as_str());
        assert_eq!(users.collect::<Vec<_>>(), *may_use, "who depends on {library}");
    }
}

#[test]
fn the_ledger_names_no_secret_type_and_no_key_ring() {
    let mut named = BTreeSet::new();
    let mut folders = vec![crates().join("ledger/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                named.extend(names_of_the_vault(&fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert_eq!(named, LEDGER_NAMES.map(str::to_owned).into());
}

/// Every name of the vault's that a source file spells.
fn names_of_the_vault(source: &str) -> Vec<String> {
    let name = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = Vec::new();
    for rest in source.split("foxden_vault").skip(1) {
        match rest.strip_prefix("::{").and_then(|list| list.split_once('}')) {
            Some((list, _)) => names.extend(list.split(',').map(name).filter(|name| !name.is_empty())),
            // The crate itself under another name would hide what is used of it.
            None => names.push(rest.strip_prefix("::").map_or_else(|| "the whole crate".to_owned(), name)),
        }
    }
    names
}

#[test]
fn a_name_of_the_vaults_is_found_however_it_is_spelled() {
    let source =
        "use foxden_vault::{KeyId, Sealed as Envelope,};\nfoxden_vault::RefreshToken::new(); use foxden_vault as v;";
    assert_eq!(names_of_the_vault(source), ["KeyId", "Sealed", "RefreshToken", "the whole crate"]);
    assert_eq!(names_of_the_vault("use foxden_vault::*;"), [""], "which is none of those that are allowed");
}
