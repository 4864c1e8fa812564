//! The reckoning: the simulator's books, the ledger, and what was published and told, row for row.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::storm::STORE_EMAILS;
use crate::{
    servers::{evidence::Evidence, parent_app::Taken},
    support::Place,
};
use foxden_custody::{Custody, TokenRow};
use foxden_ledger::{Credential, Ledger, ParkedReason, Provisioning, Scope, State, Step};
use foxden_vault::KeyRing;
use foxy_sim::{BookedStore, BookedUser, Books};

/// The place's calls may take 2 s.
const NEARLY_TIMED_OUT_MS: i64 = 1900;

/// Everything there is to compare, and what was found wrong.
pub(super) struct Reckoning<'a> {
    pub(super) place: &'a Place,
    pub(super) published: &'a [String],
    pub(super) rows: &'a [Provisioning],
    pub(super) attempts: &'a [Evidence],
    pub(super) killed: &'a BTreeMap<String, i64>,
    pub(super) books: &'a Books,
    pub(super) outcomes: &'a [Taken],
    pub(super) wrong: Vec<String>,
    pub(super) lost: usize,
    pub(super) doubled: usize,
    /// Addresses on two rows.
    pub(super) shared: usize,
    pub(super) keeps_user_tokens: bool,
    pub(super) repeated_outcomes: usize,
    pub(super) resumed: usize,
}

impl Reckoning<'_> {
    /// Compares everything.
    pub(super) async fn reckon(&mut self) {
        self.every_signup_has_one_row();
        self.no_store_is_on_two_rows();
        let books = self.books;
        let users = self.by_signup(&books.users, |user| &user.email, "@customers.example", "user");
        let stores = self.by_signup(&books.stores, store_email, STORE_EMAILS, "store");
        let ledger = self.place.ledger().await;
        let ring = KeyRing::parse(&self.place.settings["FOXDEN_KEYS"]).unwrap();
        let custody = Custody::new(Arc::new(ring), "production");
        for row in self.rows {
            let made = (users.get(row.signup_id.as_str()).copied(), stores.get(row.signup_id.as_str()).copied());
            self.row(&ledger, &custody, row, made).await;
        }
        ledger.close().await.unwrap();
        self.outcomes_tell_what_became_of_each();
    }

    fn expect(&mut self, holds: bool, row: &Provisioning, rule: &str) {
        if !holds {
            self.wrong.push(format!("{}: {rule}: {row:?}", row.signup_id));
        }
    }

    fn every_signup_has_one_row(&mut self) {
        let ids: BTreeSet<&str> = self.rows.iter().map(|row| row.signup_id.as_str()).collect();
        let published: BTreeSet<&str> = self.published.iter().map(String::as_str).collect();
        let missing: Vec<&&str> = published.difference(&ids).collect();
        self.lost = missing.len();
        if !missing.is_empty() {
            self.wrong.push(format!("published, and not in the ledger: {missing:?}"));
        }
        if self.rows.len() != ids.len() || !ids.is_subset(&published) {
            self.wrong.push(format!("{} rows for {} signups", self.rows.len(), published.len()));
        }
    }

    /// Whatever two signups want: an address that stands on two rows would give one customer's shop to another.
    fn no_store_is_on_two_rows(&mut self) {
        let mut seen = BTreeMap::new();
        for row in self.rows {
            if let Some(uri) = &row.store_uri
                && let Some(other) = seen.insert(uri.as_str(), &row.signup_id)
            {
                self.shared += 1;
                self.wrong.push(format!("{other} and {} have one store: {uri}", row.signup_id));
            }
        }
    }

    /// What was made for each signup: one at most, and nothing that is nobody's.
    fn by_signup<'b, T>(
        &mut self,
        made: &'b [T],
        name: impl Fn(&'b T) -> &'b str,
        after: &str,
        what: &str,
    ) -> BTreeMap<String, &'b T> {
        let mut all = BTreeMap::new();
        for one in made {
            let signup = name(one).strip_suffix(after);
            match signup.filter(|id| self.rows.iter().any(|row| row.signup_id.as_str() == *id)) {
                None => self.wrong.push(format!("a {what} that is no signup's: {}", name(one))),
                Some(id) => {
                    if all.insert(id.to_owned(), one).is_some() {
                        self.doubled += 1;
                        self.wrong.push(format!("{id} has more than one {what}"));
                    }
                }
            }
        }
        all
    }

    /// Whether the row's user is the one that was made for it, or for the signup whose user it shares.
    fn user_is_ours(&self, row: &Provisioning, own: Option<&BookedUser>) -> bool {
        let Some(owner) = &row.user_from else {
            return own.is_some_and(|user| Some(&user.uri) == row.user_uri.as_ref());
        };
        let Some(owner) = self.rows.iter().find(|other| other.id == *owner) else { return false };
        // One whose own call was in doubt may have made a user that is left behind (decision 0032).
        let was_in_doubt = self.attempts.iter().any(|attempt| {
            attempt.provisioning_id == row.id.as_str()
                && (&*attempt.kind, &*attempt.outcome) == ("lookup", "user_reused")
        });
        (own.is_none() || was_in_doubt)
            && owner.account_id.is_some()
            && owner.account_id == row.account_id
            && owner.is_provisioned()
            && owner.user_uri == row.user_uri
    }

    async fn row(
        &mut self,
        ledger: &Ledger,
        custody: &Custody,
        row: &Provisioning,
        (user, store): (Option<&BookedUser>, Option<&BookedStore>),
    ) {
        let kept = ledger.credentials(&row.id).await.unwrap();
        let sealed = |scope| kept.iter().filter(move |held| held.scope == scope && held.sealed.is_some());
        let user_is_ours = self.user_is_ours(row, user);
        // A user's token is with the signup it was made for.
        let kept_tokens = usize::from(row.user_from.is_none());
        match (row.state, row.parked_reason) {
            (State::Closed, None) => {
                self.expect(row.step == Step::Done, row, "closed is the end");
                self.expect(user_is_ours, row, "its user is in the books");
                let store_is_ours = store.is_some_and(|store| {
                    Some(&store.uri) == row.store_uri.as_ref()
                        && Some(&store.domain) == row.store_domain.as_ref()
                        && Some(&store.owner) == row.user_uri.as_ref()
                });
                self.expect(store_is_ours, row, "its store is in the books, and its user's");
                let held: Vec<&Credential> = sealed(Scope::Store).collect();
                self.expect(held.len() == 1, row, "it has one sealed token of its store");
                let opens = held.iter().all(|held| {
                    let token = custody.open_token(&TokenRow::of(row, held), held.sealed.as_ref().unwrap());
                    let grant = token.ok().and_then(|token| self.place.sim.refresh_token_opens(token.expose()));
                    grant.is_some_and(|grant| grant.scope == "store_full_access" && Some(grant.uri) == row.store_uri)
                });
                self.expect(opens, row, "its envelope opens to a token of exactly its store");
                let kept = if self.keeps_user_tokens { kept_tokens } else { 0 };
                self.expect(sealed(Scope::User).count() == kept, row, "its user's token is wiped, or kept as asked");
            }
            (State::Parked, Some(ParkedReason::UserTokenLost)) => {
                self.expect(row.step == Step::User, row, "a lost user token parks the user step");
                self.expect(user.is_some() && store.is_none(), row, "there is a user and no store");
                self.expect(sealed(Scope::User).count() == 0, row, "its user's token is not in the ledger");
                self.loss_is_explained(row, user.is_some_and(|user| user.answered));
            }
            (State::Parked, Some(ParkedReason::EmailInDoubt)) => {
                self.expect(row.step == Step::User, row, "an email in doubt parks the user step");
                self.expect(user.is_some() && store.is_none(), row, "there is a user and no store");
                self.expect(sealed(Scope::User).count() == 0, row, "its user's token is not in the ledger");
            }
            (State::Parked, Some(ParkedReason::StoreTokenLost)) => {
                self.expect(row.step == Step::Store, row, "a lost store token parks the store step");
                self.expect(user_is_ours && store.is_some(), row, "there are its user and its store");
                self.expect(sealed(Scope::Store).count() == 0, row, "its store's token is not in the ledger");
                self.expect(sealed(Scope::User).count() == kept_tokens, row, "its user's token is kept");
                self.loss_is_explained(row, store.is_some_and(|store| store.answered));
            }
            _ => self.expect(false, row, "it came to rest in a way that no fault explains"),
        }
    }

    /// A token may be lost where the simulator kept its answer back, or the worker that waited for it was killed; but none
    /// that was in an escrow once.
    fn loss_is_explained(&mut self, row: &Provisioning, answered: bool) {
        let scope = if row.step == Step::User { Scope::User } else { Scope::Store };
        let was_kept = self.kept_in_escrow().contains(&(row.signup_id.to_string(), scope.as_str().to_owned()));
        self.expect(!was_kept, row, "its token was lost, and had been in an escrow");
        let of_step =
            |attempt: &&Evidence| attempt.provisioning_id == row.id.as_str() && attempt.step == row.step.as_str();
        let mut of_step = self.attempts.iter().filter(of_step);
        // On a machine too busy to read in time, the call may have timed out as its answer came.
        let timed_out = |a: &Evidence| a.ended_at - a.started_at >= NEARLY_TIMED_OUT_MS;
        let by_fault = |a: &Evidence| {
            a.kind == "create"
                && matches!(a.outcome.as_str(), "unknown" | "unknown_on_kept_connection" | "token_lost")
                && (!answered || timed_out(a))
        };
        let by_kill = |a: &Evidence| a.kind == "expired" && self.killed.contains_key(&a.owner);
        let explained = of_step.any(|attempt| by_kill(attempt) || by_fault(attempt));
        self.expect(explained, row, "its token was lost, and no fault or kill explains it");
    }

    /// The tokens that the workers' logs tell of having kept in an escrow: by signup id and scope.
    fn kept_in_escrow(&self) -> BTreeSet<(String, String)> {
        let files = std::fs::read_dir(self.place.dir.path()).unwrap().map(|file| file.unwrap().path());
        let logs = files.filter(|path| path.extension().is_some_and(|suffix| suffix == "log"));
        let lines = logs.flat_map(|path| {
            let log = std::fs::read_to_string(path).unwrap();
            log.lines().filter(|line| line.contains("\"escrow.kept\"")).map(str::to_owned).collect::<Vec<_>>()
        });
        lines
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(&line).ok())
            .map(|line| (line["signup_id"].as_str().unwrap().to_owned(), line["scope"].as_str().unwrap().to_owned()))
            .collect()
    }

    /// At least one outcome event for each row, its last one of the right kind, in an order that makes sense. An event may
    /// come again, under its id.
    fn outcomes_tell_what_became_of_each(&mut self) {
        let mut told: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for outcome in self.outcomes {
            let outcome = outcome.json();
            let text = |name: &str| outcome[name].as_str().unwrap().to_owned();
            let reason = outcome["data"]["reason"].as_str().unwrap_or_default().to_owned();
            if seen.insert(text("id")) {
                self.resumed += usize::from(text("type").contains("resumed"));
                told.entry(text("subject")).or_default().push((text("type"), reason));
            } else {
                self.repeated_outcomes += 1;
            }
        }
        for row in self.rows {
            let told = told.remove(row.signup_id.as_str()).unwrap_or_default();
            let words: Vec<(&str, &str)> = told
                .iter()
                .map(|(kind, reason)| {
                    let word = kind.strip_prefix("com.foxden.signup.").and_then(|kind| kind.strip_suffix(".v1"));
                    (word.unwrap_or(kind), reason.as_str())
                })
                .collect();
            let right = match (words.last(), row.parked_reason) {
                (Some(("provisioned", "")), None) => row.state == State::Closed,
                (Some(("parked", reason)), Some(parked)) => *reason == parked.as_str(),
                _ => false,
            };
            let pairs = words.len().saturating_sub(1);
            let in_order = pairs.is_multiple_of(2)
                && words[..pairs].chunks(2).all(|pair| pair[0].0 == "parked" && pair[1].0 == "resumed");
            self.expect(right && in_order, row, &format!("the parent app was told {words:?}"));
        }
        if !told.is_empty() {
            self.wrong.push(format!("outcome events of no signup: {:?}", told.keys()));
        }
    }
}

/// By this a store is known: its name may be several signups'.
fn store_email(store: &BookedStore) -> &str {
    store.properties["store_email"].as_str().unwrap()
}
