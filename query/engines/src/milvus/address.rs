//! The address of a collection: `milvus://USER:PASSWORD@HOST:PORT/COLLECTION`.

use std::fs;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use tonic::transport::{Certificate, ClientTlsConfig};

use crate::{Error, Result};

/// The beginning of addresses.
const SCHEME: &str = "milvus://";

/// The port of a server whose address names none.
const PORT: u16 = 19530;

/// The longest name of a collection that Milvus takes.
const LONGEST_NAME: usize = 255;

/// The greatest file of certificates that is read.
const MOST_BYTES: u64 = 16 << 20;

/// The address of a collection.
#[derive(Clone)]
pub struct Address {
    server: String,
    login: Option<(String, String)>,
    /// Whether the connection is encrypted.
    tls: bool,
    /// A file of certificates, in PEM, that may sign that of the server; those of the system where none is named.
    roots: Option<PathBuf>,
    collection: String,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.place())
    }
}

impl Address {
    /// Whether a text is meant to be one.
    pub fn is_one(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// Reads `milvus://USER:PASSWORD@HOST:PORT/COLLECTION?OPTIONS`. With `tls=true` the connection is encrypted and the server must
    /// have a certificate for the name of its host, signed by one of the file that `roots=FILE` names, else by one of the system.
    /// Without a password the variable MILVUS_PASSWORD has it, if anything has.
    ///
    /// # Errors
    /// [`Error::Address`].
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |reason: String| Error::Address { address: without_password(text), reason };
        const FORM: &str = "write milvus://USER:PASSWORD@HOST:PORT/COLLECTION";
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| wrong(FORM.into()))?;
        let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (server, collection) = path.rsplit_once('/').ok_or_else(|| wrong(FORM.into()))?;
        if !is_name(collection) {
            return Err(wrong(format!(
                "{collection:?} is no name for a collection: take letters, digits and _, at most {LONGEST_NAME}, and no digit first"
            )));
        }
        let (login, server) = match server.rsplit_once('@') {
            Some((login, server)) => (Some(login), server),
            None => (None, server),
        };
        let login = login.map(read_login).transpose().map_err(wrong)?;
        let mut address = Self {
            server: read_server(server).ok_or_else(|| wrong(FORM.into()))?,
            login,
            tls: false,
            roots: None,
            collection: collection.to_owned(),
        };
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("tls", "true")) => address.tls = true,
                Some(("tls", "false")) => address.tls = false,
                Some(("roots", path)) => address.roots = Some(unescaped(path).map_err(wrong)?.into()),
                _ => return Err(wrong(format!("{option:?} is no option: take tls=true and roots=FILE"))),
            }
        }
        match address.roots.is_some() && !address.tls {
            true => Err(wrong("roots=FILE needs tls=true beside it".into())),
            false => Ok(address),
        }
    }

    /// The name of the collection.
    pub fn collection(&self) -> &str {
        &self.collection
    }

    /// Host and port.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// User and password, with a colon between.
    pub(super) fn login(&self) -> Option<String> {
        self.login.as_ref().map(|(user, password)| format!("{user}:{password}"))
    }

    /// Server and collection.
    pub(super) fn place(&self) -> String {
        format!("{SCHEME}{}/{}", self.server, self.collection)
    }

    /// Where to connect.
    pub(super) fn uri(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.server)
    }

    /// Whom an encrypted connection trusts.
    ///
    /// # Errors
    /// Why the file of certificates cannot be read.
    pub(super) fn tls(&self) -> Result<Option<ClientTlsConfig>, String> {
        let config = ClientTlsConfig::new();
        Ok(match &self.roots {
            _ if !self.tls => None,
            None => Some(config.with_native_roots()),
            Some(path) => {
                let reading = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
                if fs::metadata(path).map_err(reading)?.len() > MOST_BYTES {
                    return Err(format!("{} is no file of certificates", path.display()));
                }
                let bytes = fs::read(path).map_err(reading)?;
                Some(config.ca_certificate(Certificate::from_pem(bytes)))
            }
        })
    }
}

fn read_login(login: &str) -> Result<(String, String), String> {
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let password = match password {
        "" => std::env::var("MILVUS_PASSWORD").unwrap_or_default(),
        given => unescaped(given)?,
    };
    Ok((unescaped(user)?, password))
}

/// Host and port of `HOST`, `HOST:PORT` or `[IPV6]:PORT`.
fn read_server(server: &str) -> Option<String> {
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (server, PORT),
    };
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-._[]:".contains(letter);
    (!host.is_empty() && host.chars().all(fits)).then(|| format!("{host}:{port}"))
}

fn unescaped(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| "what its % signs stand for is no UTF-8".into())
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.len() <= LONGEST_NAME
        && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
        && name.bytes().all(fits)
}

/// An address without the password.
fn without_password(text: &str) -> String {
    match text.strip_prefix(SCHEME).and_then(|rest| rest.rsplit_once('@')) {
        Some((login, rest)) => format!("{SCHEME}{}@{rest}", login.split(':').next().unwrap_or_default()),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_server_and_collection() {
        let address = Address::parse("milvus://me:se%40cret@db.example:1953/Notes_1").unwrap();
        assert_eq!(address.place(), "milvus://db.example:1953/Notes_1");
        assert_eq!(address.login().as_deref(), Some("me:se@cret"));
        assert_eq!(address.uri(), "http://db.example:1953");
        assert!(!format!("{address:?}").contains("cret"));
        let address = Address::parse("milvus://[::1]/notes?tls=true&roots=/a%20b.pem").unwrap();
        assert_eq!(address.uri(), "https://[::1]:19530");
        assert!(address.tls().unwrap_err().starts_with("cannot read /a b.pem"));
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for text in [
            "milvus://me:secret@host",
            "milvus://me:secret@host/",
            "milvus://me:secret@host/1a",
            "milvus://me:secret@host/a-b",
            "milvus://me:secret@host:port/notes",
            "milvus://me:secret@/notes",
            "milvus://me:secret@ho st/notes",
            "milvus://me:secret@host/notes?tls=perhaps",
            "milvus://me:secret@host/notes?roots=a.pem",
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(!error.contains("secret") && error.contains("host") | error.contains("notes"), "{error}");
        }
    }
}
