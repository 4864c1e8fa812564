//! The ledger: the truth about every provisioning, on SQLite or PostgreSQL.
