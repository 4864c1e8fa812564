//! What a granted token does to the parked signup that it was for, whose row is locked.

use std::time::Duration;

use sea_orm::{ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _};

use crate::{
    connections::Transaction,
    credentials,
    entity::provisioning::{Column, Entity, Model},
    error::LedgerError,
    grants::{keep::Then, taken_over::has_taken_over},
    ids::ProvisioningId,
    outbox::{insert_event, tell_resumed},
    provisioning::Provisioning,
    record::{Facts, Next},
    state::{State, Step},
    transitions,
};

/// Closes a parked signup as provisioned, with what a recorded store does.
pub(crate) async fn close(
    txn: &Transaction,
    mut model: Model,
    uri: &str,
    then: &Then,
    now: i64,
) -> Result<Provisioning, LedgerError> {
    let facts = Facts { store_uri: Some(uri.to_owned()), ..Facts::default() };
    let id = ProvisioningId::from_row(model.id.clone());
    let keep_user_token = then.keep_user_token && !has_taken_over(txn, &id).await?;
    let next = Next::Provisioned { keep_payload: then.keep_payload, keep_user_token };
    transitions::advance(&mut model, &facts, &next, now);
    if then.store_domain.is_some() {
        model.store_domain.clone_from(&then.store_domain);
    }
    let closed = write(txn, model).await?;
    if !keep_user_token {
        credentials::wipe_user_tokens(txn, &closed.id, now).await?;
    }
    if let Some(provisioned) = then.provisioned {
        insert_event(txn, closed.id.as_str(), provisioned(&closed), now).await?;
    }
    Ok(closed)
}

/// Lets a parked signup continue under the user that was granted.
pub(crate) async fn go_on(
    txn: &Transaction,
    mut model: Model,
    uri: &str,
    then: &Then,
    now: i64,
) -> Result<Provisioning, LedgerError> {
    let was_in_doubt = model.step == Step::Store.as_str() && model.in_doubt;
    // Under a user that it has only now, the store's name is tried for the first time.
    let store_domain = then.store_domain.clone().filter(|_| model.step == Step::User.as_str());
    let facts = Facts { user_uri: Some(uri.to_owned()), store_domain, ..Facts::default() };
    let due = Next::Due { step: Step::Store, delay: Duration::ZERO, at_least: Duration::ZERO };
    transitions::advance(&mut model, &facts, &due, now);
    // What was in doubt of the store is looked up first. Of the user nothing is in doubt any more.
    model.in_doubt = was_in_doubt || model.restored_to.is_some();
    if model.in_doubt {
        model.state = State::Unknown.as_str().to_owned();
    } else {
        model.doubt_ended_at = None;
    }
    (model.retries, model.tries, model.tried_ms, model.lookups) = (0, 0, 0, 0);
    (model.refused, model.step_since) = (None, now);
    let resumed = write(txn, model).await?;
    tell_resumed(txn, resumed.id.as_str(), now).await?;
    Ok(resumed)
}

/// Writes a row that was parked until now.
async fn write(txn: &Transaction, mut model: Model) -> Result<Provisioning, LedgerError> {
    (model.parked_reason, model.parked_detail) = (None, None);
    model.epoch += 1;
    let all = model.clone().into_active_model().reset_all();
    Entity::update_many().set(all).filter(Column::Id.eq(&model.id)).exec(txn).await?;
    Provisioning::from_row(model)
}
