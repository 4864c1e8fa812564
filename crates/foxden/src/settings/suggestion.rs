//! What may have been meant by a name that is not a setting.

use super::variables::{self, PREFIX, VARIABLES};

/// What to say about a name that is not a setting.
pub(super) fn for_unknown(name: &str) -> String {
    if let Some(variable) = name.strip_suffix("_FILE").and_then(variables::find) {
        return format!("is not a setting: only secrets can come from a file; set {} itself", variable.name);
    }
    match nearest(name) {
        Some(nearest) => format!("is not a setting; did you mean {nearest}?"),
        None => "is not a setting; deploy/foxden.env.example lists all of them".to_owned(),
    }
}

/// The likeliest name: few typing errors away, else the same but for words missing or superfluous at one end.
fn nearest(name: &str) -> Option<String> {
    let wanted = name.to_uppercase();
    let wanted = wanted.strip_prefix(PREFIX).unwrap_or(&wanted);
    // One slip in any name, one more for every five letters: FOXDEN_KEY is near, FOXDEN_FOO is near nothing.
    let slips = 1 + wanted.len() / 5;
    let by_typing = names()
        .map(|candidate| (distance(wanted, stem(&candidate)), candidate))
        .filter(|(distance, _)| *distance <= slips)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate);
    by_typing.or_else(|| names().find(|candidate| is_part(stem(candidate), wanted) || is_part(wanted, stem(candidate))))
}

/// Whether a name begins or ends with another, whole words only.
fn is_part(long: &str, short: &str) -> bool {
    long.strip_suffix(short).is_some_and(|rest| rest.ends_with('_'))
        || long.strip_prefix(short).is_some_and(|rest| rest.starts_with('_'))
}

fn names() -> impl Iterator<Item = String> {
    VARIABLES.iter().flat_map(|variable| {
        let file_form = variable.has_file_form().then(|| format!("{}_FILE", variable.name));
        [Some(variable.name.to_owned()), file_form].into_iter().flatten()
    })
}

fn stem(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// How many letters must be put in, left out, replaced or swapped with their neighbour to make one word the other
/// (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![(0..=to.len()).collect::<Vec<_>>()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_slips() {
        for (from, to, slips) in [("LEASE", "LEASE", 0), ("LAESE", "LEASE", 1), ("LEAS", "LEASE", 1), ("", "LOG", 3)] {
            assert_eq!(distance(from, to), slips, "{from} {to}");
        }
    }

    #[test]
    fn slips_and_missing_sections_are_recognised() {
        for (name, meant) in [
            ("FOXDEN_LAESE", "FOXDEN_LEASE"),
            ("FOXDEN_lease", "FOXDEN_LEASE"),
            ("FOXDEN_KEY", "FOXDEN_KEYS"),
            ("FOXDEN_KEY_FILE", "FOXDEN_KEYS_FILE"),
            ("FOXDEN_CLIENT_SECRET", "FOXDEN_FOXY_CLIENT_SECRET"),
            ("FOXDEN_FOXDEN_LEASE", "FOXDEN_LEASE"),
            ("FOXDEN_LEASE_TIME", "FOXDEN_LEASE"),
        ] {
            assert_eq!(nearest(name).as_deref(), Some(meant), "{name}");
        }
    }

    #[test]
    fn nothing_is_suggested_for_a_name_that_is_like_none() {
        assert_eq!(for_unknown("FOXDEN_FOO"), "is not a setting; deploy/foxden.env.example lists all of them");
    }

    #[test]
    fn only_secrets_come_from_files() {
        assert_eq!(
            for_unknown("FOXDEN_LEASE_FILE"),
            "is not a setting: only secrets can come from a file; set FOXDEN_LEASE itself"
        );
    }
}
