//! The address of a table: `postgres://USER:PASSWORD@HOST:PORT/DATABASE/TABLE`.

use std::time::Duration;

use postgres::Config;
use postgres::config::Host;

use super::tls::Tls;
use crate::{Error, Result};

/// How long a server may take to answer at first.
const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// A sign of life is asked for after so long without one.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The longest name of a table: names that are made of it fit into the 63 bytes of PostgreSQL.
const LONGEST_NAME: usize = 48;

/// The beginnings of addresses.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// The address of a table.
#[derive(Debug, Clone)]
pub struct Address {
    pub(super) config: Config,
    pub(super) tls: Tls,
    /// The schema, where one was named.
    schema: Option<String>,
    table: String,
}

impl Address {
    /// Whether a text is meant to be one.
    pub fn is_one(text: &str) -> bool {
        SCHEMES.iter().any(|scheme| text.starts_with(scheme))
    }

    /// Reads `postgres://USER:PASSWORD@HOST:PORT/DATABASE/TABLE?OPTIONS`. Options are those of PostgreSQL's own programs, as in
    /// `sslmode=verify-full&sslrootcert=FILE`; the connection is encrypted where the server can, but it is not asked who answers. The table may be `SCHEMA.TABLE`; without a database it is that
    /// of the user's name. Without a password the variable PGPASSWORD has it, if anything has.
    ///
    /// # Errors
    /// [`Error::Address`].
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |reason: &str| Error::Address { address: without_password(text), reason: reason.into() };
        let scheme = SCHEMES.iter().find(|scheme| text.starts_with(**scheme));
        let rest = scheme
            .and_then(|scheme| text.strip_prefix(scheme))
            .ok_or_else(|| wrong("it begins otherwise"))?;
        let (path, options) =
            rest.split_once('?').map_or((rest, None), |(path, options)| (path, Some(options)));
        const FORM: &str = "write postgres://USER@HOST:PORT/DATABASE/TABLE";
        let (server, table) = path.rsplit_once('/').ok_or_else(|| wrong(FORM))?;
        let (schema, table) =
            table.split_once('.').map_or((None, table), |(schema, table)| (Some(schema), table));
        for name in schema.iter().chain([&table]) {
            if !is_name(name) {
                return Err(wrong(&format!(
                    "{name:?} is no name for a table: take small letters, digits and _, at most {LONGEST_NAME}, and a letter first"
                )));
            }
        }
        let (tls, mode, options) =
            Tls::of_options(options.unwrap_or_default()).map_err(|reason| wrong(&reason))?;
        let url = match options.is_empty() {
            true => format!("postgres://{server}"),
            false => format!("postgres://{server}?{options}"),
        };
        let mut config: Config = url.parse().map_err(|error| wrong(&super::connect::chain(&error)))?;
        if config.get_hosts().is_empty() {
            return Err(wrong(FORM));
        }
        if let Some(mode) = mode {
            config.ssl_mode(mode);
        }
        if config.get_password().is_none()
            && let Ok(password) = std::env::var("PGPASSWORD")
        {
            config.password(password);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_WAIT);
        }
        config.keepalives_idle(KEEPALIVE).tcp_user_timeout(KEEPALIVE).application_name("akin");
        Ok(Self { config, tls, schema: schema.map(str::to_owned), table: table.to_owned() })
    }

    /// The table as statements name it.
    pub(super) fn table(&self) -> String {
        self.named(&self.table)
    }

    /// The name of the table alone.
    pub fn table_name(&self) -> &str {
        &self.table
    }

    /// Something in the schema of the table, as statements name it.
    pub(super) fn named(&self, name: &str) -> String {
        self.schema
            .as_ref()
            .map_or_else(|| format!("\"{name}\""), |schema| format!("\"{schema}\".\"{name}\""))
    }

    /// Host and port.
    pub(super) fn server(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".into(),
        };
        format!("{host}:{}", self.config.get_ports().first().copied().unwrap_or(5432))
    }

    /// Server, database and table.
    pub(super) fn place(&self) -> String {
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        let schema = self.schema.as_ref().map_or(String::new(), |schema| format!("{schema}."));
        format!("postgres://{}/{database}/{schema}{}", self.server(), self.table)
    }
}

fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let fits = |byte: u8| is_letter(byte) || byte.is_ascii_digit();
    name.len() <= LONGEST_NAME && name.bytes().next().is_some_and(is_letter) && name.bytes().all(fits)
}

/// An address without what stands between the user and the host.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.into() };
    match rest.rsplit_once('@') {
        Some((login, rest)) => {
            let user = login.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{rest}")
        }
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_server_database_and_table() {
        let address =
            Address::parse("postgres://me:secret@db.example:5433/things/s.notes?sslmode=disable").unwrap();
        assert_eq!(address.place(), "postgres://db.example:5433/things/s.notes");
        assert_eq!(address.table(), "\"s\".\"notes\"");
        assert_eq!(address.config.get_user(), Some("me"));
        let address = Address::parse("postgresql://me@localhost/notes").unwrap();
        assert_eq!(address.place(), "postgres://localhost:5432/me/notes");
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for text in [
            "postgres://me:secret@host",
            "postgres://me:secret@host/db/",
            "postgres://me:secret@host/db/Notes",
            "postgres://me:secret@host/db/a\"b",
            "postgres://me:secret@host/db/1a",
            "postgres://me:secret@host/db/notes?sslmode=perhaps",
            "postgres:///notes",
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(!error.contains("secret") && error.contains("names no table"), "{error}");
        }
    }
}
