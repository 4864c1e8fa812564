//! What became of a signup's grants.

use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _};

use crate::{
    connect::Ledger,
    entity::{grant, trip},
    error::LedgerError,
    grants::words::{GrantReason, GrantState, TripEnding, Wanted},
    ids::{GrantId, ProvisioningId},
    word::Word,
};

/// A grant of a signup, with its trips, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastGrant {
    /// Its key.
    pub id: GrantId,
    /// Why it was asked for.
    pub reason: Word<GrantReason>,
    /// To what.
    pub wanted: Word<Wanted>,
    /// Who asked.
    pub client_id: String,
    /// The user or the store that it must be, where that is known.
    pub expected_uri: Option<String>,
    /// How it stands.
    pub state: Word<GrantState>,
    /// When it was asked for; epoch milliseconds.
    pub asked_at_ms: i64,
    /// Until when a person may answer; epoch milliseconds.
    pub expires_at_ms: i64,
    /// When it ended; epoch milliseconds.
    pub ended_at_ms: Option<i64>,
    /// Its trips, the first one first.
    pub trips: Vec<PastTrip>,
}

/// A trip, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastTrip {
    /// When it began; epoch milliseconds.
    pub started_at_ms: i64,
    /// When the person came back; epoch milliseconds.
    pub spent_at_ms: Option<i64>,
    /// What it came to.
    pub ending: Option<Word<TripEnding>>,
}

impl Ledger {
    /// The grants of a provisioning, the first one first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn grants_of(&self, id: &ProvisioningId) -> Result<Vec<PastGrant>, LedgerError> {
        use grant::Column as G;
        use trip::Column as T;
        let ledger = self.clone();
        let grants = grant::Entity::find()
            .filter(G::ProvisioningId.eq(id.as_str()))
            .order_by_asc(G::AskedAt)
            .order_by_asc(G::Id);
        self.detached("grants_of", async move {
            let grants = grants.all(&ledger.db).await?;
            if grants.is_empty() {
                return Ok(Vec::new());
            }
            let ids = grants.iter().map(|grant| grant.id.as_str());
            let trips = trip::Entity::find().filter(T::GrantId.is_in(ids)).order_by_asc(T::StartedAt);
            let trips = trips.order_by_asc(T::Id).all(&ledger.db).await?;
            Ok(grants.into_iter().map(|grant| shown(grant, &trips)).collect())
        })
        .await
    }
}

fn shown(grant: grant::Model, trips: &[trip::Model]) -> PastGrant {
    let own = trips.iter().filter(|trip| trip.grant_id == grant.id);
    PastGrant {
        trips: own
            .map(|trip| PastTrip {
                started_at_ms: trip.started_at,
                spent_at_ms: trip.spent_at,
                ending: trip.ending.clone().map(Word::from),
            })
            .collect(),
        id: GrantId::from_row(grant.id),
        reason: grant.reason.into(),
        wanted: grant.wanted.into(),
        client_id: grant.client_id,
        expected_uri: grant.expected_uri,
        state: grant.state.into(),
        asked_at_ms: grant.asked_at,
        expires_at_ms: grant.expires_at,
        ended_at_ms: grant.ended_at,
    }
}
