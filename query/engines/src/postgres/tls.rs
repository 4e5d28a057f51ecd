//! Whether a connection is encrypted, and whose certificate it trusts: `sslmode` and `sslrootcert` of an address, as PostgreSQL's own
//! programs understand them.

use std::fs;
use std::path::PathBuf;

use native_tls::{Certificate, TlsConnector};
use postgres::config::SslMode;
use postgres_native_tls::MakeTlsConnector;

/// The greatest file of certificates that is read.
const MOST_BYTES: u64 = 16 << 20;

/// What a connection asks of the other end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tls {
    trust: Trust,
    /// A file of certificates, in PEM, that may sign that of the server; those of the system where none is named.
    roots: Option<PathBuf>,
}

/// Whom a connection trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Trust {
    /// Whoever answers: this keeps listeners out, and nobody else.
    #[default]
    Anybody,
    /// Whoever has a certificate that is signed.
    Signed,
    /// Whoever has a signed certificate for the name of the host.
    Named,
}

impl Tls {
    /// Takes `sslmode` and `sslrootcert` out of the options of an address. Gives the mode where one is named, and the other options.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn of_options(options: &str) -> Result<(Self, Option<SslMode>, String), String> {
        let (mut tls, mut mode, mut others) = (Self::default(), None, Vec::new());
        let mut trust = None;
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("sslrootcert", path)) => tls.roots = Some(PathBuf::from(unescaped(path)?)),
                Some(("sslmode", name)) => {
                    (mode, trust) = match name {
                        "disable" => (Some(SslMode::Disable), None),
                        "prefer" => (Some(SslMode::Prefer), None),
                        "require" => (Some(SslMode::Require), None),
                        "verify-ca" => (Some(SslMode::Require), Some(Trust::Signed)),
                        "verify-full" => (Some(SslMode::Require), Some(Trust::Named)),
                        _ => {
                            return Err(format!(
                                "sslmode is one of disable, prefer, require, verify-ca and verify-full, not {name:?}"
                            ));
                        }
                    }
                }
                _ => others.push(option),
            }
        }
        // Who names a certificate wants it to be looked at.
        let least = if tls.roots.is_some() && mode == Some(SslMode::Require) {
            Trust::Signed
        } else {
            Trust::Anybody
        };
        tls.trust = trust.unwrap_or(least);
        Ok((tls, mode, others.join("&")))
    }

    /// What makes connections so.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub(super) fn connector(&self) -> Result<MakeTlsConnector, String> {
        let mut builder = TlsConnector::builder();
        builder.danger_accept_invalid_certs(self.trust == Trust::Anybody);
        builder.danger_accept_invalid_hostnames(self.trust != Trust::Named);
        if let Some(path) = &self.roots {
            let reading = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
            if fs::metadata(path).map_err(reading)?.len() > MOST_BYTES {
                return Err(format!("{} is no file of certificates", path.display()));
            }
            let bytes = fs::read(path).map_err(reading)?;
            let certificates = Certificate::stack_from_pem(&bytes)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| format!("{} has no certificate in PEM", path.display()))?;
            builder.disable_built_in_roots(true);
            for certificate in certificates {
                builder.add_root_certificate(certificate);
            }
        }
        Ok(MakeTlsConnector::new(builder.build().map_err(|error| error.to_string())?))
    }
}

/// An option with its `%2F` and the like read.
fn unescaped(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or_else(|| format!("{text:?} has a % without two digits after it"))?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_| format!("{text:?} is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_the_programs_of_postgresql_read_them() {
        let read = |options: &str| Tls::of_options(options).unwrap();
        let tls = |trust, roots: Option<&str>| Tls { trust, roots: roots.map(PathBuf::from) };
        assert_eq!(read(""), (tls(Trust::Anybody, None), None, String::new()));
        let others = "connect_timeout=3&options=x";
        assert_eq!(read(&format!("sslmode=require&{others}")).2, others);
        assert_eq!(
            read("sslmode=require"),
            (tls(Trust::Anybody, None), Some(SslMode::Require), String::new())
        );
        let root = read("sslrootcert=/etc/a%20b.pem&sslmode=require");
        assert_eq!(root.0, tls(Trust::Signed, Some("/etc/a b.pem")));
        assert_eq!(read("sslmode=verify-ca").0, tls(Trust::Signed, None));
        assert_eq!(read("sslmode=verify-full&sslrootcert=x").0, tls(Trust::Named, Some("x")));
        for wrong in ["sslmode=perhaps", "sslrootcert=%2", "sslrootcert=%ff", "sslrootcert=%+1"] {
            assert!(Tls::of_options(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_that_has_no_certificates_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roots.pem");
        let connector = || Tls { trust: Trust::Named, roots: Some(path.clone()) }.connector().map(drop);
        assert!(connector().unwrap_err().starts_with("cannot read"));
        for text in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            fs::write(&path, text).unwrap();
            assert!(connector().unwrap_err().contains("has no certificate"), "{text}");
        }
    }
}
