//! Where the ledger's database is: the one reader of its URL.
//!
//! The drivers ignore parameters that they don't know, and what they ignore may be `sslmode`. So everything is checked
//! here first, and a file's path is decoded once, for everyone who asks for it.

use std::{
    borrow::Cow,
    collections::HashSet,
    fmt,
    path::{Path, PathBuf},
};

use foxden_vault::read_small_file;
use percent_encoding::percent_decode_str;
use sea_orm::sqlx::{postgres::PgConnectOptions, sqlite::SqliteConnectOptions};
use url::Url;
use zeroize::Zeroizing;

/// More than any bundle of certificates.
const FILE_MAX: u64 = 4 * 1024 * 1024;

/// A database's address, with the password in it if there is one. `Debug` shows the kind only.
#[derive(Clone)]
pub struct DatabaseUrl(Place);

#[derive(Clone)]
enum Place {
    File(PathBuf),
    Memory,
    /// As it was checked; it may hold a password.
    Server(Zeroizing<String>),
}

/// What sqlx is to connect to.
pub(crate) enum Target {
    Sqlite(Box<SqliteConnectOptions>),
    Postgres(Box<PgConnectOptions>),
}

/// Why a text is no usable database URL. No part of the text is repeated but the path of a file that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// It is no URL, or one of another kind.
    #[error(
        "expected sqlite:PATH or postgres://user:password@host:port/database; percent-encode special characters in user \
         and password"
    )]
    Form,
    /// The path of an SQLite file is empty or not UTF-8.
    #[error("expected the path of a file behind sqlite:, percent-encoded as UTF-8 where it needs to be")]
    Path,
    /// An SQLite URL with a parameter that would change what the ledger promises.
    #[error("an sqlite: URL takes no parameters but mode=rwc and mode=rw; percent-encode ? in a path as %3f")]
    EmbeddedParameter,
    /// It names no host.
    #[error("the database URL names no host; for a Unix socket add ?host=/its/directory")]
    Host,
    /// It names several hosts.
    #[error("the database URL names several hosts; name one, or a proxy that follows the primary")]
    SeveralHosts,
    /// Its path is more than the name of a database.
    #[error("the path of the database URL must be the name of a database; percent-encode / in it as %2f")]
    Database,
    /// It has a fragment.
    #[error("the database URL has a #; percent-encode it as %23")]
    Fragment,
    /// Something in it is percent-encoded, but not as UTF-8.
    #[error("the user, password or database in the database URL is not percent-encoded UTF-8")]
    Encoding,
    /// A parameter that is not understood, and so would not do what it says.
    #[error(
        "the database URL may only ask for sslmode, sslrootcert, sslcert, sslkey, host, hostaddr, port, user, password, \
         dbname, application_name and options, each at most once{hint}"
    )]
    Parameter {
        /// What to write instead of a well-known one, or nothing.
        hint: &'static str,
    },
    /// An `sslmode` that PostgreSQL does not have.
    #[error("sslmode in the database URL must be disable, allow, prefer, require, verify-ca or verify-full")]
    SslMode,
    /// A certificate authority that nothing would be checked against.
    #[error("sslrootcert in the database URL has no effect without sslmode=verify-full or sslmode=verify-ca")]
    UnusedAuthority,
    /// A port or an address that is none.
    #[error("{0} in the database URL can't be read")]
    Value(&'static str),
    /// A file that it names can't be read.
    #[error("{path}, which {parameter} in the database URL names, can't be read: {problem}")]
    File {
        /// The parameter.
        parameter: &'static str,
        /// The file.
        path: String,
        /// Why not.
        problem: String,
    },
}

/// The values of `sslmode` (PostgreSQL docs: SSL Mode Descriptions).
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
/// Parameters that name files.
const FILES: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];

impl DatabaseUrl {
    /// Takes a URL apart: `sqlite:PATH`, `sqlite://PATH`, or what PostgreSQL calls a connection URI.
    ///
    /// # Errors
    /// Says what is wrong with it, without repeating it.
    pub fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        match text.strip_prefix("sqlite:") {
            Some(rest) => embedded(rest.strip_prefix("//").unwrap_or(rest)),
            None => server(text),
        }
        .map(Self)
    }

    /// The URL of an embedded ledger in this file, which [`DatabaseUrl::parse`] reads back.
    pub fn text_for(file: &Path) -> String {
        let path = file.display().to_string();
        format!("sqlite:{}", path.replace('%', "%25").replace('?', "%3f"))
    }

    /// The file of an embedded ledger; `None` for one in memory or on a server.
    pub fn file(&self) -> Option<&Path> {
        match &self.0 {
            Place::File(path) => Some(path),
            Place::Memory | Place::Server(_) => None,
        }
    }

    /// Whether it ends with the process.
    pub const fn is_in_memory(&self) -> bool {
        matches!(self.0, Place::Memory)
    }

    /// Whether it is a file or in memory, and not a server.
    pub const fn is_embedded(&self) -> bool {
        !matches!(self.0, Place::Server(_))
    }

    /// Sees that the certificates and keys that it names can be read.
    ///
    /// # Errors
    /// [`DatabaseUrlError::File`] names the first that can't.
    pub fn check_files(&self) -> Result<(), DatabaseUrlError> {
        let Some(url) = self.server() else { return Ok(()) };
        for (name, path) in url.query_pairs() {
            if let Some(parameter) = FILES.into_iter().find(|file| *file == name) {
                read_small_file(Path::new(&*path), FILE_MAX).map_err(|error| DatabaseUrlError::File {
                    parameter,
                    path: path.escape_debug().to_string(),
                    problem: error.to_string(),
                })?;
            }
        }
        Ok(())
    }

    /// What to show of it: the path, or host, port and database; never a user, a password or a parameter's value, but
    /// for the directory of a socket.
    pub fn display(&self) -> String {
        match (&self.0, self.server()) {
            (Place::File(path), _) => format!("sqlite:{}", path.display()),
            (_, None) => "sqlite::memory:".to_owned(),
            (_, Some(url)) => {
                let given = |wanted| given(&url, wanted);
                let host = given("hostaddr").or_else(|| given("host"));
                let host = host.unwrap_or_else(|| url.host_str().unwrap_or_default().into());
                let port = given("port").or_else(|| url.port().map(|port| port.to_string().into()));
                let database = given("dbname").unwrap_or_else(|| url.path().trim_start_matches('/').into());
                let port = port.map_or_else(String::new, |port| format!(":{port}"));
                format!("postgres://{host}{port}/{database}").escape_debug().to_string()
            }
        }
    }

    /// Whether others on the network could read along or take the server's place: it is on another machine, and its
    /// certificate is not verified. `sslmode=require` encrypts, and asks no one who is there.
    pub fn is_exposed(&self) -> bool {
        let Some(url) = self.server() else { return false };
        let host = given(&url, "hostaddr").or_else(|| given(&url, "host"));
        let host = host.unwrap_or_else(|| url.host_str().unwrap_or_default().into());
        let is_verified = matches!(given(&url, "sslmode").as_deref(), Some("verify-ca" | "verify-full"));
        !is_verified && !is_this_machine(&host)
    }

    fn server(&self) -> Option<Url> {
        let Place::Server(text) = &self.0 else { return None };
        Some(Url::parse(text).expect("it parsed when it was checked"))
    }

    /// What sqlx makes of it.
    pub(crate) fn target(&self) -> Result<Target, DatabaseUrlError> {
        Ok(match &self.0 {
            Place::File(path) => Target::Sqlite(Box::new(SqliteConnectOptions::new().filename(path))),
            Place::Memory => Target::Sqlite(Box::new(":memory:".parse().map_err(|_| DatabaseUrlError::Form)?)),
            Place::Server(text) => {
                // Every name and value was checked, so that what is wrong with it by now is its form.
                let options: PgConnectOptions = text.parse().map_err(|_| DatabaseUrlError::Form)?;
                let names_itself = self.server().is_some_and(|url| given(&url, "application_name").is_some());
                Target::Postgres(Box::new(if names_itself { options } else { options.application_name("foxden") }))
            }
        })
    }
}

fn embedded(rest: &str) -> Result<Place, DatabaseUrlError> {
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let is_usual = |(name, value): (Cow<'_, str>, Cow<'_, str>)| name == "mode" && matches!(&*value, "rw" | "rwc");
    // Read-only, shared and immutable databases, and other file systems, don't keep what a ledger must keep.
    if !url::form_urlencoded::parse(parameters.as_bytes()).all(is_usual) {
        return Err(DatabaseUrlError::EmbeddedParameter);
    }
    if path == ":memory:" {
        return Ok(Place::Memory);
    }
    let path = percent_decode_str(path).decode_utf8().map_err(|_| DatabaseUrlError::Path)?;
    if path.is_empty() || path.contains('\0') {
        return Err(DatabaseUrlError::Path);
    }
    Ok(Place::File(PathBuf::from(&*path)))
}

fn server(text: &str) -> Result<Place, DatabaseUrlError> {
    let rest = ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let rest = rest.ok_or(DatabaseUrlError::Form)?;
    // PostgreSQL lets the host be empty, the URL standard does not where there is a user.
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let has_host = !rest[..end].is_empty() && !rest[..end].ends_with('@');
    let url = if has_host { text.to_owned() } else { format!("postgres://{}localhost{}", &rest[..end], &rest[end..]) };
    let url = Url::parse(&url).map_err(|_| DatabaseUrlError::Form)?;
    // An @ behind the host was meant to be part of a password that ended early.
    if url[url::Position::AfterPort..].split('?').next().is_some_and(|path| path.contains('@')) {
        return Err(DatabaseUrlError::Form);
    }
    if url.fragment().is_some() {
        return Err(DatabaseUrlError::Fragment);
    }
    if url.path().trim_start_matches('/').contains('/') {
        return Err(DatabaseUrlError::Database);
    }
    for part in [url.username(), url.password().unwrap_or_default(), url.path()] {
        percent_decode_str(part).decode_utf8().map_err(|_| DatabaseUrlError::Encoding)?;
    }
    check_parameters(&url)?;
    let names_a_host = || url.query_pairs().any(|(name, _)| matches!(&*name, "host" | "hostaddr"));
    if !has_host && !names_a_host() {
        return Err(DatabaseUrlError::Host);
    }
    let several = url.host_str().is_some_and(|host| host.contains(',') || host.contains("%2C"));
    if several || url.query_pairs().any(|(name, value)| name == "host" && value.contains(',')) {
        return Err(DatabaseUrlError::SeveralHosts);
    }
    Ok(Place::Server(Zeroizing::new(url.into())))
}

/// A socket's directory, or an address or name of the loopback interface.
fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    host.starts_with('/') || host.starts_with("%2F") || host.eq_ignore_ascii_case("localhost") || is_loopback
}

fn check_parameters(url: &Url) -> Result<(), DatabaseUrlError> {
    let (mut seen, mut mode) = (HashSet::new(), Cow::from("prefer"));
    for (name, value) in url.query_pairs() {
        let is_new = seen.insert(name.to_string());
        match &*name {
            _ if !is_new => return Err(DatabaseUrlError::Parameter { hint: "" }),
            "sslmode" if SSL_MODES.contains(&&*value) => mode = value,
            "sslmode" => return Err(DatabaseUrlError::SslMode),
            "port" if value.parse::<u16>().is_err() => return Err(DatabaseUrlError::Value("port")),
            "hostaddr" if value.parse::<std::net::IpAddr>().is_err() => {
                return Err(DatabaseUrlError::Value("hostaddr"));
            }
            "sslrootcert" | "sslcert" | "sslkey" | "host" | "hostaddr" | "port" | "user" | "password" | "dbname"
            | "application_name" | "options" => {}
            other => return Err(DatabaseUrlError::Parameter { hint: hint(other) }),
        }
    }
    if seen.contains("sslrootcert") && !matches!(&*mode, "verify-ca" | "verify-full") {
        return Err(DatabaseUrlError::UnusedAuthority);
    }
    Ok(())
}

fn given<'a>(url: &'a Url, wanted: &str) -> Option<Cow<'a, str>> {
    url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value)
}

/// What to write instead of a parameter that other drivers know.
fn hint(name: &str) -> &'static str {
    match name {
        "ssl" | "requiressl" | "tls" => {
            "; instead of ssl write sslmode=verify-full, or sslmode=require without a check"
        }
        "channel_binding" => "; channel binding is not supported: sslmode=verify-full is what keeps others out",
        "connect_timeout" => "; a connection that takes longer than 5 s counts as failed",
        "statement-cache-capacity" | "pgbouncer" => "; behind PgBouncer use its session mode, which needs no parameter",
        "target_session_attrs" => "; name the primary, or a proxy that follows it",
        _ => "",
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_embedded() { "DatabaseUrl(sqlite)" } else { "DatabaseUrl(postgres)" })
    }
}

#[cfg(test)]
mod tests;
