//! What the settings of grants and their pages promise.

use std::time::Duration;

use foxden_web::{ListenAddress, Ticket};

use super::*;

const LISTEN: (&str, &str) = ("FOXDEN_HTTP_LISTEN", "127.0.0.1:8080");
const PUBLIC_URL: (&str, &str) = ("FOXDEN_HTTP_PUBLIC_URL", "https://shops.example/foxden/");
const NAME: (&str, &str) = ("FOXDEN_HTTP_PLATFORM_NAME", "Acme Shops");
const KEY: (&str, &str) = ("FOXDEN_HTTP_RESULT_KEY", "0123456789abcdef0123456789abcdef");

fn parse<const N: usize>(environment: [(&str, &str); N]) -> Result<Settings, Mistakes> {
    Settings::parse(&environment.into(), Needs { http: Need::IfSet, ..Needs::default() })
}

/// What is wrong with pages that have these settings beside the necessary ones.
fn wrong_with<const N: usize>(more: [(&str, &str); N]) -> Vec<String> {
    let mut sources = Sources::from([LISTEN, PUBLIC_URL, NAME]);
    sources.environment.extend(Sources::from(more).environment);
    match Settings::parse(&sources, Needs { http: Need::IfSet, ..Needs::default() }) {
        Ok(_) => Vec::new(),
        Err(mistakes) => lines(&mistakes),
    }
}

fn lines(mistakes: &Mistakes) -> Vec<String> {
    mistakes.to_string().lines().skip(1).map(|line| line.trim().to_owned()).collect()
}

fn pages(settings: Settings) -> (ListenAddress, foxden_web::Settings) {
    let authorization = settings.foxy.authorization.unwrap();
    settings.http.unwrap().into_pages(&authorization, settings.worker.shutdown_grace)
}

#[test]
fn without_an_address_there_are_no_pages_but_links_can_be_made() {
    let settings = parse([]).unwrap();
    assert!(settings.http.is_none() && settings.grants.public_url.is_none());
    assert_eq!((settings.grants.lifetime, settings.grants.redirect_uri), (Duration::from_hours(7 * 24), None));

    let settings = parse([PUBLIC_URL]).unwrap();
    assert!(settings.http.is_none());
    let link = settings.grants.public_url.unwrap().link(&Ticket::parse("t").unwrap());
    assert_eq!(link, "https://shops.example/foxden/grant/t");
}

#[test]
fn what_is_for_the_pages_is_a_mistake_without_them() {
    for (name, value) in [
        NAME,
        KEY,
        ("FOXDEN_HTTP_PLATFORM_COLOR", "#112233"),
        ("FOXDEN_HTTP_PLATFORM_HELP", "mailto:help@shops.example"),
        ("FOXDEN_HTTP_RETURN_URL", "https://shops.example/done"),
        ("FOXDEN_HTTP_FORWARDED_BY", "none"),
        ("FOXDEN_HTTP_PROXIES", "10.0.0.7"),
    ] {
        let expected = format!("{name} (environment): is for the pages only, but FOXDEN_HTTP_LISTEN is not set");
        let found = lines(&parse([(name, value)]).unwrap_err());
        assert!(found.contains(&expected), "{found:?}");
    }
}

#[test]
fn the_pages_need_an_address_for_browsers_and_a_name() {
    let expected = ["FOXDEN_HTTP_PUBLIC_URL", "FOXDEN_HTTP_PLATFORM_NAME"]
        .map(|name| format!("{name}: the pages need it, and FOXDEN_HTTP_LISTEN is set"));
    assert_eq!(lines(&parse([LISTEN]).unwrap_err()), expected);
    assert_eq!(wrong_with([]), [""; 0]);
}

#[test]
fn what_is_set_reaches_the_pages() {
    let settings = parse([
        ("FOXDEN_HTTP_LISTEN", "unix:/run/foxden/http.sock"),
        PUBLIC_URL,
        NAME,
        KEY,
        ("FOXDEN_HTTP_PLATFORM_COLOR", "#112233"),
        ("FOXDEN_HTTP_PLATFORM_HELP", "mailto:help@shops.example"),
        ("FOXDEN_HTTP_RETURN_URL", "https://shops.example/done"),
        ("FOXDEN_HTTP_FORWARDED_BY", "x-forwarded-for"),
        ("FOXDEN_HTTP_PROXIES", "10.0.0.7, fd00::/8"),
        ("FOXDEN_SHUTDOWN_GRACE", "70s"),
    ])
    .unwrap();
    assert_eq!(settings.grants.redirect_uri.as_deref(), Some("https://shops.example/foxden/callback"));
    let (listen, pages) = pages(settings);
    assert_eq!(listen.to_string(), "unix:/run/foxden/http.sock");
    let shown = format!("{pages:?}");
    for part in [
        "/foxden/callback",
        "my.foxycart.com",
        "auth.foxy.io",
        "Acme Shops",
        "#112233",
        "help@shops.example",
        "/done",
        "XForwardedFor",
        "10.0.0.7/32",
        "fd00::/8",
        "drain_time: 70s",
        "ResultKey([redacted])",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(!shown.contains(KEY.1));
}

#[test]
fn a_command_that_serves_no_pages_opens_no_key() {
    let file = ("FOXDEN_HTTP_RESULT_KEY_FILE", "/nowhere/key");
    let return_url = ("FOXDEN_HTTP_RETURN_URL", "https://shops.example/done");
    let sources = Sources::from([LISTEN, PUBLIC_URL, NAME, return_url, file]);
    assert!(Settings::parse(&sources, Needs::default()).unwrap().http.is_none());
    let mistakes = Settings::parse(&sources, Needs { http: Need::IfSet, ..Needs::default() }).unwrap_err();
    assert!(mistakes.to_string().contains("FOXDEN_HTTP_RESULT_KEY_FILE (environment): the file it names"));
}

#[test]
fn a_return_url_and_its_key_go_together() {
    let url = ("FOXDEN_HTTP_RETURN_URL", "https://shops.example/done");
    for (alone, other) in [(url, KEY), (KEY, url)] {
        let problem = format!("{} is not set; the return URL and the key of its results go together", other.0);
        assert_eq!(wrong_with([alone]), [format!("{} (environment): {problem}", alone.0)]);
    }
    assert_eq!(
        wrong_with([url, ("FOXDEN_HTTP_RESULT_KEY", "s3cret")]),
        ["FOXDEN_HTTP_RESULT_KEY (environment): the key has 6 bytes; use 32 to 1024"]
    );
}

#[test]
fn each_mistake_of_the_pages_is_told_at_once() {
    let found = wrong_with([
        ("FOXDEN_HTTP_LISTEN", "localhost:80"),
        ("FOXDEN_HTTP_PUBLIC_URL", "http://shops.example"),
        ("FOXDEN_HTTP_PLATFORM_NAME", "\u{200b}"),
        ("FOXDEN_HTTP_PLATFORM_COLOR", "red"),
        ("FOXDEN_HTTP_PLATFORM_HELP", "javascript:alert(1)"),
        ("FOXDEN_HTTP_FORWARDED_BY", "x-real-ip"),
        ("FOXDEN_HTTP_PROXIES", "10.0.0.7,s3cret"),
        ("FOXDEN_GRANT_LIFETIME", "91d"),
    ]);
    let expected = [
        "FOXDEN_GRANT_LIFETIME (environment): expected a duration from 1h to 90d: a whole number and ms, s, m, h or d",
        "FOXDEN_HTTP_PUBLIC_URL (environment): use https; http is for localhost only",
        "FOXDEN_HTTP_LISTEN (environment): write an IP address with a port, such as 127.0.0.1:8080 or [::]:8080, or \
         unix:/run/foxden/http.sock",
        "FOXDEN_HTTP_PLATFORM_COLOR (environment): write the color like #1a2b3c",
        "FOXDEN_HTTP_PLATFORM_NAME (environment): the platform's name has no visible character",
        "FOXDEN_HTTP_PLATFORM_HELP (environment): the address for help must be an https: or mailto: URL",
        "FOXDEN_HTTP_FORWARDED_BY (environment): write x-forwarded-for or forwarded, or none",
        "FOXDEN_HTTP_PROXIES (environment): expected IP addresses or networks, separated by commas, such as 10.0.0.7 \
         or fd00::/8",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_header_is_believed_of_someone_or_not_at_all() {
    let (by, proxies) = (("FOXDEN_HTTP_FORWARDED_BY", "forwarded"), ("FOXDEN_HTTP_PROXIES", "10.0.0.0/8"));
    let socket = ("FOXDEN_HTTP_LISTEN", "unix:/run/foxden/http.sock");
    for fine in [[by, proxies], [by, socket], [socket, ("FOXDEN_HTTP_FORWARDED_BY", "none")]] {
        assert_eq!(wrong_with(fine), [""; 0]);
    }
    assert_eq!(
        wrong_with([by]),
        ["FOXDEN_HTTP_PROXIES: FOXDEN_HTTP_FORWARDED_BY names a header, and no one is believed about it"]
    );
    assert_eq!(
        wrong_with([proxies]),
        [
            "FOXDEN_HTTP_PROXIES (environment): FOXDEN_HTTP_FORWARDED_BY does not say by which header they name the client"
        ]
    );
    assert_eq!(
        wrong_with([socket]),
        [
            "FOXDEN_HTTP_FORWARDED_BY: FOXDEN_HTTP_LISTEN is a socket, where only a header names the client; none: all share \
          one limit"
        ]
    );
}

#[test]
fn a_redirect_uri_is_kept_as_it_is_registered() {
    let uri = |value| ("FOXDEN_HTTP_REDIRECT_URI", value);
    let kept = |settings: Settings| settings.grants.redirect_uri.unwrap();
    let odd = "https://shops.example:443/Back";
    assert_eq!(kept(parse([PUBLIC_URL, uri(odd)]).unwrap()), odd);
    // A person copies it from the address bar, where there are no pages.
    assert_eq!(kept(parse([uri("https://platform.example/foxy")]).unwrap()), "https://platform.example/foxy");
    assert_eq!(
        wrong_with([uri("https://other.example/callback")]),
        ["FOXDEN_HTTP_REDIRECT_URI (environment): it must begin with the scheme, host and port of the public URL"]
    );
}

#[test]
fn people_are_asked_by_the_foxy_that_is_called() {
    let page = |api: &str, more: &[(&str, &str)]| {
        let mut sources = Sources::from([("FOXDEN_FOXY_API", api)]);
        sources.environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.into())));
        Settings::parse(&sources, Needs::default()).unwrap().foxy.authorization.map(|page| page.url.to_string())
    };
    assert_eq!(page("production", &[]).as_deref(), Some("https://my.foxycart.com/authorize"));
    assert_eq!(page("production-io", &[]).as_deref(), Some("https://auth.foxy.io/authorize"));
    assert_eq!(page("sandbox", &[]).as_deref(), Some("https://my-sandbox.foxycart.com/authorize"));
    assert_eq!((page("simulator", &[]), page("https://foxy.example", &[])), (None, None));
    let url = "https://login.foxy.example/authorize?a=b";
    assert_eq!(page("https://foxy.example", &[("FOXDEN_FOXY_AUTHORIZE_URL", url)]).as_deref(), Some(url));
}

#[test]
fn where_a_foxy_of_ones_own_asks_people_is_not_guessed() {
    let elsewhere = ("FOXDEN_FOXY_API", "https://foxy.example");
    assert_eq!(
        wrong_with([elsewhere]),
        ["FOXDEN_FOXY_AUTHORIZE_URL: the pages need it where FOXDEN_FOXY_API is an address: people grant access there"]
    );
    assert_eq!(wrong_with([("FOXDEN_FOXY_API", "simulator")]), [""; 0]);
    for (url, problem) in [
        ("http://login.example/authorize", "use https; http is for localhost only"),
        ("https://s3cret:s3cret@login.example/authorize", "leave out user and password"),
        ("https://login.example/authorize#a", "leave out the fragment"),
    ] {
        let found = wrong_with([elsewhere, ("FOXDEN_FOXY_AUTHORIZE_URL", url)]);
        assert_eq!(found, [format!("FOXDEN_FOXY_AUTHORIZE_URL (environment): {problem}")]);
    }
}
