//! What the log says of a trip's end.

use foxden_ledger::{Back, KeptGrant};

use super::{Ended, Granting};

impl Granting {
    pub(super) fn report(back: &Back, ended: &Ended) {
        let (signup_id, grant) = (back.provisioning.signup_id.as_str(), back.grant.id.as_str());
        match ended {
            Ended::Kept(
                KeptGrant::Kept(_)
                | KeptGrant::Beside(_)
                | KeptGrant::Unconfirmed(_)
                | KeptGrant::Known(_)
                | KeptGrant::Wiped(_),
            )
            | Ended::InEscrow => tracing::info!(
                event = "grant.kept",
                signup_id,
                grant,
                in_escrow = matches!(ended, Ended::InEscrow),
                "a person has granted access; the sealed token is kept",
            ),
            Ended::Kept(KeptGrant::StoreOfAnother(other)) => {
                not_kept(signup_id, grant, &format!("it is that of {other}"));
            }
            Ended::Kept(KeptGrant::NotWanted(_) | KeptGrant::NotFound | KeptGrant::Moved(_)) => {
                not_kept(signup_id, grant, "the signup has no use for it any more");
            }
            Ended::Wrong(wrong) => not_kept(signup_id, grant, &wrong.to_string()),
            Ended::OtherScope => not_kept(signup_id, grant, "it is of another scope"),
            Ended::Denied => {
                tracing::info!(
                    event = "grant.denied",
                    signup_id,
                    grant,
                    "a person did not grant access; the link stays good"
                );
            }
            Ended::GrantEnded => {
                tracing::info!(event = "grant.over", signup_id, grant, "a person came back for a grant that had ended");
            }
            Ended::Failed(why) => {
                tracing::warn!(
                    event = "grant.failed",
                    signup_id,
                    grant,
                    why,
                    "no token came of a person's trip to Foxy"
                );
            }
            Ended::Unopenable(error) => tracing::error!(
                event = "grant.failed",
                signup_id,
                grant,
                error = error as &dyn std::error::Error,
                "the signup's contents can't be opened, so no grant can be judged",
            ),
        }
    }
}

fn not_kept(signup_id: &str, grant: &str, why: &str) {
    tracing::warn!(
        event = "grant.wrong",
        signup_id,
        grant,
        why,
        "access was granted to something else than was asked for; the token was not kept",
    );
}
