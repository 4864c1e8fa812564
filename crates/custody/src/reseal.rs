//! Moving envelopes to the ring's first key, while workers run.

use std::collections::{HashSet, VecDeque};

use foxden_ledger::{Around, Contents, Ledger, LedgerError, Replacement, Scope, SignupId, StoredEnvelope};
use foxden_vault::{Fingerprint, Format, KeyId, SealError, Sealed};

use crate::{
    content::TokenRow,
    custody::{Custody, CustodyError, NotResealed},
};

/// Rows that were locked or changed when their turn came are gone back to this many times; then they are left for
/// another run.
const PASSES: u32 = 5;

/// A walk over every envelope that another key than the ring's first one has sealed, and over those of `FXD1`.
///
/// It keeps nothing that another run would need: what is at the first key is not looked at again, so a run that was
/// killed is continued by starting one. An envelope is replaced only where it still is the one that was read, so
/// a wipe or a reseal in between wins. No row is waited for and none is held longer than one statement
/// takes, so workers are not in each other's way.
pub struct Reseal {
    ledger: Ledger,
    custody: Custody,
    /// The places that are left of this pass.
    places: VecDeque<(Contents, (KeyId, Option<Format>))>,
    /// The last row that was read of the first of them.
    after: String,
    passes: u32,
    /// Whether some rows of this pass could not be had.
    skipped: bool,
    /// The rows that are known not to open, so that each is reported once.
    refused: HashSet<String>,
}

/// What became of one page of envelopes.
#[derive(Debug, Default)]
pub struct Page {
    /// How many are sealed with the first key now.
    pub moved: u64,
    /// Those that stay as they are.
    pub refused: Vec<Refused>,
}

/// An envelope that does not open where it is.
#[derive(Debug)]
pub struct Refused {
    /// Whose it is.
    pub signup_id: SignupId,
    /// What it should hold.
    pub contents: Contents,
    /// Why it does not open.
    pub reason: CustodyError,
}

/// Why resealing stopped. What was moved stays so.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// The ledger did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Nothing can be sealed.
    #[error("could not seal an envelope again")]
    Seal(#[from] SealError),
}

impl Reseal {
    /// A walk from the beginning. Keys that the ring lacks are passed over.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begin(ledger: &Ledger, custody: &Custody) -> Result<Self, LedgerError> {
        let mut walk = Self {
            ledger: ledger.clone(),
            custody: custody.clone(),
            places: VecDeque::new(),
            after: String::new(),
            passes: 0,
            skipped: false,
            refused: HashSet::new(),
        };
        walk.start_pass().await?;
        Ok(walk)
    }

    async fn start_pass(&mut self) -> Result<(), LedgerError> {
        let ring = self.custody.ring();
        let keys = self.ledger.keys_in_use().await?;
        let to_move = keys.into_iter().filter(|key| ring.contains(*key));
        // Of the first key's own, those that do not say whose they are.
        let which = to_move.map(|key| (key, (key == ring.primary()).then_some(Format::Fxd1)));
        self.places = which.flat_map(|which| Contents::ALL.map(|contents| (contents, which))).collect();
        (self.after, self.skipped) = (String::new(), false);
        self.passes += 1;
        Ok(())
    }

    /// Moves the next envelopes, at most `limit`. `None` after the last.
    ///
    /// # Errors
    /// When it can't continue; nothing of this page was moved, or it is not known.
    pub async fn next_page(&mut self, limit: u64) -> Result<Option<Page>, ResealError> {
        loop {
            let Some((contents, which)) = self.places.front().copied() else {
                if !self.skipped || self.passes >= PASSES {
                    return Ok(None);
                }
                self.start_pass().await?;
                continue;
            };
            let stored = self.ledger.sealed_with(contents, which, &self.after, limit).await?;
            let Some(last) = stored.last() else {
                self.places.pop_front();
                self.after.clear();
                continue;
            };
            self.after.clone_from(&last.row);
            // A walk over a large ledger takes hours, and another one may end FXD1 meanwhile.
            self.custody.heed_any_end(&self.ledger).await?;
            return Ok(Some(self.reseal(contents, stored).await?));
        }
    }

    async fn reseal(&mut self, contents: Contents, stored: Vec<StoredEnvelope>) -> Result<Page, ResealError> {
        let (mut page, mut replacements) = (Page::default(), Vec::with_capacity(stored.len()));
        for stored in stored {
            let (row, signup_id) = (stored.row.clone(), stored.signup_id.clone());
            match self.seal_again(stored) {
                Ok(resealed) => replacements.push(resealed),
                Err(NotResealed::Open(reason)) => {
                    if self.refused.insert(row) {
                        page.refused.push(Refused { signup_id, contents, reason });
                    }
                }
                Err(NotResealed::Seal(error)) => return Err(error.into()),
            }
        }
        let wanted = replacements.len() as u64;
        if wanted > 0 {
            page.moved = self.ledger.replace_sealed(contents, replacements).await?;
        }
        self.skipped |= page.moved < wanted;
        Ok(page)
    }

    fn seal_again(&self, stored: StoredEnvelope) -> Result<Replacement, NotResealed> {
        let StoredEnvelope { row, provisioning, signup_id, envelope: was, around } = stored;
        // What was cut is as good as altered.
        let envelope = Sealed::from_bytes(was.clone()).map_err(|_| CustodyError::Refused)?;
        let (sealed, fingerprint) = match around {
            Around::Token { scope, intent, resource_uri, client, given_at_ms, agrees } => {
                let row = TokenRow {
                    scope: Scope::parse(&scope).ok_or(CustodyError::Refused)?,
                    provisioning,
                    signup_id,
                    serial: intent,
                    addresses: resource_uri.into_iter().collect(),
                    client,
                };
                (self.custody.reseal_token(&row, &envelope, (given_at_ms, agrees))?, None)
            }
            Around::Event { account_id, fingerprint } => {
                let known = Fingerprint::from_bytes(&fingerprint).ok();
                let owner = (&signup_id, account_id.as_deref());
                let (sealed, renewed) = self.custody.reseal_payload(&provisioning, owner, &envelope, known.as_ref())?;
                (sealed, Some(renewed.map_or(fingerprint, |renewed| renewed.as_bytes().to_vec())))
            }
        };
        Ok(Replacement { row, was, sealed, fingerprint })
    }
}
