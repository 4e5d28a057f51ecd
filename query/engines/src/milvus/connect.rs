//! Calls of a server, which are made again where it is away for a moment.

use std::cell::Cell;
use std::error::Error as _;
use std::fmt::Display;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use super::address::Address;
use super::wire::{Answer, BOUNDED, Mutated, SINCE, STRONG, Status};
use crate::{Error, Result};

/// How long to wait before each further try. A server that was killed takes half a minute to come back.
const WAITS: [Duration; 6] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(6),
    Duration::from_secs(10),
    Duration::from_secs(20),
];

/// How long a server may take to answer at first.
const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// How long a server may take over one call.
const CALL_WAIT: Duration = Duration::from_secs(180);

/// A sign of life is asked for after so long without one, while a call is under way.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The greatest answer that is taken, which is what servers are set to send at most.
const MOST_BYTES: usize = 512 << 20;

/// Codes of servers that will answer in a while: not ready, unavailable, limits the rate, not loaded yet.
const PASSING: [i32; 6] = [1, 2, 8, 101, 102, 103];

/// The same of the codes of servers before 2.3: limits the rate, no leader yet, no replica yet, not ready.
const OLD_PASSING: [i32; 5] = [44, 45, 49, 56, 57];

/// The code of a collection that is not there.
pub(super) const NO_COLLECTION: i32 = 100;

/// A connection to the server of a collection.
pub(super) struct Connection {
    pub(super) address: Address,
    runtime: Runtime,
    channel: Channel,
    login: Option<MetadataValue<Ascii>>,
    /// When this connection wrote last, by the clock of the server.
    written: Cell<u64>,
    has_read: Cell<bool>,
}

/// What a try came to, other than an answer.
enum Failed {
    /// The server was not reached, or went away.
    Lost(String),
    /// It will answer in a while.
    Passing(String),
    Refused(Error),
}

impl Connection {
    /// Connects.
    pub(super) fn open(address: Address) -> Result<Self> {
        let unreachable = |reason: &dyn Display| Error::Unreachable {
            server: address.server().into(),
            reason: reason.to_string(),
        };
        let encrypted = |reason: String| Error::Encryption { server: address.server().into(), reason };
        let mut endpoint = Endpoint::from_shared(address.uri())
            .map_err(|error| unreachable(&error))?
            .connect_timeout(CONNECT_WAIT)
            .timeout(CALL_WAIT)
            .http2_keep_alive_interval(KEEPALIVE)
            .tcp_nodelay(true);
        let tls = address.tls().map_err(encrypted)?;
        let is_encrypted = tls.is_some();
        if let Some(tls) = tls {
            endpoint = endpoint.tls_config(tls).map_err(|error| encrypted(chain(&error)))?;
        }
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|error| unreachable(&error))?;
        let channel = runtime.block_on(endpoint.connect()).map_err(|error| {
            let reason = chain(&error);
            // A server that cannot be reached says so in words of the system.
            match is_encrypted && !reason.contains("os error") {
                true => encrypted(reason),
                false => unreachable(&reason),
            }
        })?;
        let login = address.login().map(|login| STANDARD.encode(login));
        // What base64 writes is ASCII.
        let login = login.and_then(|login| MetadataValue::try_from(login).ok());
        Ok(Self { address, runtime, channel, login, written: Cell::new(0), has_read: Cell::new(false) })
    }

    /// Makes a call. Where the server is away meanwhile, it waits and makes it again, a few times: the call must do no harm when it is
    /// made twice.
    pub(super) fn call<Q, A>(&self, method: &str, request: &Q) -> Result<A>
    where
        Q: Message + Clone + 'static,
        A: Answer,
    {
        let mut waits = WAITS.iter();
        loop {
            let failed = match self.call_once(method, request) {
                Ok(answer) => return Ok(answer),
                Err(Failed::Refused(error)) => return Err(error),
                Err(failed) => failed,
            };
            let server = self.address.server();
            let Some(wait) = waits.next() else {
                return Err(match failed {
                    Failed::Lost(reason) => Error::Gone { server: server.into(), reason },
                    Failed::Passing(reason) => Error::Refused { server: server.into(), reason },
                    Failed::Refused(error) => error,
                });
            };
            match &failed {
                Failed::Lost(reason) => {
                    tracing::warn!("lost the connection to {server}: {reason}; trying again in {wait:?}");
                }
                Failed::Passing(reason) => {
                    tracing::warn!("{server} is not ready: {reason}; trying again in {wait:?}");
                }
                Failed::Refused(_) => {}
            }
            self.pause(*wait);
        }
    }

    /// Makes a call that writes.
    pub(super) fn write<Q: Message + Clone + 'static>(&self, method: &str, request: &Q) -> Result<()> {
        let mutated: Mutated = self.call(method, request)?;
        // What was written at a time is seen after it.
        self.written.set(self.written.get().max(mutated.time.saturating_add(1)));
        Ok(())
    }

    /// Has the next read see all that was acknowledged to anybody before it.
    pub(super) fn refresh(&self) {
        self.has_read.set(false);
    }

    /// How far a read may lag behind: not at all for the first; then it sees what this connection wrote, and what others wrote some
    /// seconds ago. A server may take a fifth of a second to be sure that it lacks nothing.
    pub(super) fn consistency(&self) -> (i32, u64) {
        match (self.has_read.replace(true), self.written.get()) {
            (false, _) => (STRONG, 0),
            (true, 0) => (BOUNDED, 0),
            (true, written) => (SINCE, written),
        }
    }

    /// Waits, while the connection is looked after.
    pub(super) fn pause(&self, wait: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(wait).await });
    }

    fn call_once<Q, A>(&self, method: &str, request: &Q) -> Result<A, Failed>
    where
        Q: Message + Clone + 'static,
        A: Answer,
    {
        let path = format!("/milvus.proto.milvus.MilvusService/{method}");
        let mut request = Request::new(request.clone());
        if let Some(login) = &self.login {
            request.metadata_mut().insert("authorization", login.clone());
        }
        let mut client = Grpc::new(self.channel.clone())
            .max_decoding_message_size(MOST_BYTES)
            .max_encoding_message_size(MOST_BYTES);
        let answer = self.runtime.block_on(async {
            client.ready().await.map_err(|error| Failed::Lost(chain(&error)))?;
            let path = path.parse().expect("the name of a method is a path");
            let codec = ProstCodec::<Q, A>::default();
            client.unary(request, path, codec).await.map_err(|status| self.failed(&status))
        })?;
        let answer = answer.into_inner();
        match answer.status() {
            Some(status) if status.code != 0 || status.old_code != 0 => Err(self.refused(status)),
            _ => Ok(answer),
        }
    }

    /// What a call that had no answer failed of.
    fn failed(&self, status: &tonic::Status) -> Failed {
        let server = self.address.server().to_owned();
        let reason = match status.message() {
            "" => chain(status),
            said => said.to_owned(),
        };
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => {
                Failed::Refused(Error::Login { server, reason })
            }
            Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Aborted => {
                Failed::Lost(chain(status))
            }
            // The transport reports so, and no server.
            _ if status.source().is_some() => Failed::Lost(chain(status)),
            _ => Failed::Refused(Error::Refused { server, reason }),
        }
    }

    /// What a server said that answered otherwise than asked.
    fn refused(&self, status: &Status) -> Failed {
        let reason = status.reason.trim().to_owned();
        let is_passing = status.retriable
            || PASSING.contains(&status.code)
            || (status.code == 0 && OLD_PASSING.contains(&status.old_code));
        let server = self.address.server().to_owned();
        match status.code {
            NO_COLLECTION => Failed::Refused(Error::NoTable { place: self.address.place() }),
            _ if is_passing => Failed::Passing(reason),
            _ => Failed::Refused(Error::Refused { server, reason }),
        }
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
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
