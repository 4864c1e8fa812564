//! To which OAuth client each token was given: no other can use it.

use std::collections::BTreeSet;

use sea_orm::{ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _, sea_query::Expr};

use crate::{
    connect::Ledger,
    entity::credential::{Column, Entity, Model},
    error::LedgerError,
    ids::ProvisioningId,
    state::Scope,
    transactions::Ending::Commit,
    which_foxy::{ClientId, FoxyClient},
};

impl Ledger {
    /// Every client that a token was given to. Quick on a ledger of any size: one look into an index for each client.
    ///
    /// # Errors
    /// When the database does not answer, or a row has what is no client's id.
    pub async fn clients_in_use(&self) -> Result<BTreeSet<ClientId>, LedgerError> {
        let ledger = self.clone();
        self.detached("clients_in_use", async move {
            const NEXT: &str = "SELECT client_id, provisioning_id FROM credentials WHERE client_id IS NOT NULL \
                                AND sealed IS NOT NULL AND client_id > $1 ORDER BY client_id LIMIT 1";
            let (mut clients, mut seen) = (BTreeSet::new(), String::new());
            while let Some(row) = ledger.db.query_one_raw(ledger.statement(NEXT, [seen.into()])).await? {
                seen = row.try_get("", "client_id")?;
                let id = ClientId::parse(&seen);
                let id = id.map_err(|_| damaged(row.try_get("", "provisioning_id").unwrap_or_default()))?;
                clients.insert(id);
            }
            Ok(clients)
        })
        .await
    }

    /// Writes down to which client a token was given, of one whose row does not say so: Foxy has accepted it from
    /// this one.
    ///
    /// # Errors
    /// When the database does not answer. To repeat it is harmless.
    pub async fn given_to(
        &self,
        id: &ProvisioningId,
        (scope, intent): (Scope, u32),
        client: &FoxyClient,
    ) -> Result<(), LedgerError> {
        let (id, client) = (id.clone(), client.clone());
        let work = self.transaction(async move |txn, _| {
            Entity::update_many()
                .col_expr(Column::ClientId, Expr::val(client.id.as_str()))
                .col_expr(Column::WhichFoxy, Expr::val(client.foxy.to_string()))
                .filter(Column::ProvisioningId.eq(id.as_str()))
                .filter(Column::Scope.eq(scope.as_str()))
                .filter(Column::Intent.eq(i32::try_from(intent).unwrap_or(i32::MAX)))
                .filter(Column::ClientId.is_null())
                .exec(txn)
                .await?;
            Ok(Commit(()))
        });
        self.detached("given_to", work).await
    }
}

/// The client in a row; `None` for a token of an earlier release.
pub(crate) fn read(row: &Model) -> Result<Option<FoxyClient>, LedgerError> {
    let damaged = || damaged(row.provisioning_id.clone());
    match (&row.client_id, &row.which_foxy) {
        (None, None) => Ok(None),
        (Some(id), Some(foxy)) => {
            let id = ClientId::parse(id).map_err(|_| damaged())?;
            Ok(Some(FoxyClient { foxy: foxy.parse().map_err(|_| damaged())?, id }))
        }
        _ => Err(damaged()),
    }
}

fn damaged(id: String) -> LedgerError {
    LedgerError::Damaged { id, column: "client_id" }
}
