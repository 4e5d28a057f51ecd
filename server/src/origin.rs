//! Whether a request was meant for this server: a page of another site must not reach it through the browser of
//! somebody who runs it, neither directly nor by a host name that resolves to this machine.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};

use crate::error::{ApiError, Kind};

/// Which hosts and origins are served.
#[derive(Debug)]
pub struct Origins {
    /// None where any host is: others must show a key there.
    hosts: Option<Vec<String>>,
    origins: Vec<String>,
}

impl Origins {
    /// Those of a server at an address. One that only this machine reaches has the names of this machine, and those of
    /// `hosts`. Any other has any name, unless some are given.
    pub fn new(address: SocketAddr, hosts: &[String], origins: &[String]) -> Self {
        let mut named: Vec<String> = hosts.iter().map(|host| host.to_lowercase()).collect();
        let is_named = !named.is_empty();
        if address.ip().is_loopback() || is_named {
            named.extend(["localhost".into(), "127.0.0.1".into(), "[::1]".into(), in_url(address.ip())]);
        }
        let origins = origins.iter().map(|origin| origin.trim_end_matches('/').to_lowercase()).collect();
        Self { hosts: (!named.is_empty()).then_some(named), origins }
    }

    /// Refuses a request for another host, or of a page of another origin.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let host = self.host(headers)?;
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else { return Ok(()) };
        let origin = origin.to_str().unwrap_or("").to_lowercase();
        // The origin of a page of this server ends in the host that the request names.
        let own = origin.split_once("://").is_some_and(|(_, authority)| authority == host);
        if origins.next().is_none() && (own || self.origins.contains(&origin)) {
            return Ok(());
        }
        Err(ApiError::new(Kind::Forbidden, "pages of this origin may not ask this server"))
    }

    /// Whether answers may be read by a page of an origin other than the server's own.
    pub fn is_listed(&self, origin: &str) -> bool {
        self.origins.contains(&origin.to_lowercase())
    }

    /// The host that a request names, if it is served.
    fn host(&self, headers: &HeaderMap) -> Result<String, ApiError> {
        let mut hosts = headers.get_all(HOST).iter();
        let (host, more) = (hosts.next().and_then(|host| host.to_str().ok()), hosts.next());
        let (Some(host), None) = (host, more) else {
            return Err(ApiError::invalid("a request names one host, in the header Host"));
        };
        let host = host.to_lowercase();
        match &self.hosts {
            Some(served) if !served.iter().any(|name| name == without_port(&host)) => Err(ApiError::new(
                Kind::Forbidden,
                "this server does not serve the host that the request names",
            )),
            _ => Ok(host),
        }
    }
}

fn in_url(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// A host without its port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origins: &Origins, host: &str, origin: Option<&str>) -> Option<u16> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        origins.check(&headers).err().map(|error| error.kind.status().as_u16())
    }

    #[test]
    fn only_this_machine_is_served_where_only_it_is_listened_to() {
        let local = Origins::new("127.0.0.1:7700".parse().unwrap(), &[], &[]);
        for host in ["localhost", "LOCALHOST:7700", "127.0.0.1:7700", "[::1]:7700"] {
            assert_eq!(check(&local, host, None), None, "{host}");
        }
        for host in ["evil.example", "evil.example:7700", "127.0.0.1.evil.example", "localhost.", "", "[::1"]
        {
            assert_eq!(check(&local, host, None), Some(403), "{host}");
        }
        let named = Origins::new("127.0.0.1:7700".parse().unwrap(), &["Search.example".into()], &[]);
        assert_eq!(check(&named, "search.example", None), None);
        let anywhere = Origins::new("0.0.0.0:7700".parse().unwrap(), &[], &[]);
        assert_eq!(check(&anywhere, "search.example", None), None);
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let local = Origins::new("127.0.0.1:7700".parse().unwrap(), &[], &["https://app.example/".into()]);
        assert_eq!(check(&local, "localhost:7700", Some("http://localhost:7700")), None);
        assert_eq!(check(&local, "localhost:7700", Some("https://app.example")), None);
        for origin in [
            "http://localhost:8000",
            "https://evil.example",
            "null",
            "",
            "http://evil.example#localhost:7700",
        ] {
            assert_eq!(check(&local, "localhost:7700", Some(origin)), Some(403), "{origin}");
        }
    }
}
