//! The rows of a large ledger as the previous release leaves them, in the mix after a year: most signups are finished.
//!
//! Of each hundred: 95 provisioned (n % 100 < 95), 2 parked, 1 cancelled before anything was sent, 2 due. A token or an
//! event is 600 bytes long, sealed as `FXD1` under one of two keys.

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend};

/// The first bytes of an envelope: its format, and the key.
const ENVELOPES: [&str; 2] = ["465844310aa064ca16dd3cef", "465844315f3c1fd2a8a5b0c4"];

pub(crate) async fn fill(db: &DatabaseConnection, rows: u64) {
    let is_postgres = db.get_database_backend() == DbBackend::Postgres;
    let hex = |hex: &str| if is_postgres { format!("'\\x{hex}'::bytea") } else { format!("x'{hex}'") };
    let [old, new] = ENVELOPES.map(|head| hex(&format!("{head}{}", "5a".repeat(588))));
    let [old_print, new_print] = ENVELOPES.map(|head| hex(&format!("{}{}", &head[8..], "5a".repeat(32))));
    let sealed = format!("CASE WHEN n * 3 < {rows} THEN {old} ELSE {new} END");
    let print = format!("CASE WHEN n * 3 < {rows} THEN {old_print} ELSE {new_print} END");
    let series = if is_postgres {
        format!("WITH s(n) AS (SELECT generate_series(1::bigint, {rows}::bigint))")
    } else {
        format!("WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows})")
    };
    // In order of time, as real ids are. A signup every half a minute.
    let key = |of: u32| format!("'0000000{of}-0000-7000-8000-' || substr(CAST(1000000000000 + n AS TEXT), 2)");
    let id = key(0);
    let at = "(1790000000000 + n * 30000)";
    let uri = |of: &str| format!("'https://api.foxycart.com/{of}/' || CAST(n AS TEXT)");
    let attempt = |of: u32, intent: u32, kind: &str, step: &str, outcome: &str| {
        format!(
            "INSERT INTO attempts (id, provisioning_id, intent, epoch, owner, kind, step, natural_key, started_at, \
             ended_at, outcome, http_status) {series} \
             SELECT {}, {id}, {intent}, 1, '00000009-0000-7000-8000-000000000000', '{kind}', '{step}', \
             CASE WHEN {intent} = 2 THEN 'shop-' || CAST(n AS TEXT) END, {at}, {at} + 300, \
             '{outcome}', 201 FROM s WHERE n % 100 < 97",
            key(of)
        )
    };
    let event = |of: u32, kind: &str, of_these: &str| {
        format!(
            "INSERT INTO outbox (event_id, provisioning_id, signup_id, kind, body, created_at, published_at) \
             {series} SELECT {}, {id}, 'acct_' || CAST(n AS TEXT), '{kind}', \
             '{{\"signup_id\":\"acct_' || CAST(n AS TEXT) || '\",\"user_uri\":\"' || {} || \
             '\",\"store_uri\":\"' || {} || \
             '\",\"store_domain\":\"shop-' || CAST(n AS TEXT) || '\"}}', {at} + 1000, \
             CASE WHEN n < {rows} - 1000 THEN {at} + 1100 END FROM s WHERE {of_these}",
            key(of),
            uri("users"),
            uri("stores")
        )
    };
    let credential = |of: u32, scope: &str, intent: u32, resource: &str, is_kept: &str, of_these: &str| {
        format!(
            "INSERT INTO credentials (id, provisioning_id, scope, intent, apart, resource_uri, sealed, created_at, \
             wiped_at) {series} SELECT {}, {id}, '{scope}', {intent}, FALSE, {}, \
             CASE WHEN {is_kept} THEN {sealed} END, {at} + 500, \
             CASE WHEN {is_kept} THEN NULL ELSE {at} + 900 END FROM s WHERE {of_these}",
            key(of),
            uri(resource)
        )
    };
    let statements = [
        format!(
            "INSERT INTO provisionings (id, signup_id, account_id, source, step, state, parked_reason, payload, \
             fingerprint, user_uri, store_uri, store_domain, intents, step_since, due_at, epoch, intent_at, \
             accepted_at, updated_at, closed_at) {series} SELECT {id}, 'acct_' || CAST(n AS TEXT), \
             CASE WHEN n % 2 = 0 THEN 'customer_' || CAST(n / 4 AS TEXT) END, 'amqp', \
             CASE WHEN n % 100 < 95 THEN 'done' WHEN n % 100 < 97 THEN 'store' ELSE 'user' END, \
             CASE WHEN n % 100 < 95 OR n % 100 = 97 THEN 'closed' WHEN n % 100 < 97 THEN 'parked' ELSE 'due' END, \
             CASE WHEN n % 100 = 95 THEN 'domain_taken' WHEN n % 100 = 96 THEN 'rejected_by_foxy' END, \
             CASE WHEN n % 100 > 94 AND n % 100 <> 97 THEN {sealed} END, {print}, \
             CASE WHEN n % 100 < 97 THEN {} END, CASE WHEN n % 100 < 95 THEN {} END, \
             CASE WHEN n % 100 < 97 THEN 'shop-' || CAST(n AS TEXT) END, CASE WHEN n % 100 < 97 THEN 2 ELSE 0 END, \
             {at}, CASE WHEN n % 100 > 97 THEN {at} END, 1, CASE WHEN n % 100 < 97 THEN {at} END, {at}, {at}, \
             CASE WHEN n % 100 < 95 OR n % 100 = 97 THEN {at} + 1000 END FROM s",
            uri("users"),
            uri("stores")
        ),
        credential(1, "user_full_access", 1, "users", "n % 100 >= 95", "n % 100 < 97"),
        credential(2, "store_full_access", 2, "stores", "TRUE", "n % 100 < 95"),
        attempt(1, 0, "lookup", "user", "absent"),
        attempt(2, 1, "create", "user", "done"),
        attempt(3, 2, "create", "store", "done"),
        // One in ten was parked before it was finished.
        event(1, "parked", "n % 100 < 97 AND (n % 10 = 0 OR n % 100 > 94)"),
        event(2, "provisioned", "n % 100 < 95"),
    ];
    if !is_postgres {
        // It is made again if the machine stops meanwhile.
        let unsafely = "PRAGMA synchronous = OFF; PRAGMA cache_size = -400000";
        db.execute_unprepared(unsafely).await.expect("SQLite takes pragmas");
    }
    for statement in statements {
        db.execute_unprepared(&statement).await.expect("the rows fit the schema");
    }
    if is_postgres {
        // As a server does by itself long before an upgrade.
        for statement in ["VACUUM (ANALYZE)", "CHECKPOINT"] {
            db.execute_unprepared(statement).await.expect("the server lets its owner");
        }
    }
}
