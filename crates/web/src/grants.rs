//! What the pages need of grants, as a trait that the program implements.

use async_trait::async_trait;
use foxden_vault::AuthorizationCode;
use url::Url;

use crate::{
    names::{ChoiceId, Ticket, TripId},
    secret::{CookieHash, StateHash},
};

/// Grants as the pages see them.
///
/// The pages hand over hashes of what a browser carries, never the texts themselves. No call is repeated here. Calls
/// that change something run in a task of their own: a browser that hangs up does not cut them off.
#[async_trait]
pub trait Grants: Send + Sync + 'static {
    /// What a link leads to. Changes nothing: programs that scan mail fetch links too.
    async fn look(&self, ticket: &Ticket) -> Result<Link, Unavailable>;

    /// Begins a trip in the browser of this cookie.
    async fn begin(&self, ticket: &Ticket, state: StateHash, cookie: CookieHash) -> Result<Departure, Unavailable>;

    /// A browser came back from Foxy. Spends the trip in the transaction that finds it, and only the call that spends
    /// it uses the code. It may answer before the code was exchanged: the trip is [`Ending::Pending`] until then.
    ///
    /// # Errors
    /// Only if the trip is as it was, or if that is not known. The person may then send the same answer again.
    async fn arrive(&self, state: StateHash, cookie: CookieHash, answer: Answer) -> Result<Arrival, Unavailable>;

    /// Where a trip stands, for the browser in which it began. Changes nothing.
    async fn trip(&self, trip: &TripId, cookie: CookieHash) -> Result<Whose<Trip>, Unavailable>;

    /// The person chose one of the stores that this trip offered. A choice that was made before stays as it was.
    async fn choose(&self, trip: &TripId, cookie: CookieHash, choice: &ChoiceId) -> Result<Whose<()>, Unavailable>;
}

/// Grants can't be asked now, such as while the database is away. Its text is logged, so it must hold nothing secret.
#[derive(Debug, thiserror::Error)]
#[error("grants can't be asked now")]
pub struct Unavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// What a link leads to.
#[derive(Clone, Debug)]
pub enum Link {
    /// A grant that waits for this person.
    Open(Asked),
    /// A grant that no longer waits.
    Ended(Asked, Ended),
    /// No grant that we know of: forged, mistyped, or of another installation.
    Unknown,
}

/// Why a grant no longer waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// What was asked for is there.
    Done,
    /// Its time was over.
    Expired,
    /// It is no longer needed.
    Withdrawn,
}

/// What a grant asks for, in the words that a page needs.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Why.
    pub reason: Reason,
    /// Access to what.
    pub wanted: Wanted,
    /// What the store is called, where known: its name or its domain. Shown as it is, so it need not be safe.
    pub store: Option<String>,
}

/// Why a person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// They have a store or a user at Foxy that the platform doesn't know yet.
    Connect,
    /// The platform's token of a store of theirs was lost or refused.
    Recover,
    /// They have a user at Foxy, under which the platform is to make a store.
    TakeOver,
    /// The platform has another OAuth client now.
    Reconnect,
}

/// Access to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The person's user at Foxy.
    User,
    /// One store.
    Store,
}

/// The answer to a person who wants to go to Foxy.
#[derive(Clone, Debug)]
pub enum Departure {
    /// A trip has begun. This is Foxy's authorization URL with all its parameters but `state`, which is added here.
    To(Url),
    /// The link leads to nothing open any more; its page says why.
    Closed,
}

/// What a browser brought back from Foxy (RFC 6749 section 4.1.2).
#[derive(Clone, Debug)]
pub enum Answer {
    /// The person agreed.
    Code(AuthorizationCode),
    /// The person, or Foxy, did not.
    Error(OAuthError),
}

/// The errors of RFC 6749 section 4.1.2.1. What Foxy says beside them comes through the browser, where anyone could
/// write it, so it goes no further than this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OAuthError {
    /// The person said no.
    AccessDenied,
    /// `invalid_request`: ours was malformed.
    InvalidRequest,
    /// `unauthorized_client`: the client may not ask like this.
    UnauthorizedClient,
    /// `unsupported_response_type`.
    UnsupportedResponseType,
    /// `invalid_scope`.
    InvalidScope,
    /// `server_error`: Foxy's.
    ServerError,
    /// `temporarily_unavailable`: Foxy's.
    TemporarilyUnavailable,
    /// A word that the RFC doesn't have.
    Other,
}

/// What became of an answer of Foxy's.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// It belongs to this trip of this browser, spent now or earlier.
    Trip(TripId),
    /// The trip began in another browser. It was not spent.
    OtherBrowser,
    /// There is no such trip.
    Unknown,
}

/// Something of a trip, for the browser in which it began.
#[derive(Clone, Debug)]
pub enum Whose<T> {
    /// This browser's.
    Own(T),
    /// Another browser's.
    OtherBrowser,
    /// Nothing of that name.
    Unknown,
}

/// Where a trip stands.
#[derive(Clone, Debug)]
pub struct Trip {
    /// The grant that it is for.
    pub grant_id: String,
    /// The signup that it is for.
    pub signup_id: String,
    /// What was asked for.
    pub asked: Asked,
    /// The link's ticket, while the person may still try again.
    pub again: Option<Ticket>,
    /// How it ended, if it has.
    pub ending: Ending,
}

/// How a trip ended.
#[derive(Clone, Debug)]
pub enum Ending {
    /// Not yet: the code is being exchanged, or what it opens is being looked at.
    Pending,
    /// Not yet: the person is to choose one of these.
    Choose(Vec<Choice>),
    /// What was asked for was granted.
    Granted,
    /// What was asked for had been granted before, by another trip.
    AlreadyDone,
    /// The person said no.
    Denied,
    /// Foxy, or we, could not do it.
    Failed,
    /// Access to something else was granted, and is not used.
    Wrong,
    /// The person took longer than a trip may take.
    Expired,
}

/// A store to choose.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Comes back if it is chosen.
    pub id: ChoiceId,
    /// What it is called. Shown as it is, so it need not be safe.
    pub name: String,
    /// Its domain, beside the name.
    pub domain: Option<String>,
}
