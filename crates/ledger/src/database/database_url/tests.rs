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
