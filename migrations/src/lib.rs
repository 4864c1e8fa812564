//! The ledger's schema, as sea-orm migrations.
