//! A connection that is made again when it is lost.

use std::collections::HashMap;
use std::error::Error as _;
use std::ops::{Deref, DerefMut};
use std::thread;
use std::time::Duration;

use postgres::error::SqlState;
use postgres::{Client, Statement};

use super::address::Address;
use crate::{Error, Result};

/// How long to wait before each further try, after a connection was lost.
const WAITS: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(6)];

/// What every session is set to: an approximate search goes on until enough documents fit a filter.
const SETTINGS: &str = "SET client_min_messages = warning; SET jit = off; SET hnsw.iterative_scan = relaxed_order; \
                        SET hnsw.max_scan_tuples = 200000; SET hnsw.scan_mem_multiplier = 4";

/// A client with the statements that its server has prepared: each costs one exchange with the server, once a connection.
pub(super) struct Session {
    client: Client,
    statements: HashMap<String, Statement>,
}

impl Session {
    /// A statement that is run for each batch.
    pub(super) fn prepared(&mut self, sql: &str) -> Result<Statement, postgres::Error> {
        if let Some(known) = self.statements.get(sql) {
            return Ok(known.clone());
        }
        let statement = self.client.prepare(sql)?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

/// A connection to the server of a table.
pub(super) struct Connection {
    pub(super) address: Address,
    session: Session,
    /// Changes with each new connection: what was prepared for another is gone.
    pub(super) number: usize,
}

impl Connection {
    /// Connects.
    pub(super) fn open(address: Address) -> Result<Self> {
        let session = connect(&address)?;
        Ok(Self { address, session, number: 0 })
    }

    /// Runs a call. Where the connection is lost meanwhile, it waits, connects again and runs it again, a few times: the call must do
    /// no harm when it is run twice.
    pub(super) fn run<T>(
        &mut self,
        call: &mut dyn FnMut(&mut Session) -> Result<T, postgres::Error>,
    ) -> Result<T> {
        let mut waits = WAITS.iter();
        let mut lost = match call(&mut self.session) {
            Err(error) if is_lost(&error) || self.session.is_closed() => chain(&error),
            other => return other.map_err(|error| self.refused(&error)),
        };
        loop {
            let Some(wait) = waits.next() else {
                return Err(Error::Gone { server: self.address.server(), reason: lost });
            };
            tracing::warn!(
                "lost the connection to {}: {lost}; trying again in {wait:?}",
                self.address.server()
            );
            thread::sleep(*wait);
            match connect(&self.address) {
                Ok(session) => {
                    self.session = session;
                    self.number += 1;
                }
                Err(Error::Unreachable { reason, .. }) => {
                    lost = reason;
                    continue;
                }
                Err(error) => return Err(error),
            }
            match call(&mut self.session) {
                Err(error) if is_lost(&error) || self.session.is_closed() => lost = chain(&error),
                other => return other.map_err(|error| self.refused(&error)),
            }
        }
    }

    /// Runs a call that must not be run twice.
    pub(super) fn run_once<T>(
        &mut self,
        call: &mut dyn FnMut(&mut Session) -> Result<T, postgres::Error>,
    ) -> Result<T> {
        call(&mut self.session).map_err(|error| match is_lost(&error) || self.session.is_closed() {
            true => Error::Gone { server: self.address.server(), reason: chain(&error) },
            false => self.refused(&error),
        })
    }

    /// The error of a statement that the server refused.
    pub(super) fn refused(&self, error: &postgres::Error) -> Error {
        Error::Refused { server: self.address.server(), reason: chain(error) }
    }
}

fn connect(address: &Address) -> Result<Session> {
    let server = address.server();
    let encrypted = |reason: String| Error::Encryption { server: server.clone(), reason };
    let connector = address.tls.connector().map_err(encrypted)?;
    let mut client = address.config.connect(connector).map_err(|error| {
        let reason = chain(&error);
        match error.code() {
            None if reason.contains("TLS") => encrypted(reason),
            Some(code) if is_of_login(code) => Error::Login { server: server.clone(), reason },
            // The server is starting or ending.
            _ if error.as_db_error().is_none()
                && error.source().is_some_and(|cause| cause.is::<std::io::Error>()) =>
            {
                Error::Unreachable { server: server.clone(), reason }
            }
            Some(code) if is_passing(code) => Error::Unreachable { server: server.clone(), reason },
            Some(_) => Error::Refused { server: server.clone(), reason },
            None if reason.contains("password") => Error::Login { server: server.clone(), reason },
            None => Error::Unreachable { server: server.clone(), reason },
        }
    })?;
    match client.batch_execute(SETTINGS) {
        Ok(()) => Ok(Session { client, statements: HashMap::new() }),
        Err(error) => Err(Error::Refused { server, reason: chain(&error) }),
    }
}

fn is_of_login(code: &SqlState) -> bool {
    [&SqlState::INVALID_PASSWORD, &SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(&code)
}

/// Whether the server will be there again in a while.
fn is_passing(code: &SqlState) -> bool {
    [
        &SqlState::ADMIN_SHUTDOWN,
        &SqlState::CRASH_SHUTDOWN,
        &SqlState::CANNOT_CONNECT_NOW,
        &SqlState::TOO_MANY_CONNECTIONS,
    ]
    .contains(&code)
}

fn is_lost(error: &postgres::Error) -> bool {
    error.is_closed()
        || error.code().is_some_and(is_passing)
        || error.source().is_some_and(|cause| cause.is::<std::io::Error>())
}

/// An error with its causes.
pub(super) fn chain(error: &postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return said.message().to_owned();
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
