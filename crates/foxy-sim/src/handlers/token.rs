//! The token endpoint and its three grants (RFC 6749 sections 4.1.3, 4.4 and 6).

use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;

use super::{not_saved, token_object};
use crate::access;
use crate::allows::Allowed;
use crate::call::Call;
use crate::codes::Refusal;
use crate::core::Core;
use crate::faults::OldToken;
use crate::grants::{Grantee, Refresh, Source};
use crate::journal::Entry;
use crate::records::{Records, text};
use crate::reply::{Content, Reply};
use crate::resource::{Resource, Scope};

/// `POST /token`.
pub(crate) fn grant(core: &Core, records: &mut Records, call: &Call) -> Result<Reply, Reply> {
    let refuse = |error: &str, description: &str| Reply::oauth_error(StatusCode::BAD_REQUEST, error, description);
    let Some(form) = call.form_only() else {
        return Err(refuse("invalid_request", "The request body must be application/x-www-form-urlencoded"));
    };
    let grant_type = text(&form, "grant_type");
    if grant_type.is_empty() {
        return Err(refuse("invalid_request", "The grant type was not specified in the request"));
    }
    let client = access::oauth_client(records, call, &form)?;
    let (client_id, own_refresh_token) = (client.client_id.clone(), client.refresh_token.clone());
    let client = Resource::Client(client.id);

    let (grantee, refresh_token) = match grant_type {
        "client_credentials" => {
            let scope = text(&form, "scope");
            if scope.split_ascii_whitespace().any(|word| Scope::parse(word) != Some(Scope::Client)) {
                return Err(refuse("invalid_scope", "The scope requested is invalid for this client"));
            }
            // Although RFC 6749 section 4.4.3 advises against one (official foxyclient-php: README).
            (Grantee::of(client_id, client), Some(own_refresh_token))
        }
        "refresh_token" => {
            let token = text(&form, "refresh_token");
            if token.is_empty() {
                return Err(refuse("invalid_request", "Missing parameter: \"refresh_token\" is required"));
            }
            let grantee = records.grants.refresh(token).map(|refresh| &refresh.grantee);
            let grantee = grantee.filter(|grantee| grantee.client_id == client_id);
            let grantee = grantee.ok_or_else(|| refuse("invalid_grant", "Invalid refresh token"))?.clone();
            if let Some(old) = records.grants.replaced_by(token) {
                records.commit(Entry::Ended { refresh_token: old }).map_err(not_saved)?;
            }
            (grantee, Some(token.to_owned()))
        }
        "authorization_code" => {
            let code = text(&form, "code");
            if code.is_empty() {
                return Err(refuse("invalid_request", "Missing parameter: \"code\" is required"));
            }
            let redirect_uri = form.get("redirect_uri").and_then(|uri| uri.as_str());
            let grantee = match records.codes.take(code, &client_id, redirect_uri) {
                Ok(grantee) => grantee,
                Err(refusal) => {
                    if let Refusal::Replayed(refresh_token) = refusal
                        && core.allows.has(Allowed::ReplayEndsTokens)
                    {
                        records.grants.end_access_with(&refresh_token);
                        records.commit(Entry::Ended { refresh_token }).map_err(not_saved)?;
                    }
                    let description = "Authorization code doesn't exist or is invalid for the client";
                    return Err(refuse("invalid_grant", description));
                }
            };
            let grantee =
                call.other_grant.as_deref().and_then(|name| other(records, &grantee, name)).unwrap_or(grantee);
            let refresh_token = granted(core, records, &grantee)?;
            records.codes.exchanged(code, &refresh_token);
            (grantee, Some(refresh_token))
        }
        _ => return Err(refuse("unsupported_grant_type", "The grant type is not supported")),
    };
    let token = token_object(core, records, grantee, refresh_token.as_deref());
    // RFC 6749 section 5.1.
    Ok(Reply::json(StatusCode::OK, token).with_header(CACHE_CONTROL, "no-store"))
}

/// The same grant for the user of this email or the store of this domain. Its scope keeps its words where it can.
fn other(records: &Records, grantee: &Grantee, name: &str) -> Option<Grantee> {
    let user = records.user_by_email(name).map(|user| Resource::User(user.id));
    let resource = user.or_else(|| Some(Resource::Store(records.store_by_domain(name)?.id)))?;
    let words = grantee.words.clone().filter(|_| resource.scope() == grantee.resource.scope());
    Some(Grantee { words, ..Grantee::of(&grantee.client_id, resource) })
}

/// The refresh token of a grant.
fn granted(core: &Core, records: &mut Records, grantee: &Grantee) -> Result<String, Reply> {
    let mut present = records.grants.kept_for(grantee.resource).filter(|kept| kept.refresh.grantee.is_like(grantee));
    if core.allows.has(Allowed::GrantsSameToken)
        && let Some(kept) = present.next()
    {
        return Ok(kept.token.to_owned());
    }
    drop(present);
    let refresh_token = records.draw_token();
    let refresh = Refresh::begin(grantee.clone(), Source::Granted);
    records.commit(Entry::Granted { refresh_token: refresh_token.clone(), refresh }).map_err(not_saved)?;
    Ok(refresh_token)
}

/// Gives out another refresh token in the place of the one that was used, and answers with that.
pub(crate) fn rotate(records: &mut Records, call: &Call, old: OldToken, reply: &mut Reply) {
    let Some(form) = call.form_only() else { return };
    let used = text(&form, "refresh_token").to_owned();
    let Some(refresh) = records.grants.refresh(&used).cloned() else { return };
    let refresh_token = records.draw_token();
    let granted = records.commit(Entry::Granted { refresh_token: refresh_token.clone(), refresh });
    let ended = granted.and_then(|()| match old {
        OldToken::EndsAtOnce => records.commit(Entry::Ended { refresh_token: used }),
        OldToken::EndsWithFirstUse => {
            records.grants.replace_later(used, refresh_token.clone());
            Ok(())
        }
    });
    match (ended, &mut reply.content) {
        (Ok(()), Content::Json(token)) => token["refresh_token"] = refresh_token.into(),
        (Ok(()), _) => {}
        (Err(error), _) => *reply = not_saved(error),
    }
}
