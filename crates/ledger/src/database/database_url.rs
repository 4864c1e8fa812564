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

    /// What to show of it: the path, or host, port and database; never a user, a password or a parameter's value, but for
    /// the directory of a socket.
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
mod tests {
    use std::path::Path;

    use super::{DatabaseUrl, DatabaseUrlError as E, Target};

    fn error(text: &str) -> E {
        DatabaseUrl::parse(text).expect_err(text)
    }

    #[test]
    fn the_path_of_a_file_is_decoded_once_for_everyone() {
        for (text, path) in [
            ("sqlite:foxden.db", "foxden.db"),
            ("sqlite:with%20blank.db", "with blank.db"),
            ("sqlite:é dir/f.db?mode=rwc", "é dir/f.db"),
            ("sqlite://relative.db", "relative.db"),
            ("sqlite:///var/lib/f.db?mode=rw", "/var/lib/f.db"),
            ("sqlite:100%.db", "100%.db"),
            ("sqlite:a%3fb.db", "a?b.db"),
        ] {
            let url = DatabaseUrl::parse(text).unwrap();
            assert_eq!(url.file(), Some(Path::new(path)), "{text}");
            assert_eq!(url.display(), format!("sqlite:{path}"));
            let Ok(Target::Sqlite(options)) = url.target() else { panic!("{text}") };
            assert_eq!(options.get_filename(), Path::new(path), "{text}");
        }
        assert!(DatabaseUrl::parse("sqlite::memory:").unwrap().is_in_memory());
    }

    #[test]
    fn any_file_can_be_named_by_a_url() {
        for path in ["/var/lib/f.db", "50%25 off?.db", "é/ü.db"] {
            let text = DatabaseUrl::text_for(Path::new(path));
            assert_eq!(DatabaseUrl::parse(&text).unwrap().file(), Some(Path::new(path)), "{text}");
        }
    }

    #[test]
    fn an_embedded_database_that_keeps_nothing_is_refused() {
        for parameter in ["mode=ro", "mode=memory", "immutable=1", "cache=shared", "vfs=unix-none", "what=ever"] {
            assert_eq!(error(&format!("sqlite:f.db?{parameter}")), E::EmbeddedParameter, "{parameter}");
        }
        assert_eq!(error("sqlite:"), E::Path);
        assert_eq!(error("sqlite:%ff.db"), E::Path);
    }

    #[test]
    fn what_is_shown_of_a_server_is_where_it_is() {
        for (text, shown) in [
            ("postgres://fox:s3cret@db.internal:5433/foxden?sslmode=require", "postgres://db.internal:5433/foxden"),
            ("postgresql://db.internal/foxden?user=fox&password=s3cret", "postgres://db.internal/foxden"),
            ("postgres://u@/db?host=/run/postgresql", "postgres:///run/postgresql/db"),
            ("postgres:///db?host=/run/postgresql&port=5433", "postgres:///run/postgresql:5433/db"),
            ("postgres://u:p%40ss@[::1]:5432/db", "postgres://[::1]:5432/db"),
        ] {
            let url = DatabaseUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((url.display().as_str(), url.file()), (shown, None));
            assert!(matches!(url.target(), Ok(Target::Postgres(_))), "{text}");
            assert_eq!(format!("{url:?}"), "DatabaseUrl(postgres)");
        }
    }

    #[test]
    fn a_socket_is_where_its_parameter_says() {
        let url = DatabaseUrl::parse("postgres://u@/db?host=/run/postgresql").unwrap();
        let Ok(Target::Postgres(options)) = url.target() else { panic!("it is a server") };
        assert_eq!(options.get_socket().map(|path| path.as_path()), Some(Path::new("/run/postgresql")));
        assert_eq!((options.get_username(), options.get_database()), ("u", Some("db")));
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        for parameter in [
            "ssl=true",
            "sslmod=verify-full",
            "channel_binding=require",
            "connect_timeout=3",
            "statement-cache-capacity=0",
            "host=a&host=b",
        ] {
            let refused = error(&format!("postgres://u:p@h/db?{parameter}"));
            assert!(matches!(refused, E::Parameter { .. }), "{parameter}: {refused:?}");
        }
        assert_eq!(
            error("postgres://u:p@h/db?ssl=true").to_string(),
            "the database URL may only ask for sslmode, sslrootcert, sslcert, sslkey, host, hostaddr, port, user, password, \
             dbname, application_name and options, each at most once; instead of ssl write sslmode=verify-full, or \
             sslmode=require without a check"
        );
        for mode in ["verify_full", "bogus", "VERIFY-FULL", ""] {
            assert_eq!(error(&format!("postgres://u:p@h/db?sslmode={mode}")), E::SslMode, "{mode}");
        }
        assert_eq!(error("postgres://u:p@h/db?sslmode=require&sslrootcert=/ca.pem"), E::UnusedAuthority);
        assert_eq!(error("postgres://u:p@h/db?port=pg"), E::Value("port"));
    }

    #[test]
    fn a_server_elsewhere_is_exposed_unless_its_certificate_is_verified() {
        for exposed in ["db.example/f", "10.0.0.5/f?sslmode=require", "u@h/f?hostaddr=10.0.0.5", "h/f?sslmode=prefer"] {
            assert!(DatabaseUrl::parse(&format!("postgres://{exposed}")).unwrap().is_exposed(), "{exposed}");
        }
        for safe in ["localhost/f", "127.0.0.1/f", "[::1]/f", "u@h/f?host=/run/pg", "h/f?sslmode=verify-full"] {
            assert!(!DatabaseUrl::parse(&format!("postgres://{safe}")).unwrap().is_exposed(), "{safe}");
        }
        assert!(!DatabaseUrl::parse("sqlite:a.db").unwrap().is_exposed());
    }

    #[test]
    fn what_would_be_misread_is_refused() {
        for (text, refused) in [
            ("mysql://fox:s3cret@db/foxden", E::Form),
            ("s3cret", E::Form),
            ("postgres:db", E::Form),
            ("postgres://fox:s3cret@db:port/foxden", E::Form),
            ("postgres://fox:12/s3cret@db/foxden", E::Form),
            ("postgres://fox:12#s3cret@db/foxden", E::Form),
            ("postgres://u@/db", E::Host),
            ("postgres:///db", E::Host),
            ("postgres://u@h1,h2/db", E::SeveralHosts),
            ("postgres://u@h/a/b", E::Database),
            ("postgres://u@h/db#x", E::Fragment),
            ("postgres://u:%ff@h/db", E::Encoding),
        ] {
            assert_eq!(error(text), refused, "{text}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let url = DatabaseUrl::parse("postgres://u@h/db?sslmode=verify-full&sslrootcert=/nowhere/ca.pem").unwrap();
        assert_eq!(
            url.check_files().unwrap_err().to_string(),
            "/nowhere/ca.pem, which sslrootcert in the database URL names, can't be read: No such file or directory (os error 2)"
        );
    }
}
