//! Rows on their way into one statement: all of them in one parameter, as JSON.
//!
//! So the text of a statement is the same however many rows it writes, and each connection prepares it once. A list
//! of values would make another text for every length, which PostgreSQL would have to parse and to keep.

use sea_orm::{DbBackend, Statement, Value};
use serde::{Serialize, Serializer};

use crate::error::LedgerError;

/// How a column is carried, and what it is in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text.
    Text,
    /// 32 bits.
    Count,
    /// 64 bits.
    Number,
    /// True or false.
    Flag,
    /// Bytes, as hexadecimal digits.
    Bytes,
}

/// A row that can be carried.
pub(crate) trait Carried: Serialize {
    /// Its columns, by the names under which they are serialized.
    const COLUMNS: &'static [(&'static str, Kind)];

    /// The columns, as a list in a statement.
    fn names() -> String {
        Self::names_in("")
    }

    /// The same, each after this prefix.
    fn names_in(prefix: &str) -> String {
        Self::COLUMNS.iter().map(|(name, _)| format!("{prefix}{name}")).collect::<Vec<_>>().join(", ")
    }
}

/// Declares a row that can be carried: each column with how it is.
macro_rules! carried {
    ($(#[$about:meta])* $row:ident { $($column:ident: $is:ty => $kind:ident),+ $(,)? }) => {
        $(#[$about])*
        #[derive(serde::Serialize)]
        pub(crate) struct $row<'a> {
            $(pub(crate) $column: $is,)+
        }
        impl $crate::batches::carried::Carried for $row<'_> {
            const COLUMNS: &'static [(&'static str, $crate::batches::carried::Kind)] =
                &[$((stringify!($column), $crate::batches::carried::Kind::$kind)),+];
        }
    };
}
pub(crate) use carried;

/// Bytes that are carried.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        // Formatting each byte by itself took a fifteenth of what a batch costs on SQLite.
        let digit = |of: u8| char::from(DIGITS[usize::from(of)]);
        let digits: String = self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        serializer.serialize_str(&digits)
    }
}

/// A statement over the given rows, which stand in it as the table `r`: `text` is what it is made of, given that
/// table.
pub(crate) fn over<T: Carried>(
    backend: DbBackend,
    rows: &[T],
    text: impl FnOnce(&str) -> String,
) -> Result<Statement, LedgerError> {
    Ok(Statement::from_sql_and_values(backend, text(&table::<T>(backend, 1, "r")), [carry(rows)?]))
}

/// Rows as one parameter.
pub(crate) fn carry<T: Carried>(rows: &[T]) -> Result<Value, LedgerError> {
    let json = serde_json::to_string(rows).map_err(|_| LedgerError::Schema("a row can't be carried".to_owned()))?;
    Ok(json.into())
}

/// A look by key, made once for each row of the tables before it in a `FROM`. PostgreSQL only.
///
/// Anything that the planner may rearrange it may also answer by reading the whole table: that is cheapest while the
/// table is empty, and such a plan is kept until the table is analyzed. A subquery with an offset is left as it is.
pub(crate) fn each_by_key(select: &str) -> String {
    format!("LATERAL ({select} OFFSET 0)")
}

/// The text of a table of the rows that this parameter carries, under this name. SQLite counts its parameters by
/// itself.
pub(crate) fn table<T: Carried>(backend: DbBackend, parameter: usize, name: &str) -> String {
    let each = |one: fn(&str, Kind) -> String| {
        T::COLUMNS.iter().map(|(name, kind)| one(name, *kind)).collect::<Vec<_>>().join(", ")
    };
    if backend == DbBackend::Sqlite {
        let read = each(|name, kind| match kind {
            Kind::Bytes => format!("unhex(value ->> '{name}') AS {name}"),
            _ => format!("value ->> '{name}' AS {name}"),
        });
        // The binary form, in which a row is read in place: `json_each` writes each one as text, to be parsed again.
        return format!("(SELECT {read} FROM jsonb_each(?)) AS {name}");
    }
    let read = each(|name, kind| match kind {
        Kind::Bytes => format!("decode({name}, 'hex') AS {name}"),
        _ => name.to_owned(),
    });
    let typed = each(|name, kind| {
        let of = match kind {
            Kind::Text | Kind::Bytes => "text",
            Kind::Count => "integer",
            Kind::Number => "bigint",
            Kind::Flag => "boolean",
        };
        format!("{name} {of}")
    });
    format!("(SELECT {read} FROM json_to_recordset(${parameter}::json) AS j({typed})) AS {name}")
}
