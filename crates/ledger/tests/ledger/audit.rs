//! The audit is appended to, and nothing else.

use foxden_ledger::{Act, By, Deed, Ledger, SignupId};
use sea_orm::{ConnectionTrait as _, Database};

fn s1() -> SignupId {
    SignupId::parse("s1").unwrap()
}

pub(crate) async fn the_audit_is_appended_to_never_changed(ledger: Ledger, url: &str) {
    ledger.audit(&By::new("ada"), Deed::to(Act::OpenToken, &s1())).await.unwrap();
    let meddler = Database::connect(url).await.unwrap();
    let mut statements = vec!["UPDATE audit SET who = 'nobody'", "DELETE FROM audit"];
    if url.starts_with("sqlite:") {
        let columns = "at, 'nobody', act, signup_id, scope, reason, detail FROM audit";
        statements.extend([
            &*format!("INSERT OR REPLACE INTO audit SELECT id, {columns}").leak(),
            &*format!("REPLACE INTO audit SELECT id, {columns}").leak(),
            // The row's other key.
            &*format!(
                "INSERT OR REPLACE INTO audit (rowid, id, at, who, act, signup_id, scope, reason, detail) \
                 SELECT rowid, 'another', {columns}"
            )
            .leak(),
            "UPDATE OR REPLACE audit SET who = 'nobody'",
            "PRAGMA recursive_triggers = 1; DELETE FROM audit",
        ]);
    }
    for statement in statements {
        let refused = meddler.execute_unprepared(statement).await.unwrap_err().to_string();
        assert!(refused.contains("appended to, never changed"), "{refused}");
    }
    meddler.close().await.unwrap();
    assert_eq!(ledger.audit_of(&s1(), 10).await.unwrap()[0].who, "ada");
}
