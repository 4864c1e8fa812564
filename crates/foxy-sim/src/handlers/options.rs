//! `OPTIONS`: which methods a resource takes from the caller.

use axum::http::header::ALLOW;
use axum::http::{Method, StatusCode};

use crate::access;
use crate::allows::Allowed;
use crate::call::Call;
use crate::core::Core;
use crate::records::Records;
use crate::reply::Reply;
use crate::resource::Resource;
use crate::routes::{self, Found, Route};

/// The methods among these that would not be refused for what [`Allows`](crate::Allows) leaves out.
pub(crate) fn answer(core: &Core, records: &Records, call: &Call, methods: &[&'static str]) -> Reply {
    let caller = match access::caller(records, call) {
        Ok(caller) => caller.map(|grantee| grantee.resource),
        Err(refusal) => return refusal,
    };
    let taken = |method: &&&str| match Method::from_bytes(method.as_bytes())
        .map(|method| routes::find(&method, call.uri.path()))
    {
        Ok(Found::Route(route, _)) => takes(core, caller, route),
        Ok(Found::OtherMethods(_) | Found::Nothing) | Err(_) => false,
    };
    let taken: Vec<_> = methods.iter().filter(taken).copied().collect();
    Reply::empty(StatusCode::NO_CONTENT).with_header(ALLOW, taken.join(", "))
}

fn takes(core: &Core, caller: Option<Resource>, route: Route) -> bool {
    let is_user = matches!(caller, Some(Resource::User(_)));
    let is_store = matches!(caller, Some(Resource::Store(_)));
    match route {
        Route::AddIntegration => is_store || (is_user && core.allows.has(Allowed::UserAddsStoreTokens)),
        Route::CreateStore => !is_store || core.allows.has(Allowed::StoreCreatesStores),
        Route::DeleteUser | Route::DeleteStore => core.allows.deletes(),
        Route::DeleteIntegration => core.allows.has(Allowed::RevokesStoreTokens),
        _ => true,
    }
}
