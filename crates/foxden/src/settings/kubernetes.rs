//! Variables of services, which Kubernetes sets in every container of a namespace.

use std::net::{IpAddr, SocketAddr};

/// What such a variable holds.
enum Form {
    Address,
    Port,
    Protocol,
    Url,
}

/// Whether Kubernetes set it for a service: `foxden` and `foxden-postgresql` make names that begin as ours do. Their
/// forms are fixed (Kubernetes docs: Service, "Environment variables"). The value must fit as well, so that a
/// misspelled setting stays a mistake.
pub(super) fn is_service_variable(name: &str, value: &str) -> bool {
    match form(name) {
        Some(Form::Address) => value.parse::<IpAddr>().is_ok(),
        Some(Form::Port) => value.parse::<u16>().is_ok(),
        Some(Form::Protocol) => is_protocol(value),
        Some(Form::Url) => value
            .split_once("://")
            .is_some_and(|(protocol, address)| is_protocol(protocol) && address.parse::<SocketAddr>().is_ok()),
        None => false,
    }
}

fn form(name: &str) -> Option<Form> {
    let words: Vec<_> = name.split('_').collect();
    let is_port = |number: &str| number.parse::<u16>().is_ok();
    Some(match words.as_slice() {
        [.., "SERVICE", "HOST"] => Form::Address,
        [.., "SERVICE", "PORT"] => Form::Port,
        [.., "PORT", number, "TCP" | "UDP" | "SCTP"] if is_port(number) => Form::Url,
        [.., "PORT", number, "TCP" | "UDP" | "SCTP", part] if is_port(number) => match *part {
            "PROTO" => Form::Protocol,
            "PORT" => Form::Port,
            "ADDR" => Form::Address,
            _ => return None,
        },
        [.., "PORT"] => Form::Url,
        // The name of a port is the service's own choice.
        _ if name.contains("_SERVICE_PORT_") => Form::Port,
        _ => return None,
    })
}

fn is_protocol(text: &str) -> bool {
    matches!(text, "tcp" | "udp" | "sctp")
}

#[cfg(test)]
mod tests {
    use super::is_service_variable;

    #[test]
    fn all_seven_forms_are_known_by_name_and_value() {
        for (name, value) in [
            ("FOXDEN_SERVICE_HOST", "10.0.0.11"),
            ("FOXDEN_SERVICE_PORT", "8080"),
            ("FOXDEN_SERVICE_PORT_HTTP_METRICS", "9090"),
            ("FOXDEN_PORT", "tcp://10.0.0.11:8080"),
            ("FOXDEN_PORT_8080_TCP", "tcp://10.0.0.11:8080"),
            ("FOXDEN_PORT_8080_TCP_PROTO", "tcp"),
            ("FOXDEN_PORT_8080_TCP_PORT", "8080"),
            ("FOXDEN_PORT_8080_TCP_ADDR", "10.0.0.11"),
            ("FOXDEN_POSTGRESQL_SERVICE_HOST", "fd00::11"),
            ("FOXDEN_POSTGRESQL_PORT_5432_TCP", "tcp://[fd00::11]:5432"),
        ] {
            assert!(is_service_variable(name, value), "{name}");
        }
        for (name, value) in [
            ("FOXDEN_PORT", "8080"),
            ("FOXDEN_DATABASE_PORT", "5432"),
            ("FOXDEN_SERVICE_HOST", "db.example"),
            ("FOXDEN_SERVICE_PORT", "tcp://10.0.0.11:8080"),
            ("FOXDEN_PORT", "http://10.0.0.11:8080"),
            ("FOXDEN_PORT_8080_TCP_NAME", "tcp"),
            ("FOXDEN_LEASE", "10.0.0.11"),
        ] {
            assert!(!is_service_variable(name, value), "{name}={value}");
        }
    }
}
