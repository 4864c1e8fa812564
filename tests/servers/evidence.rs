//! The evidence that workers leave in the ledger, read without their help.

use sea_orm::{ConnectionTrait as _, Database, Statement};

use crate::support::Place;

/// One row of evidence, with the boot that it is of.
pub(super) struct Evidence {
    pub(super) provisioning_id: String,
    pub(super) owner: String,
    pub(super) kind: String,
    pub(super) step: String,
    pub(super) outcome: String,
    pub(super) started_at: i64,
    pub(super) ended_at: i64,
}

/// All evidence of a place, in order.
pub(super) async fn evidence(place: &Place) -> Vec<Evidence> {
    let database = Database::connect(&place.settings["FOXDEN_DATABASE_URL"]).await.unwrap();
    let query = "SELECT provisioning_id, owner, kind, step, outcome, started_at, ended_at FROM attempts ORDER BY id";
    let rows = database.query_all_raw(Statement::from_string(database.get_database_backend(), query)).await.unwrap();
    let text = |row: &sea_orm::QueryResult, column| row.try_get::<String>("", column).unwrap();
    rows.iter()
        .map(|row| Evidence {
            provisioning_id: text(row, "provisioning_id"),
            owner: text(row, "owner"),
            kind: text(row, "kind"),
            step: text(row, "step"),
            outcome: text(row, "outcome"),
            started_at: row.try_get("", "started_at").unwrap(),
            ended_at: row.try_get("", "ended_at").unwrap(),
        })
        .collect()
}
