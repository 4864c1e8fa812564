//! The rows of a large ledger, in a mix as after some months: most are done, and a great many are due at once.

use std::fmt::Write as _;

use foxden_custody::{Custody, TokenRow};
use foxden_ledger::{Ledger, ProvisioningId, Scope, SignupId};
use foxden_vault::RefreshToken;

use crate::support::{meddle, signup};

/// Enough for the databases to plan as for a million, and quick to make; `FOXDEN_TEST_ROWS` says otherwise.
const ROWS: u64 = 100_000;

fn rows() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the one door by which a test is told of its size")]
    let asked = std::env::var("FOXDEN_TEST_ROWS").ok();
    asked.map_or(ROWS, |rows| rows.parse().expect("FOXDEN_TEST_ROWS is a number"))
}

/// The parent app's key of the row with this number.
pub(crate) fn signup_id(number: u64) -> String {
    format!("acct_{number}")
}

/// Of each hundred: 75 provisioned (n % 100 < 75), 14 due, 5 unknown, 2 in flight, 3 parked, one cancelled. No more
/// than 2,000 are in flight, since what is under way grows with the workers, not with the ledger; the others are
/// unknown.
pub(crate) async fn fill(ledger: &Ledger, url: &str, custody: &Custody) {
    let sample = signup(custody, "sample");
    let token_row = TokenRow {
        provisioning: ProvisioningId::new(),
        signup_id: SignupId::parse("sample").unwrap(),
        scope: Scope::Store,
        serial: 2,
        addresses: Vec::new(),
        client: None,
    };
    let token = custody.seal_token(&token_row, &RefreshToken::new("a token")).unwrap();
    let hex = |bytes: &[u8]| {
        let mut text = String::new();
        bytes.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        if ledger.is_embedded() { format!("x'{text}'") } else { format!("'\\x{text}'::bytea") }
    };
    let rows = rows();
    let series = if ledger.is_embedded() {
        format!("WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows})")
    } else {
        format!("WITH s(n) AS (SELECT generate_series(1::bigint, {rows}::bigint))")
    };
    let now = ledger.now_ms().await.unwrap();
    let (event, print, token) =
        (hex(&sample.payload.into_bytes()), hex(sample.fingerprint.as_bytes()), hex(token.as_bytes()));
    let cookie = hex(&[7; 32]);
    // A second for each row, so the oldest of a million is eleven days old.
    let at = format!("({now} - ({rows} - n) * 1000)");
    let id = "'00000000-0000-7000-8000-' || substr(CAST(1000000000000 + n AS TEXT), 2)";
    let key = |prefix: &str| format!("'{prefix}-0000-7000-8000-' || substr(CAST(1000000000000 + n AS TEXT), 2)");
    let kind = "(CASE WHEN n > 100000 AND n % 100 IN (94, 95) THEN 93 ELSE n % 100 END)";
    let statements = [
        format!(
            "INSERT INTO provisionings (id, signup_id, account_id, source, step, state, parked_reason, payload, fingerprint, \
             mailbox, user_uri, store_uri, store_domain, in_doubt, intents, step_since, due_at, lease_owner, lease_until, epoch, \
             intent_at, accepted_at, updated_at, closed_at) \
             {series} SELECT {id}, 'acct_' || CAST(n AS TEXT), \
             CASE WHEN n % 2 = 0 THEN 'customer_' || CAST(n / 6 AS TEXT) END, 'amqp', \
             CASE WHEN {kind} < 75 THEN 'done' WHEN {kind} < 89 OR {kind} >= 98 THEN 'user' ELSE 'store' END, \
             CASE WHEN {kind} < 75 THEN 'closed' WHEN {kind} < 89 THEN 'due' WHEN {kind} < 94 THEN 'unknown' \
             WHEN {kind} < 96 THEN 'in_flight' WHEN {kind} < 99 THEN 'parked' ELSE 'closed' END, \
             CASE WHEN {kind} >= 98 THEN 'user_token_lost' WHEN {kind} >= 96 THEN 'domain_taken' END, \
             CASE WHEN {kind} BETWEEN 75 AND 98 THEN {event} END, {print}, \
             CASE WHEN n % 1000 = 98 THEN 'shops+{{signup_id}}@platform.example' END, \
             CASE WHEN {kind} < 75 OR {kind} BETWEEN 89 AND 97 THEN 'https://api.foxycart.com/users/' || CAST(n AS TEXT) END, \
             CASE WHEN {kind} < 75 THEN 'https://api.foxycart.com/stores/' || CAST(n AS TEXT) END, \
             CASE WHEN {kind} < 75 OR {kind} BETWEEN 89 AND 97 THEN 'shop-' || CAST(n AS TEXT) END, \
             {kind} BETWEEN 89 AND 98, CASE WHEN {kind} BETWEEN 75 AND 88 THEN 0 ELSE 2 END, {at}, \
             CASE WHEN {kind} BETWEEN 75 AND 93 THEN {at} END, \
             CASE WHEN {kind} IN (94, 95) THEN 'worker-' || CAST(n % 7 AS TEXT) END, \
             CASE WHEN {kind} IN (94, 95) THEN {now} + CASE WHEN n % 1000 = 94 THEN -1 ELSE 3600000 END END, 1, \
             CASE WHEN {kind} BETWEEN 75 AND 88 THEN NULL ELSE {at} END, {at}, {at}, \
             CASE WHEN {kind} < 75 OR {kind} = 99 THEN {at} END FROM s"
        ),
        format!(
            "INSERT INTO credentials (id, provisioning_id, scope, intent, apart, resource_uri, sealed, created_at, wiped_at) \
             {series} SELECT {}, {id}, 'user_full_access', 1, FALSE, 'https://api.foxycart.com/users/' || CAST(n AS TEXT), \
             CASE WHEN {kind} >= 75 THEN {token} END, {at}, CASE WHEN {kind} < 75 THEN {at} END \
             FROM s WHERE {kind} < 75 OR {kind} BETWEEN 89 AND 97",
            key("00000001")
        ),
        format!(
            "INSERT INTO credentials (id, provisioning_id, scope, intent, apart, resource_uri, sealed, created_at) \
             {series} SELECT {}, {id}, 'store_full_access', 2, n % 1000 = 1, 'https://api.foxycart.com/stores/' || CAST(n AS TEXT), \
             {token}, {at} FROM s WHERE {kind} < 75",
            key("00000002")
        ),
        attempts(&series, id, &key("00000001"), "1", "user", &at),
        attempts(&series, id, &key("00000002"), "2", "store", &at),
        // Those of a week ago are gone, but for what tells of a parked signup.
        format!(
            "INSERT INTO outbox (event_id, provisioning_id, signup_id, kind, body, created_at, published_at) \
             {series} SELECT {}, {id}, 'acct_' || CAST(n AS TEXT), \
             CASE WHEN {kind} < 75 THEN 'provisioned' ELSE 'parked' END, \
             '{{\"signup_id\":\"acct_' || CAST(n AS TEXT) || '\"}}', {at}, CASE WHEN n % 10 <> 1 THEN {at} END \
             FROM s WHERE {kind} < 75 OR {kind} >= 96",
            key("00000001")
        ),
        format!(
            "INSERT INTO superseded_contents (provisioning_id, fingerprint, superseded_at) \
             {series} SELECT {id}, {print}, {at} FROM s WHERE n % 20 = 0"
        ),
        // As in a campaign: every fourth provisioned signup is asked for its store, and most have answered.
        format!(
            "INSERT INTO grants (id, provisioning_id, reason, wanted, client_id, expected_uri, state, asked_at, \
             expires_at, ended_at) {series} SELECT {}, {id}, 'reconnect', 'store', 'client', \
             'https://api.foxycart.com/stores/' || CAST(n AS TEXT), CASE WHEN n % 16 = 0 THEN 'open' ELSE 'kept' END, \
             {at}, {at} + CASE WHEN n % 160 = 0 THEN 1 ELSE 1000000000000 END, CASE WHEN n % 16 <> 0 THEN {at} END \
             FROM s WHERE {kind} < 75 AND n % 4 = 0",
            key("00000001")
        ),
        format!(
            "INSERT INTO trips (id, grant_id, state_hash, cookie_hash, client_id, scope, redirect_uri, started_at, \
             expires_at, spent_at, ending) {series} SELECT {}, {}, {}, {cookie}, 'client', 'store_full_access', \
             'https://x/', {at}, {at}, {at}, 'granted' FROM s WHERE {kind} < 75 AND n % 4 = 0",
            key("00000001"),
            key("00000001"),
            state_hash(ledger)
        ),
        format!(
            "INSERT INTO audit (id, at, who, act, signup_id) \
             {series} SELECT {}, {at}, 'a person', 'open_token', 'acct_' || CAST(n AS TEXT) FROM s WHERE n % 20 = 0",
            key("00000001")
        ),
    ];
    // One transaction: SQLite waits for its disk at each commit.
    meddle(url, &format!("BEGIN; {}; COMMIT", statements.join("; "))).await;
}

/// Another one for each row.
fn state_hash(ledger: &Ledger) -> &'static str {
    if ledger.is_embedded() {
        "CAST(substr('00000000000000000000000000000000' || n, -32) AS BLOB)"
    } else {
        "sha256(CAST(n AS TEXT)::bytea)"
    }
}

fn attempts(series: &str, id: &str, key: &str, intent: &str, step: &str, at: &str) -> String {
    format!(
        "INSERT INTO attempts (id, provisioning_id, intent, epoch, owner, kind, step, started_at, ended_at, outcome) \
         {series} SELECT {key}, {id}, {intent}, 1, 'a worker', 'create', '{step}', {at}, {at}, 'done' \
         FROM s WHERE n % 100 NOT BETWEEN 75 AND 88"
    )
}
