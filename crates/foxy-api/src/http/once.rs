//! What is sent once, whatever comes of it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use foxden_vault::ClientSecret;
use reqwest::header::CONTENT_TYPE;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::fate::Watched;
use super::{Caller, Failure, Fate, Http, Verb};
use crate::answer::Answer;
use crate::body::Body;
use crate::oauth::Grant;
use crate::pace::Turn;
use crate::{NotSent, ResourceUri, wiped};

impl Http {
    /// Sends a call that changes something, once. The deadline, if nearer, takes the call timeout's place.
    pub(crate) async fn change(
        &self,
        (verb, uri): (Verb, &ResourceUri),
        caller: Caller<'_>,
        body: Zeroizing<Vec<u8>>,
        deadline: Instant,
        turn: Option<Turn>,
    ) -> Result<Answer, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure { fate: Fate::NotSent(NotSent::DeadlinePassed), cause: None });
        }
        // A deletion works without its body, so it counts as read from the start.
        let handed_over = Arc::new(AtomicBool::new(verb == Verb::Delete));
        let body = Watched { body: wiped::sent(body).into(), handed_over: Arc::clone(&handed_over) };
        // First, so that a call that may not go costs no idle connection.
        let turn = self.pass(turn)?;
        let connection = self.changes.take().map_err(unbuilt)?;
        let request = connection
            .client
            .request(verb.method(), uri.url().clone())
            .timeout(self.call_timeout.min(left))
            .header(CONTENT_TYPE, "application/json")
            .body(reqwest::Body::wrap(body));
        let request = caller.introduced(request);
        let result = self.sent(&turn, &connection.client, request, caller.struck(), &handed_over).await;
        match result {
            Ok((answer, allowed_idle)) => {
                if let Body::Whole(_) = answer.body {
                    self.changes.keep(connection, allowed_idle);
                }
                Ok(answer)
            }
            Err(Failure { fate: Fate::ConnectionLost, cause }) if connection.was_used => {
                Err(Failure { fate: Fate::KeptConnectionLost, cause })
            }
            Err(failure) => Err(failure),
        }
    }

    /// Sends a code to the token endpoint, once.
    ///
    /// Its connection is its own: a server may close one that was kept just as the code is on its way, and a person
    /// would have to grant access again. One more handshake is nothing beside that.
    pub(crate) async fn exchange(
        &self,
        uri: &ResourceUri,
        code: &Grant,
        credentials: (&str, &ClientSecret),
    ) -> Result<Answer, Failure> {
        let turn = self.pass(None)?;
        let handed_over = Arc::new(AtomicBool::new(false));
        let body = Watched { body: wiped::sent(code.form()).into(), handed_over: Arc::clone(&handed_over) };
        let client = self.changes.fresh().map_err(unbuilt)?;
        let request = self.token_request(&client, uri, credentials).body(reqwest::Body::wrap(body));
        let struck = code.struck().client_secret(credentials.1);
        let (answer, _) = self.sent(&turn, &client, request, struck, &handed_over).await?;
        Ok(answer)
    }
}

/// A connection that could not be prepared.
fn unbuilt(error: reqwest::Error) -> Failure {
    Failure { fate: Fate::NotSent(NotSent::RequestInvalid), cause: Some(Arc::new(error.without_url())) }
}
