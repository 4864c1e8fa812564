//! Trips: a person's way to Foxy and back, once.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QuerySelect as _,
    sea_query::{Expr, OnConflict},
};

use crate::{
    connect::{Ledger, millis},
    entity::{
        grant, provisioning,
        trip::{ActiveModel, Column, Entity},
    },
    error::LedgerError,
    grants::{
        grant::{Grant, Trip, read_grant},
        words::{GrantState, TripEnding},
    },
    ids::{GrantId, TripId},
    provisioning::Provisioning,
    transactions::Ending::{Commit, RollBack},
    which_foxy::ClientId,
};

/// A SHA-256 of what the ledger must not know.
pub type Digest = [u8; 32];

/// A trip that is about to begin.
#[derive(Debug, Clone)]
pub struct NewTrip {
    /// The key that it will have.
    pub id: TripId,
    /// Of the `state` that goes to Foxy and comes back.
    pub state_hash: Digest,
    /// Of the cookie of the browser that begins it; `None` where the way back is pasted on the command line.
    pub cookie_hash: Option<Digest>,
    /// Who asks.
    pub client_id: ClientId,
    /// What Foxy is asked for.
    pub scope: String,
    /// Where Foxy sends the person back to.
    pub redirect_uri: String,
    /// For how long the person may be away.
    pub lifetime: Duration,
}

/// What beginning a trip came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// The person may go. Until when they have to be back; epoch milliseconds.
    Trip {
        /// Until when.
        expires_at_ms: i64,
    },
    /// The grant has ended, its time is over, or it waits to be confirmed.
    NotOpen(Grant),
    /// There is no such grant.
    NotFound,
}

/// What spending a trip came to. But for the first, nothing may be done with the code that came along.
#[derive(Debug)]
pub enum Spent {
    /// It is spent, by this caller and no other.
    Spent(Box<Back>),
    /// It is spent by this caller, and its grant has ended meanwhile, or waits to be confirmed.
    GrantEnded(Box<Back>),
    /// It was spent before.
    Before(Trip),
    /// The person was away for too long. It is spent by this.
    Expired(Trip),
    /// It began in another browser, or on the command line. It is not spent by this.
    OtherBrowser,
    /// No trip has this state.
    Unknown,
}

/// A trip that a browser asks about.
#[derive(Debug)]
pub enum Seen {
    /// It began in this browser.
    Own(Box<Back>),
    /// It began in another browser, or on the command line.
    OtherBrowser,
    /// There is no such trip.
    Unknown,
}

/// A person who is back from Foxy.
#[derive(Debug, Clone)]
pub struct Back {
    /// The trip.
    pub trip: Trip,
    /// What it was for.
    pub grant: Grant,
    /// For whom.
    pub provisioning: Provisioning,
}

impl Ledger {
    /// Begins a trip for a grant that is open. Beginning the same one again, after a lost answer, is harmless.
    ///
    /// # Errors
    /// When the commit did not happen or is not known to have, or a row is damaged.
    pub async fn begin_trip(&self, grant: &GrantId, trip: NewTrip) -> Result<Begun, LedgerError> {
        let grant = grant.clone();
        let work = self.transaction(async move |txn, now| {
            // Locked, so that no trip begins for a grant that ends meanwhile.
            let found = grant::Entity::find_by_id(grant.as_str()).lock_exclusive().one(txn).await?;
            let Some(grant) = found.map(Grant::from_row).transpose()? else { return Ok(RollBack(Begun::NotFound)) };
            if !grant.is_open_at(now) {
                return Ok(RollBack(Begun::NotOpen(grant)));
            }
            let expires_at = now + millis(trip.lifetime);
            let row = ActiveModel {
                id: Set(trip.id.to_string()),
                grant_id: Set(grant.id.to_string()),
                state_hash: Set(trip.state_hash.to_vec()),
                cookie_hash: Set(trip.cookie_hash.map(|hash| hash.to_vec())),
                client_id: Set(trip.client_id.to_string()),
                scope: Set(trip.scope),
                redirect_uri: Set(trip.redirect_uri),
                started_at: Set(now),
                expires_at: Set(expires_at),
                spent_at: Set(None),
                ending: Set(None),
            };
            let known = OnConflict::column(Column::Id).do_nothing().to_owned();
            Entity::insert_many([row]).on_conflict(known).exec_without_returning(txn).await?;
            Ok(Commit(Begun::Trip { expires_at_ms: expires_at }))
        });
        self.detached("begin_trip", work).await
    }

    /// Spends a trip, by the hashes of what the person's browser has brought back; once, whoever else does at the same
    /// moment. `ending` is what is known of it by then: that it was denied, or has failed.
    ///
    /// # Errors
    /// When the commit did not happen or is not known to have: it may be spent then. The person begins another.
    pub async fn spend_trip(
        &self,
        state_hash: Digest,
        cookie_hash: Option<Digest>,
        ending: Option<TripEnding>,
    ) -> Result<Spent, LedgerError> {
        let work = self.transaction(async move |txn, now| {
            let found = Entity::find().filter(Column::StateHash.eq(state_hash.to_vec())).lock_exclusive();
            let Some(row) = found.one(txn).await? else { return Ok(RollBack(Spent::Unknown)) };
            // Both are hashes of 256 random bits, so how long comparing takes tells nothing of use.
            if row.cookie_hash.as_deref() != cookie_hash.as_ref().map(<[u8; 32]>::as_slice) {
                return Ok(RollBack(Spent::OtherBrowser));
            }
            let trip = Trip::from_row(row)?;
            if trip.spent_at_ms.is_some() {
                return Ok(RollBack(Spent::Before(trip)));
            }
            let is_late = trip.expires_at_ms <= now;
            let ending = if is_late { Some(TripEnding::Expired) } else { ending };
            Entity::update_many()
                .col_expr(Column::SpentAt, Expr::val(now))
                .col_expr(Column::Ending, Expr::val(ending.map(TripEnding::as_str)))
                .filter(Column::Id.eq(trip.id.as_str()))
                .exec(txn)
                .await?;
            let trip = Trip { spent_at_ms: Some(now), ending, ..trip };
            if is_late {
                return Ok(Commit(Spent::Expired(trip)));
            }
            let gone = |id: &str| LedgerError::NotOurs { id: id.to_owned() };
            let grant = read_grant(txn, &trip.grant).await?.ok_or_else(|| gone(trip.grant.as_str()))?;
            let row = provisioning::Entity::find_by_id(grant.provisioning.as_str()).one(txn).await?;
            let provisioning = Provisioning::from_row(row.ok_or_else(|| gone(grant.provisioning.as_str()))?)?;
            // The grant's own time counts when a trip begins, and not while a person is away.
            let is_open = grant.state == GrantState::Open;
            let back = Box::new(Back { trip, grant, provisioning });
            Ok(Commit(if is_open { Spent::Spent(back) } else { Spent::GrantEnded(back) }))
        });
        self.detached("spend_trip", work).await
    }

    /// A trip with what it is for, for the browser in which it began. Changes nothing.
    ///
    /// # Errors
    /// When the database does not answer, or a row is damaged.
    pub async fn see_trip(&self, id: &TripId, cookie_hash: Digest) -> Result<Seen, LedgerError> {
        let (ledger, id) = (self.clone(), id.clone());
        self.detached("see_trip", async move {
            let Some(row) = Entity::find_by_id(id.as_str()).one(&ledger.db).await? else { return Ok(Seen::Unknown) };
            if row.cookie_hash.as_deref() != Some(cookie_hash.as_slice()) {
                return Ok(Seen::OtherBrowser);
            }
            let trip = Trip::from_row(row)?;
            let found = ledger.find_grant(&trip.grant).await?;
            let (grant, provisioning) = found.ok_or_else(|| LedgerError::NotOurs { id: trip.grant.to_string() })?;
            Ok(Seen::Own(Box::new(Back { trip, grant, provisioning })))
        })
        .await
    }
}
