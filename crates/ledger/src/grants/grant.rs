//! A grant and a trip as the ledger hands them out, and the looks for one of them.

use sea_orm::{ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, Select, sea_query::Expr};

use crate::{
    connect::Ledger,
    entity::{
        grant::{Column, Entity, Model},
        provisioning, trip,
    },
    error::LedgerError,
    grants::words::{GrantReason, GrantState, TripEnding, Wanted},
    ids::{GrantId, ProvisioningId, TripId},
    provisioning::Provisioning,
    which_foxy::ClientId,
};

/// One ask for a person's consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its key.
    pub id: GrantId,
    /// For which provisioning.
    pub provisioning: ProvisioningId,
    /// Why.
    pub reason: GrantReason,
    /// To what.
    pub wanted: Wanted,
    /// Who asks.
    pub client_id: ClientId,
    /// The user or the store that it must be, where that is known.
    pub expected_uri: Option<String>,
    /// How it stands.
    pub state: GrantState,
    /// When it was asked for; epoch milliseconds.
    pub asked_at_ms: i64,
    /// Until when a person may answer; epoch milliseconds.
    pub expires_at_ms: i64,
    /// When it was kept, expired or was withdrawn; epoch milliseconds.
    pub ended_at_ms: Option<i64>,
}

/// One person's way to Foxy and back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trip {
    /// Its key.
    pub id: TripId,
    /// For which grant.
    pub grant: GrantId,
    /// The client under which it began.
    pub client_id: ClientId,
    /// What Foxy was asked for.
    pub scope: String,
    /// Where Foxy sends the person back to.
    pub redirect_uri: String,
    /// When it began; epoch milliseconds.
    pub started_at_ms: i64,
    /// Until when the person may come back; epoch milliseconds.
    pub expires_at_ms: i64,
    /// When they came back; epoch milliseconds.
    pub spent_at_ms: Option<i64>,
    /// What it came to, as far as that is known.
    pub ending: Option<TripEnding>,
}

impl Grant {
    /// Whether a person can begin a trip for it at this time of the ledger's.
    pub fn is_open_at(&self, now_ms: i64) -> bool {
        self.state == GrantState::Open && self.expires_at_ms > now_ms
    }

    pub(crate) fn from_row(row: Model) -> Result<Self, LedgerError> {
        let damaged = |column| LedgerError::Damaged { id: row.id.clone(), column };
        Ok(Self {
            reason: GrantReason::parse(&row.reason).ok_or_else(|| damaged("grants.reason"))?,
            wanted: Wanted::parse(&row.wanted).ok_or_else(|| damaged("grants.wanted"))?,
            client_id: ClientId::parse(&row.client_id).map_err(|_| damaged("grants.client_id"))?,
            state: GrantState::parse(&row.state).ok_or_else(|| damaged("grants.state"))?,
            id: GrantId::from_row(row.id),
            provisioning: ProvisioningId::from_row(row.provisioning_id),
            expected_uri: row.expected_uri,
            asked_at_ms: row.asked_at,
            expires_at_ms: row.expires_at,
            ended_at_ms: row.ended_at,
        })
    }
}

impl Trip {
    pub(crate) fn from_row(row: trip::Model) -> Result<Self, LedgerError> {
        let damaged = |column| LedgerError::Damaged { id: row.id.clone(), column };
        let ending = row.ending.as_deref().map(|word| TripEnding::parse(word).ok_or_else(|| damaged("trips.ending")));
        Ok(Self {
            client_id: ClientId::parse(&row.client_id).map_err(|_| damaged("trips.client_id"))?,
            ending: ending.transpose()?,
            id: TripId::from_row(row.id),
            grant: GrantId::from_row(row.grant_id),
            scope: row.scope,
            redirect_uri: row.redirect_uri,
            started_at_ms: row.started_at,
            expires_at_ms: row.expires_at,
            spent_at_ms: row.spent_at,
        })
    }
}

impl Ledger {
    /// A grant with its provisioning. `None` if there is no such grant.
    ///
    /// # Errors
    /// When the database does not answer or a row is damaged.
    pub async fn find_grant(&self, id: &GrantId) -> Result<Option<(Grant, Provisioning)>, LedgerError> {
        let (ledger, id) = (self.clone(), id.clone());
        self.detached("find_grant", async move {
            let Some(grant) = read_grant(&ledger.db, &id).await? else { return Ok(None) };
            let row = provisioning::Entity::find_by_id(grant.provisioning.as_str()).one(&ledger.db).await?;
            let row = row.ok_or_else(|| LedgerError::NotOurs { id: grant.provisioning.to_string() })?;
            Ok(Some((grant, Provisioning::from_row(row)?)))
        })
        .await
    }

    /// The grant of a provisioning that waits for a person, or for a confirmation. Its time may be over.
    ///
    /// # Errors
    /// When the database does not answer or the row is damaged.
    pub async fn live_grant(&self, id: &ProvisioningId) -> Result<Option<Grant>, LedgerError> {
        let (ledger, query) = (self.clone(), live_of(id));
        self.detached("live_grant", async move { query.one(&ledger.db).await?.map(Grant::from_row).transpose() }).await
    }
}

pub(crate) async fn read_grant(db: &impl ConnectionTrait, id: &GrantId) -> Result<Option<Grant>, LedgerError> {
    Entity::find_by_id(id.as_str()).one(db).await?.map(Grant::from_row).transpose()
}

/// Of one provisioning.
pub(crate) fn live_of(id: &ProvisioningId) -> Select<Entity> {
    Entity::find().filter(Column::ProvisioningId.eq(id.as_str())).filter(is_live())
}

/// In the words of the indexes.
pub(crate) fn is_live() -> Expr {
    Expr::cust("ended_at IS NULL")
}
