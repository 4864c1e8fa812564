//! Keeps the tokens that Foxy answers in the place of others, whatever the ledger does meanwhile.

use std::{fmt, sync::Arc, time::Duration};

use foxden_custody::{TokenPlace, TokenRow};
use foxden_ledger::FoxyClient;
use foxden_vault::RefreshToken;
use foxy_api::{Cause, Keeping, TokenKeeper};
use tokio_util::task::TaskTracker;

use crate::{calls::Calls, policy::Policy, recording::InMemory, runner::Runner, schedule::Schedule};

/// Keeps what replaces one token, in that token's place: in the ledger, and in the escrow while the ledger is away.
#[derive(Clone)]
pub struct Keeper {
    place: TokenPlace,
    /// The client that creates, which is tried where it is not known to which one the token was given.
    creating: Option<FoxyClient>,
    pauses: Schedule,
    /// Failures after which a token is given up; `None`: never.
    most_failures: Option<u32>,
    in_memory: InMemory,
    /// Has a token for each refresh that may still bring something to keep.
    refreshes: TaskTracker,
}

/// A token that is at hand does not wait long for what can be written later.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

/// Some half a minute: a person waits.
const PATIENCE: u32 = 20;

impl Keeper {
    /// For a command that a person waits for: it gives up after a while. A worker does not.
    pub fn for_a_person(place: TokenPlace, creating: FoxyClient) -> Self {
        let (in_memory, refreshes) = (InMemory::default(), TaskTracker::new());
        let creating = Some(creating);
        Self { place, creating, pauses: Policy::RECORDING, most_failures: Some(PATIENCE), in_memory, refreshes }
    }

    async fn replace_at_last(self, used: RefreshToken, new: RefreshToken) -> Result<(), Cause> {
        let (mut failures, mut in_memory_only) = (0, None);
        loop {
            let error = match self.place.renew(&used, &new).await {
                Ok(_) if failures > 0 => {
                    drop(in_memory_only);
                    tracing::info!(event = "ledger.recorded_late", failures, "the result is recorded after all");
                    return Ok(());
                }
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            if failures == 0 {
                in_memory_only = Some(self.in_memory.one());
                tracing::error!(
                    event = "token.not_renewed",
                    error = &error as &dyn std::error::Error,
                    "another refresh token has come from Foxy and is in memory only; it is tried again to keep it",
                );
            }
            if self.most_failures.is_some_and(|most| failures >= most) {
                return Err(Arc::new(error));
            }
            tokio::time::sleep(self.pauses.wait(failures)).await;
            failures = failures.saturating_add(1);
        }
    }
}

impl TokenKeeper for Keeper {
    fn replace(&self, used: RefreshToken, new: RefreshToken) -> Keeping<()> {
        Box::pin(self.clone().replace_at_last(used, new))
    }

    fn kept(&self) -> Keeping<Vec<RefreshToken>> {
        let place = self.place.clone();
        Box::pin(async move { place.kept().await.map_err(|error| Arc::new(error) as Cause) })
    }

    fn client_id(&self) -> Option<&str> {
        self.place.client().map(|client| client.id.as_str())
    }

    fn accepted(&self) -> Keeping<()> {
        let (place, creating) = (self.place.clone(), self.creating.clone());
        Box::pin(async move {
            let Some(creating) = creating else { return Ok(()) };
            let written = tokio::time::timeout(WRITTEN_WITHIN, place.accepted_from(&creating)).await;
            // The next use writes it.
            let error = match written {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => Arc::new(error) as Cause,
                Err(error) => Arc::new(error) as Cause,
            };
            tracing::debug!(error = %error, "it could not be written down to which client a token was given");
            Err(error)
        })
    }

    fn at_work(&self) -> Box<dyn Send> {
        Box::new(self.refreshes.token())
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keeper({:?})", self.place)
    }
}

impl<F: Calls> Runner<F> {
    /// Keeps what replaces a token of this provisioning.
    pub(crate) fn keeper(&self, row: TokenRow) -> Arc<dyn TokenKeeper> {
        let place = TokenPlace::new(&self.ledger, &self.custody, row);
        Arc::new(Keeper {
            place: place.with_escrow(&self.escrow),
            creating: self.client.clone(),
            pauses: self.policy.recording,
            most_failures: None,
            in_memory: self.in_memory.clone(),
            refreshes: self.refreshes.clone(),
        })
    }
}
