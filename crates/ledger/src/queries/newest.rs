//! The newest envelopes: what a key ring is tried on.

use std::{cmp::Reverse, collections::HashMap};

use foxden_vault::KeyId;
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Select, sea_query::Expr};

use crate::{
    connect::Ledger,
    entity::{
        credential,
        provisioning::{Column, Entity, Model},
    },
    error::{LedgerError, leave_out_damaged},
    keys::{Contents, bytes},
    provisioning::Provisioning,
    query::{self, Credential},
};

impl Ledger {
    /// The newest sealed events, and the newest sealed tokens with their signups: at most this many of each; rows that
    /// can't be read are left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn newest_sealed(
        &self,
        limit: u64,
    ) -> Result<(Vec<Provisioning>, Vec<(Provisioning, Credential)>), LedgerError> {
        let (ledger, keys) = (self.clone(), self.keys_in_use().await?);
        let (rows, tokens, owners) = self
            .detached("newest_sealed", async move {
                let (mut rows, mut tokens) = (Vec::new(), Vec::new());
                // Most envelopes are wiped, and there is no index of the others but that by key.
                for key in keys {
                    let events = of_key(Entity::find(), Contents::Event, key);
                    rows.extend(events.order_by_desc(Column::Id).limit(limit).all(&ledger.db).await?);
                    let held = of_key(credential::Entity::find(), Contents::Token, key);
                    tokens.extend(held.order_by_desc(credential::Column::Id).limit(limit).all(&ledger.db).await?);
                }
                rows.sort_by_key(|row: &Model| Reverse(row.id.clone()));
                tokens.sort_by_key(|token: &credential::Model| Reverse(token.id.clone()));
                let at_most = usize::try_from(limit).unwrap_or(usize::MAX);
                rows.truncate(at_most);
                tokens.truncate(at_most);
                let ids = tokens.iter().map(|token| token.provisioning_id.as_str());
                let owners = Entity::find().filter(Column::Id.is_in(ids)).all(&ledger.db).await?;
                Ok((rows, tokens, owners))
            })
            .await?;
        let owners: HashMap<String, Model> = owners.into_iter().map(|owner| (owner.id.clone(), owner)).collect();
        let owned = tokens.into_iter().filter_map(|token| Some((owners.get(&token.provisioning_id)?.clone(), token)));
        let tokens = leave_out_damaged(
            owned.map(|(owner, token)| Ok::<_, LedgerError>((Provisioning::from_row(owner)?, query::read(token)?))),
        );
        Ok((leave_out_damaged(rows.into_iter().map(Provisioning::from_row)), tokens))
    }
}

/// Those that are sealed with a key, in the words of the indexes by key.
fn of_key<E: EntityTrait>(query: Select<E>, contents: Contents, key: KeyId) -> Select<E> {
    let (_, column) = contents.place();
    let key_id = Expr::cust(format!("substr({column}, 5, 8)")).eq(bytes(key));
    query.filter(Expr::cust(format!("{column} IS NOT NULL"))).filter(key_id)
}
