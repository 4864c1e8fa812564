//! The end of `FXD1`: from when a ledger has none left, one that turns up is refused.

use std::{ops::ControlFlow, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use foxden_custody::{CustodyError, DrainError, Escrow, Mismatch, Reseal, TokenRow};
use foxden_ledger::{By, EndOfFxd1, Exchange, Ledger, LedgerError, NewCredential, Pause, Provisioning, StepIn};
use foxden_vault::{RefreshToken, Sealed};
use sea_orm::{ConnectionTrait as _, Database, Statement};

use crate::{
    support::{meddle, row},
    whose::{as_before, custody, literal, mismatch, opened, provisioned, reseal, signed_up},
};

/// The envelopes of every token, as they are.
async fn sealed_tokens(ledger: &Ledger, row: &Provisioning) -> Vec<Sealed> {
    ledger.credentials(&row.id).await.unwrap().into_iter().filter_map(|held| held.sealed).collect()
}

async fn put_back(url: &str, row: &Provisioning, sealed: &Sealed) {
    let sealed = literal(url, sealed);
    meddle(url, &format!("UPDATE credentials SET sealed = {sealed} WHERE provisioning_id = '{}'", row.id)).await;
}

/// How often the audit says that `FXD1` has ended.
async fn recorded_ends(url: &str) -> usize {
    let db = Database::connect(url).await.unwrap();
    let query = "SELECT id FROM audit WHERE act = 'reseal' AND who = 'a test' AND detail = 'FXD1 has ended'";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), query)).await.unwrap();
    db.close().await.unwrap();
    rows.len()
}

pub(crate) async fn fxd1_ends_once_none_is_left(ledger: Ledger, url: &str) {
    let rows = [provisioned(&ledger, "s1", 1).await, signed_up(&ledger, "s2").await];
    as_before(&ledger, url, &rows).await;
    assert_eq!(ledger.end_fxd1(&By::new("a test")).await.unwrap(), EndOfFxd1::NotYet);
    assert!(!ledger.has_fxd1_ended().await.unwrap());
    assert_eq!(opened(&ledger, "s1").await.unwrap(), "token of s1");
    // One event is as much a reason as a token, and one token as an event.
    let sealed = sealed_tokens(&ledger, &rows[0]).await;
    meddle(url, "UPDATE credentials SET sealed = NULL").await;
    assert_eq!(ledger.end_fxd1(&By::new("a test")).await.unwrap(), EndOfFxd1::NotYet);
    put_back(url, &rows[0], &sealed[0]).await;
    let event = row(&ledger, "s2").await.payload.unwrap();
    meddle(url, "UPDATE provisionings SET payload = NULL").await;
    assert_eq!(ledger.end_fxd1(&By::new("a test")).await.unwrap(), EndOfFxd1::NotYet);
    meddle(url, &format!("UPDATE provisionings SET payload = {} WHERE signup_id = 's2'", literal(url, &event))).await;

    assert_eq!(reseal(&ledger).await.moved, 2);
    assert_eq!(ledger.end_fxd1(&By::new("a test")).await.unwrap(), EndOfFxd1::Now);
    assert_eq!(ledger.end_fxd1(&By::new("a test")).await.unwrap(), EndOfFxd1::Before);
    assert!(ledger.has_fxd1_ended().await.unwrap());
    assert_eq!(recorded_ends(url).await, 1);
    assert_eq!(opened(&ledger, "s1").await.unwrap(), "token of s1", "it is FXD2 now");
    // Whoever deletes the note does not undo the end that was recorded.
    meddle(url, "DELETE FROM ended_formats").await;
    assert_eq!(ledger.end_fxd1(&By::new("a test")).await.unwrap(), EndOfFxd1::Now);
    assert_eq!(recorded_ends(url).await, 2);
}

pub(crate) async fn an_old_copy_put_back_after_the_end_is_refused(ledger: Ledger, url: &str) {
    let rows = [provisioned(&ledger, "s1", 1).await, signed_up(&ledger, "s2").await];
    as_before(&ledger, url, &rows).await;
    let (token, event) = (sealed_tokens(&ledger, &rows[0]).await.remove(0), row(&ledger, "s2").await.payload.unwrap());
    reseal(&ledger).await;
    ledger.end_fxd1(&By::new("a test")).await.unwrap();

    put_back(url, &rows[0], &token).await;
    let old = format!("UPDATE provisionings SET payload = {} WHERE signup_id = 's2'", literal(url, &event));
    meddle(url, &old).await;
    assert_eq!(mismatch(opened(&ledger, "s1").await.unwrap_err()), Mismatch::Format);
    let custody = custody();
    let open = |row: &Provisioning| custody.open_payload(&row.id, &row.signup_id, row.payload.as_ref().unwrap());
    let of_s2 = row(&ledger, "s2").await;
    custody.heed_end(&ledger, of_s2.payload.as_ref()).await.unwrap();
    assert!(matches!(open(&of_s2), Err(CustodyError::Mismatch(Mismatch::Format))));
    // Resealing does not legitimize it.
    let page = reseal(&ledger).await;
    let reasons: Vec<_> = page.refused.iter().map(|refused| &refused.reason).collect();
    assert!(matches!(
        reasons[..],
        [CustodyError::Mismatch(Mismatch::Format), CustodyError::Mismatch(Mismatch::Format)]
    ));
    assert_eq!(page.moved, 0);

    // Until a person says that one may yet come.
    assert!(ledger.admit_fxd1(&By::new("a test")).await.unwrap());
    assert!(!ledger.admit_fxd1(&By::new("a test")).await.unwrap());
    assert_eq!(opened(&ledger, "s1").await.unwrap(), "token of s1");
    custody.heed_end(&ledger, of_s2.payload.as_ref()).await.unwrap();
    assert!(open(&of_s2).is_ok());
    assert_eq!(reseal(&ledger).await.moved, 2);
}

/// A signup whose token an earlier release has sealed, and which the ledger does not have yet.
async fn late(ledger: &Ledger, url: &str) -> (Provisioning, NewCredential) {
    let row = provisioned(ledger, "s1", 1).await;
    as_before(ledger, url, std::slice::from_ref(&row)).await;
    let held = ledger.credentials(&row.id).await.unwrap().remove(0);
    meddle(url, "DELETE FROM credentials").await;
    let (scope, intent, resource_uri) = (held.scope, held.intent, held.resource_uri.clone());
    (row, NewCredential { scope, intent, resource_uri, client: None, sealed: held.sealed.unwrap() })
}

pub(crate) async fn a_file_of_fxd1_stays_in_the_escrow_after_the_end(ledger: Ledger, url: &str) {
    let (row, late) = late(&ledger, url).await;
    let dir = tempfile::tempdir().unwrap();
    let escrow = Escrow::open(dir.path()).unwrap();
    escrow.keep(&row.id, &late).await.unwrap();
    assert_eq!(Escrow::count_fxd1(dir.path()).unwrap(), 1);
    let files = || std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect::<Vec<_>>();
    let before = files();

    ledger.end_fxd1(&By::new("a test")).await.unwrap();
    let stuck = escrow.drain(&ledger, &custody()).await.unwrap_err();
    assert!(matches!(stuck, DrainError::FormatEnded { .. }), "{stuck}");
    assert_eq!(files(), before, "neither taken nor put aside");
    ledger.admit_fxd1(&By::new("a test")).await.unwrap();
    assert_eq!(escrow.drain(&ledger, &custody()).await.unwrap(), 1);
    assert_eq!(opened(&ledger, "s1").await.unwrap(), "token of s1");
}

pub(crate) async fn a_token_beside_an_fxd1_that_was_put_back_is_kept(ledger: Ledger, url: &str) {
    let (row, late) = late(&ledger, url).await;
    ledger.end_fxd1(&By::new("a test")).await.unwrap();
    let good = crate::support::token_of(
        &row,
        &custody(),
        (late.scope, late.intent),
        late.resource_uri.as_deref(),
        "token of s1",
    );
    ledger.keep_credential(&row.id, good.clone()).await.unwrap();
    put_back(url, &row, &late.sealed).await;
    // The escrow's is the same token. If it were taken for the one that is held, it would be removed.
    let dir = tempfile::tempdir().unwrap();
    let escrow = Escrow::open(dir.path()).unwrap();
    escrow.keep(&row.id, &good).await.unwrap();
    assert_eq!(escrow.drain(&ledger, &custody()).await.unwrap(), 1);
    let kept = sealed_tokens(&ledger, &row).await;
    assert!(kept.len() == 2 && kept.contains(&good.sealed), "{}", kept.len());
}

pub(crate) async fn a_renewal_of_an_fxd1_stays_in_the_escrow_after_the_end(ledger: Ledger, url: &str) {
    let (row, late) = late(&ledger, url).await;
    let around = TokenRow::of_call(&row, late.scope, late.intent, late.resource_uri.as_deref());
    let dir = tempfile::tempdir().unwrap();
    let escrow = Escrow::open(dir.path()).unwrap();
    let new = NewCredential { sealed: custody().seal_token(&around, &RefreshToken::new("new")).unwrap(), ..late };
    escrow.keep(&row.id, &new).await.unwrap();
    // The same file as that of a token in the place of the one that an earlier release has sealed.
    let file = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let mut content: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    content["version"] = 4.into();
    content["replaces"] = STANDARD.encode(late.sealed.as_bytes()).into();
    let renewed = file.with_extension("renewed-1.escrow");
    std::fs::rename(&file, &renewed).unwrap();
    std::fs::write(&renewed, content.to_string()).unwrap();

    ledger.end_fxd1(&By::new("a test")).await.unwrap();
    let stuck = escrow.drain(&ledger, &custody()).await.unwrap_err();
    assert!(matches!(stuck, DrainError::FormatEnded { .. }), "{stuck}");
    assert!(renewed.exists() && ledger.credentials(&row.id).await.unwrap().is_empty());
    ledger.admit_fxd1(&By::new("a test")).await.unwrap();
    assert_eq!(escrow.drain(&ledger, &custody()).await.unwrap(), 1);
}

pub(crate) async fn a_walk_heeds_an_end_that_comes_while_it_walks(ledger: Ledger, url: &str) {
    let rows = [provisioned(&ledger, "s1", 1).await, provisioned(&ledger, "s2", 2).await];
    as_before(&ledger, url, &rows).await;
    let mut walk = Reseal::begin(&ledger, &custody()).await.unwrap();
    assert_eq!(walk.next_page(1).await.unwrap().unwrap().moved, 1);
    // As if the other one had been put back after another walk's end.
    meddle(url, "INSERT INTO ended_formats (format, ended_at) VALUES ('FXD1', 1)").await;
    let page = walk.next_page(1).await.unwrap().unwrap();
    let refused = page.refused.iter().map(|refused| &refused.reason).collect::<Vec<_>>();
    assert!(page.moved == 0 && matches!(refused[..], [CustodyError::Mismatch(Mismatch::Format)]), "{page:?}");
}

/// Another process ends `FXD1` after a file was judged and before its token is written.
struct EndsMeanwhile(Ledger);

impl StepIn for EndsMeanwhile {
    fn before(&self, operation: &'static str) -> Pause {
        let other = self.0.clone();
        Box::pin(async move {
            if operation == "keep_credential" {
                assert_eq!(other.end_fxd1(&By::new("a test")).await.unwrap(), EndOfFxd1::Now);
            }
            ControlFlow::Continue(())
        })
    }

    fn after(&self, _: &'static str) -> Pause {
        Box::pin(async { ControlFlow::Continue(()) })
    }
}

pub(crate) async fn no_token_of_fxd1_is_written_after_an_end_that_has_not_counted_it(ledger: Ledger, url: &str) {
    let (row, late) = late(&ledger, url).await;
    let dir = tempfile::tempdir().unwrap();
    let escrow = Escrow::open(dir.path()).unwrap();
    escrow.keep(&row.id, &late).await.unwrap();
    let stepped_in = ledger.clone().with_steps(Arc::new(EndsMeanwhile(ledger.clone())));
    let stuck = escrow.drain(&stepped_in, &custody()).await.unwrap_err();
    assert!(matches!(stuck, DrainError::FormatEnded { .. }), "{stuck}");
    assert_eq!(Escrow::count_fxd1(dir.path()).unwrap(), 1, "the file stays");
    assert!(ledger.credentials(&row.id).await.unwrap().is_empty());

    // Nor in the place of another one.
    let was = crate::support::token_of(&row, &custody(), (late.scope, late.intent), None, "in use");
    ledger.keep_credential(&row.id, was.clone()).await.unwrap();
    let replace = |_: &[_]| Exchange::Replace { was: was.sealed.clone() };
    let replaced = ledger.exchange_token(&row.id, &late, replace).await;
    assert!(matches!(replaced, Err(LedgerError::FormatEnded)), "{replaced:?}");
    assert_eq!(sealed_tokens(&ledger, &row).await, [was.sealed]);
}
