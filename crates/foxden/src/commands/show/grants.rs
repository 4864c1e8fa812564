//! The grants of a signup: what a person was asked for, and what came of it.

use foxden_ledger::{PastGrant, PastTrip};
use serde_json::{Value, json};

use crate::{addresses::Addresses, output, terminal::printable};

/// The grants as a table, the first one first.
pub(super) fn print(grants: &[PastGrant]) {
    let mut table = output::table(["grant", "asked", "state", "when", "trips"]);
    for grant in grants {
        let [what, state, when, trips] = cells(grant);
        table.add_row([what, output::moment(grant.asked_at_ms), state, when, trips]);
    }
    output::say(table);
}

fn cells(grant: &PastGrant) -> [String; 4] {
    let what = format!("{}: {}", grant.reason, grant.wanted);
    let when = match grant.ended_at_ms {
        Some(ended) => format!("ended {}", output::moment(ended)),
        None => format!("until {}", output::moment(grant.expires_at_ms)),
    };
    let trips: Vec<String> = grant.trips.iter().map(in_words).collect();
    [what, grant.state.to_string(), when, trips.join("; ")].map(|cell| printable(&cell).into_owned())
}

fn in_words(trip: &PastTrip) -> String {
    match (&trip.ending, trip.spent_at_ms) {
        (Some(ending), spent) => format!("{ending} {}", output::moment(spent.unwrap_or(trip.started_at_ms))),
        (None, Some(spent)) => format!("came back {}, its end is not known", output::moment(spent)),
        (None, None) => format!("not back since {}", output::moment(trip.started_at_ms)),
    }
}

/// The same for scripts.
pub(super) fn json(grants: &[PastGrant], addresses: &Addresses) -> Vec<Value> {
    let trip = |trip: &PastTrip| {
        json!({
            "started_at": output::rfc3339(trip.started_at_ms),
            "back_at": trip.spent_at_ms.and_then(output::rfc3339),
            "ending": trip.ending.as_ref().map(ToString::to_string),
        })
    };
    let grant = |grant: &PastGrant| {
        json!({
            "grant_id": grant.id.as_str(),
            "reason": grant.reason.to_string(),
            "wanted": grant.wanted.to_string(),
            "state": grant.state.to_string(),
            "client_id": grant.client_id,
            "expected_uri": grant.expected_uri.as_deref().filter(|uri| addresses.checked(uri).is_some()),
            "asked_at": output::rfc3339(grant.asked_at_ms),
            "expires_at": output::rfc3339(grant.expires_at_ms),
            "ended_at": grant.ended_at_ms.and_then(output::rfc3339),
            "trips": grant.trips.iter().map(trip).collect::<Vec<_>>(),
        })
    };
    grants.iter().map(grant).collect()
}

#[cfg(test)]
mod tests {
    use foxden_ledger::{GrantId, GrantReason, GrantState, TripEnding, Wanted, Word};

    use super::*;

    #[test]
    fn a_grant_is_told_with_each_way_to_foxy() {
        let trip = |spent_at_ms, ending: Option<TripEnding>| PastTrip {
            started_at_ms: 1_795_000_000_000,
            spent_at_ms,
            ending: ending.map(Word::Known),
        };
        let mut grant = PastGrant {
            id: GrantId::new(),
            reason: Word::Known(GrantReason::TakeOver),
            wanted: Word::Known(Wanted::User),
            client_id: "client_1".to_owned(),
            expected_uri: None,
            state: Word::Known(GrantState::Open),
            asked_at_ms: 1_795_000_000_000,
            expires_at_ms: 1_795_000_600_000,
            ended_at_ms: None,
            trips: Vec::new(),
        };
        assert_eq!(cells(&grant), ["take_over: user", "open", "until 2026-11-18 11:16:40Z", ""]);
        grant.state = Word::Known(GrantState::Kept);
        grant.ended_at_ms = Some(1_795_000_003_000);
        let back = Some(1_795_000_002_000);
        grant.trips = vec![trip(None, None), trip(back, None), trip(back, Some(TripEnding::Denied))];
        assert_eq!(
            cells(&grant),
            [
                "take_over: user",
                "kept",
                "ended 2026-11-18 11:06:43Z",
                "not back since 2026-11-18 11:06:40Z; came back 2026-11-18 11:06:42Z, its end is not known; denied \
                 2026-11-18 11:06:42Z",
            ]
        );
    }
}
