//! The ledger belongs to one Foxy: its users, stores and tokens exist there and nowhere else.
//!
//! A ledger takes the Foxy of the first worker, or the first other command that calls Foxy. From then on everything
//! that opens the ledger compares, and refuses settings that name another: tokens would go to a Foxy that did not
//! make them, and lookups there would find nothing, which reads as "the call had no effect".

use std::path::PathBuf;

use anyhow::Context as _;
use foxden_ledger::{BooksId, FoxyOrigin, Ledger, WhichFoxy};
use foxy_api::ApiOrigins;

use crate::{
    addresses::Addresses,
    settings::{DatabaseSettings, FoxyApi, FoxySettings},
    terminal::printable,
    wiring::{self, FoxySide},
};

/// Settings that name another Foxy than the ledger's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OtherFoxy {
    /// The ledger says which.
    #[error(
        "the ledger at {ledger} belongs to {belongs_to}, and the settings name {named} (FOXDEN_FOXY_API{}). Nothing was \
         done; set {}, or name that Foxy's ledger with FOXDEN_DATABASE_URL; if both are the same Foxy: foxden migrate rebind",
        if is_of_a_simulator(.named) { ", FOXDEN_SIMULATOR_BOOKS" } else { "" },
        setting_of(.belongs_to)
    )]
    Named {
        /// Where the ledger is.
        ledger: String,
        /// Its Foxy.
        belongs_to: WhichFoxy,
        /// That of the settings.
        named: WhichFoxy,
    },
    /// The ledger belongs to a simulator, and there are no books to compare with.
    #[error(
        "the ledger at {ledger} belongs to {belongs_to}, and its books are not at {} (FOXDEN_SIMULATOR_BOOKS). Nothing was \
         done; name the books, or another ledger with FOXDEN_DATABASE_URL; if the books were begun again elsewhere: foxden migrate \
         rebind",
        books.display()
    )]
    NoBooks {
        /// Where the ledger is.
        ledger: String,
        /// Its Foxy.
        belongs_to: WhichFoxy,
        /// Where the books should be.
        books: PathBuf,
    },
    /// The settings name a simulator that has no books yet, so no ledger can belong to it.
    #[error(
        "the ledger at {ledger} belongs to {belongs_to}, and the settings name a simulator that has no books yet \
         (FOXDEN_FOXY_API, FOXDEN_SIMULATOR_BOOKS). Nothing was done; set {}, or name that simulator's ledger with \
         FOXDEN_DATABASE_URL",
        setting_of(.belongs_to)
    )]
    NewSimulator {
        /// Where the ledger is.
        ledger: String,
        /// Its Foxy.
        belongs_to: WhichFoxy,
    },
    /// The ledger was written by an earlier release, which did not write down which Foxy it is, and holds addresses of
    /// another one.
    #[error(
        "the ledger at {ledger} has a user at {address}, which is not at {named} (FOXDEN_FOXY_API). Nothing was done; set \
         FOXDEN_FOXY_API to the Foxy it was used with, or name another ledger with FOXDEN_DATABASE_URL"
    )]
    Addresses {
        /// Where the ledger is.
        ledger: String,
        /// Of a user, fit to be printed.
        address: String,
        /// The Foxy of the settings.
        named: WhichFoxy,
    },
}

const fn is_of_a_simulator(foxy: &WhichFoxy) -> bool {
    matches!(foxy, WhichFoxy::Simulator(_))
}

/// What to set, so that the settings name this one.
fn setting_of(foxy: &WhichFoxy) -> String {
    match foxy {
        WhichFoxy::Simulator(_) => {
            "FOXDEN_FOXY_API=simulator and FOXDEN_SIMULATOR_BOOKS to the books of that id".to_owned()
        }
        named => format!("FOXDEN_FOXY_API={named}"),
    }
}

/// The Foxy that these settings name; `None` for a simulator that has no books yet.
pub(crate) fn named_by(settings: &FoxySettings) -> anyhow::Result<Option<WhichFoxy>> {
    Ok(match &settings.api {
        FoxyApi::Production | FoxyApi::ProductionIo => Some(WhichFoxy::Production),
        FoxyApi::Sandbox => Some(WhichFoxy::Sandbox),
        FoxyApi::Url(url) => {
            Some(at(&ApiOrigins::explicit(url.as_str()).context("FOXDEN_FOXY_API")?).context("FOXDEN_FOXY_API")?)
        }
        FoxyApi::Simulator => {
            let id = foxy_sim::books_id(&settings.simulator.books).context("FOXDEN_SIMULATOR_BOOKS")?;
            id.map(|id| simulator(&id)).transpose()?
        }
    })
}

/// Reads a Foxy from the command line. Both names of production, given as URLs, are production.
pub(crate) fn parse(text: &str) -> Result<WhichFoxy, String> {
    let parsed: WhichFoxy = text.parse().map_err(|error: foxden_ledger::WhichFoxyError| error.to_string())?;
    match &parsed {
        WhichFoxy::Origin(origin) => {
            let origins = ApiOrigins::explicit(origin.as_str()).map_err(|error| error.to_string())?;
            at(&origins).map_err(|error| error.to_string())
        }
        _ => Ok(parsed),
    }
}

/// The Foxy that is at these origins, if no simulator of ours is.
pub(crate) fn at(origins: &ApiOrigins) -> anyhow::Result<WhichFoxy> {
    Ok(if origins.are_production() {
        WhichFoxy::Production
    } else if origins.are_sandbox() {
        WhichFoxy::Sandbox
    } else {
        WhichFoxy::Origin(FoxyOrigin::parse(&origins.to_string())?)
    })
}

/// The simulator with these books.
pub(crate) fn simulator(books_id: &str) -> anyhow::Result<WhichFoxy> {
    Ok(WhichFoxy::Simulator(BooksId::parse(books_id).context("the simulator's books have an id of another form")?))
}

/// Refuses settings that name another Foxy than the ledger's. A ledger that belongs to none yet is anyone's. So is a
/// simulator's ledger if there are no books to compare with, for a command that only looks into the ledger.
pub(crate) async fn compare(ledger: &Ledger, database: &DatabaseSettings, foxy: &FoxySettings) -> anyhow::Result<()> {
    match differs(ledger, database, foxy).await? {
        None | Some(OtherFoxy::NoBooks { .. }) => Ok(()),
        Some(other) => Err(other.into()),
    }
}

/// In what the Foxy of the settings differs from the ledger's, as far as that shows before a simulator is started.
async fn differs(
    ledger: &Ledger,
    database: &DatabaseSettings,
    foxy: &FoxySettings,
) -> anyhow::Result<Option<OtherFoxy>> {
    let named = named_by(foxy)?;
    let Some(belongs_to) = belongs_to(ledger).await? else { return Ok(None) };
    let ledger = database.url.display().to_string();
    Ok(match (&belongs_to, named) {
        (_, Some(named)) if named == belongs_to => None,
        (_, Some(named)) => Some(OtherFoxy::Named { ledger, belongs_to, named }),
        (WhichFoxy::Simulator(_), None) => {
            Some(OtherFoxy::NoBooks { ledger, belongs_to, books: foxy.simulator.books.clone() })
        }
        (_, None) => Some(OtherFoxy::NewSimulator { ledger, belongs_to }),
    })
}

/// The client of the ledger's Foxy. A ledger that belongs to none takes this one.
pub(crate) async fn foxy_of(
    ledger: &Ledger,
    database: &DatabaseSettings,
    settings: &FoxySettings,
) -> anyhow::Result<FoxySide> {
    let place = || database.url.display().to_string();
    // Before a simulator is started, which makes the books that it does not find.
    if let Some(other) = differs(ledger, database, settings).await? {
        return Err(other.into());
    }
    let side = wiring::foxy(settings).await?;
    let named = side.which.clone();
    let was_taken = belongs_to(ledger).await?.is_some();
    if !was_taken {
        let address = ledger.newest_user_uri().await.context("could not read which Foxy the ledger was used with")?;
        if let Some(address) = address.filter(|uri| Addresses::at(side.foxy.origins()).checked(uri).is_none()) {
            let address = printable(&address).into_owned();
            return Err(OtherFoxy::Addresses { ledger: place(), address, named }.into());
        }
    }
    let belongs_to = ledger.belong_to(&named).await.context("could not write down which Foxy the ledger belongs to")?;
    if belongs_to != named {
        return Err(OtherFoxy::Named { ledger: place(), belongs_to, named }.into());
    }
    if !was_taken {
        tracing::info!(
            event = "ledger.foxy_taken",
            which_foxy = %named,
            ledger = database.url.display(),
            "from now on this ledger belongs to this Foxy, and is refused to any other",
        );
    }
    Ok(side)
}

async fn belongs_to(ledger: &Ledger) -> anyhow::Result<Option<WhichFoxy>> {
    ledger.foxy().await.context("could not read which Foxy the ledger belongs to")
}
