//! Whether the key ring is the ledger's, asked before anything is done with either.

use std::path::Path;

use anyhow::{Context as _, bail};
use foxden_custody::{Custody, CustodyError, Escrow, Mismatch, TokenRow};
use foxden_ledger::{Ledger, SignupId};

use crate::output;

/// Sees that the ring has every key that the ledger needs, and the escrow where one is given; then tries it on what the
/// ledger holds: with the wrong ring, or under the wrong environment, signups would be parked for it, one by one.
pub(crate) async fn check(ledger: &Ledger, custody: &Custody, escrow: Option<&Path>) -> anyhow::Result<()> {
    let mut lacking = Vec::new();
    for key in ledger.keys_in_use().await.context("could not read which keys the ledger needs")? {
        if !custody.ring().contains(key) {
            let found = ledger.count_envelopes_of(key, COUNTED).await?;
            let or_more = if found.events.max(found.tokens) < COUNTED.into() { "" } else { " or more" };
            lacking.push(format!("{key} ({}{or_more} sealed in the ledger)", output::count(found.envelopes())));
        }
    }
    let (held, _) = escrow.map(Escrow::count_by_key).transpose().context("FOXDEN_ESCROW_DIR")?.unwrap_or_default();
    for (key, count) in held.into_iter().filter(|(key, _)| !custody.ring().contains(*key)) {
        lacking.push(format!("{key} ({} sealed in FOXDEN_ESCROW_DIR)", output::count(count)));
    }
    if !lacking.is_empty() {
        bail!(
            "FOXDEN_KEYS lacks a key that is still needed: {}. Nothing was started; put it back into the ring, after the \
             first key. `foxden keys status` tells which keys can be dropped",
            lacking.join(", ")
        );
    }
    try_keys(ledger, custody).await
}

/// How many events, and how many tokens, are counted of a key that is lacking: a start should not take longer for a
/// number.
const COUNTED: u32 = 10_000;

/// How many of the newest envelopes are tried until one opens.
const TRIED: u64 = 20;

/// Opens the newest event and the newest token. One that was altered is passed over, since those before it tell as well
/// whether ring and environment are right. One whose row is not what it says inside has opened, too.
async fn try_keys(ledger: &Ledger, custody: &Custody) -> anyhow::Result<()> {
    let (events, tokens) = ledger.newest_sealed(TRIED).await.context("could not read what the ledger holds sealed")?;
    let sealed = events.iter().filter_map(|row| row.payload.as_ref());
    let sealed = sealed.chain(tokens.iter().filter_map(|(_, held)| held.sealed.as_ref()));
    custody.heed_end(ledger, sealed).await.context("could not read whether FXD1 has ended")?;
    let events = events.iter().filter_map(|row| {
        let opened = custody.open_payload(&row.id, &row.signup_id, row.payload.as_ref()?).map(drop);
        Some((&row.signup_id, opens(opened)?))
    });
    let tokens = tokens.iter().filter_map(|(row, held)| {
        let opened = custody.open_token(&TokenRow::of(row, held), held.sealed.as_ref()?).map(drop);
        Some((&row.signup_id, opens(opened)?))
    });
    try_in_turn("event", events)?;
    try_in_turn("token", tokens)
}

/// Whether an envelope opens with this ring in this environment, whatever it says. `None` for one of a format that has
/// ended: it was refused unopened, which tells nothing of either.
fn opens(opened: Result<(), CustodyError>) -> Option<Result<(), CustodyError>> {
    match opened {
        Err(CustodyError::Mismatch(Mismatch::Format)) => None,
        Err(CustodyError::Mismatch(_)) => Some(Ok(())),
        opened => Some(opened),
    }
}

/// Tries them until one opens. Those before it are named in the log; if none opens, the answer is the first one's
/// error.
fn try_in_turn<'a>(
    what: &'static str,
    sealed: impl Iterator<Item = (&'a SignupId, Result<(), CustodyError>)>,
) -> anyhow::Result<()> {
    let mut shut = Vec::new();
    for (signup_id, opened) in sealed {
        let Err(error) = opened else {
            for (signup_id, error) in shut {
                tracing::error!(
                    event = "keys.envelope_damaged",
                    %signup_id,
                    what,
                    error = %error,
                    "an envelope does not open, though others do",
                );
            }
            return Ok(());
        };
        shut.push((signup_id, error));
    }
    let Some((signup_id, error)) = shut.into_iter().next() else { return Ok(()) };
    Err(error).with_context(|| {
        format!(
            "the newest {what} in the ledger, that of signup {signup_id}, does not open with these keys: compare \
             FOXDEN_KEYS and FOXDEN_ENVIRONMENT with those under which it was written. Nothing was started"
        )
    })
}
