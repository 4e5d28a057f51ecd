//! What can be wrong with a request, and with the start of a server.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is taken, or is none of this machine.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Other machines reach the address, and nobody needs a key.
    #[error("{address} can be reached from other machines, and no keys are asked for")]
    Open {
        /// The address.
        address: SocketAddr,
    },
    /// Two folders have the same name, or one has none.
    #[error("cannot serve {}: {reason}", path.display())]
    Name {
        /// The folder.
        path: PathBuf,
        /// What is wrong with its name.
        reason: String,
    },
    /// A line of the file of keys cannot be read.
    #[error("{}{}: {reason}", path.display(), place(*line))]
    Keys {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0 for the whole file.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificate or its key cannot be used.
    #[error("{}: {reason}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Traces cannot be sent there.
    #[error("{0}")]
    Traces(String),
    /// Neither an index nor a model is there to serve.
    #[error("there is neither an index nor a model to serve")]
    Nothing,
    /// An index or a model cannot be opened.
    #[error(transparent)]
    Query(#[from] akin_query::Error),
    /// What came on stdin is not the protocol.
    #[error("the client on stdin does not speak the Model Context Protocol: {0}")]
    Protocol(#[source] io::Error),
    /// The system gave no threads.
    #[error("cannot start the threads of the server: {0}")]
    Threads(#[source] io::Error),
}

impl From<akin_index::Error> for StartError {
    fn from(error: akin_index::Error) -> Self {
        Self::Query(error.into())
    }
}

/// A line behind the name of its file.
fn place(line: usize) -> String {
    if line == 0 { String::new() } else { format!(":{line}") }
}

/// What kind of mistake or trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request asks for something that cannot be.
    Invalid,
    /// No key, or none that is known.
    Unauthorized,
    /// The key, the host or the origin does not allow it.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The path knows no such method.
    Method,
    /// It took too long.
    Timeout,
    /// The index cannot be changed now.
    Conflict,
    /// The body, the texts or their tokens are too many.
    TooLarge,
    /// Too much is being done already.
    Busy,
    /// Something in here is broken.
    Internal,
    /// What is asked of cannot do it.
    NotImplemented,
    /// The server stops, or its disk takes no more.
    Unavailable,
}

impl Kind {
    /// The status of HTTP.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// What a client is told. The guard writes it in the form of the interface that the client speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// What kind it is.
    pub kind: Kind,
    /// One sentence.
    pub message: String,
    /// The field of the request at fault.
    pub field: Option<String>,
    /// After how many seconds to ask again, where that is known.
    pub retry_after: Option<u64>,
}

impl ApiError {
    /// An error of a kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), field: None, retry_after: None }
    }

    /// The request asks for something that cannot be.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// The same for a field.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), ..Self::invalid(message) }
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// A thread of ours ended in a panic.
    pub fn panicked() -> Self {
        Self::new(Kind::Internal, "a fault in the server ended this request, and it has not been answered")
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

impl IntoResponse for ApiError {
    /// The status alone: the guard knows the form of the rest.
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<String> for ApiError {
    /// The system refused something, in its own words.
    fn from(reason: String) -> Self {
        Self::new(Kind::Unavailable, reason)
    }
}

impl From<akin_encoder::Error> for ApiError {
    fn from(error: akin_encoder::Error) -> Self {
        let kind = match error {
            akin_encoder::Error::Invalid(_) => Kind::Invalid,
            _ => Kind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<akin_index::Error> for ApiError {
    fn from(error: akin_index::Error) -> Self {
        use akin_index::Error;
        let message = error.to_string();
        match error {
            Error::Filter { .. } => Self::field("filter", message),
            Error::Invalid(_) | Error::Dimension { .. } => Self::invalid(message),
            Error::UnknownModel { .. } => Self::invalid(format!("{message}: ask with \"mode\": \"keyword\"")),
            Error::OtherModel { .. } | Error::Locked { .. } | Error::Stale(_) => {
                Self::new(Kind::Conflict, message)
            }
            Error::Write { .. } => Self::new(Kind::Unavailable, message),
            _ => Self::new(Kind::Internal, message),
        }
    }
}

impl From<akin_indexer::Error> for ApiError {
    fn from(error: akin_indexer::Error) -> Self {
        match error {
            akin_indexer::Error::Index(error) => error.into(),
            akin_indexer::Error::Encoder(error) => error.into(),
            akin_indexer::Error::Engine(error) => error.into(),
            other => Self::invalid(other.to_string()),
        }
    }
}

impl From<akin_engines::Error> for ApiError {
    fn from(error: akin_engines::Error) -> Self {
        use akin_engines::Error;
        let message = error.to_string();
        match error {
            Error::Index(error) => error.into(),
            Error::Filter { .. } => Self::field("filter", message),
            Error::Document { .. } => Self::field("documents", message),
            Error::NoWords { .. } => {
                let message = format!("{message}: ask with \"mode\": \"semantic\"");
                Self { field: Some("mode".into()), ..Self::new(Kind::NotImplemented, message) }
            }
            Error::OtherModel { .. }
            | Error::NotOurs { .. }
            | Error::NoTable { .. }
            | Error::TextConfig { .. } => Self::new(Kind::Conflict, message),
            _ => Self::new(Kind::Unavailable, message),
        }
    }
}

impl From<akin_query::Error> for ApiError {
    fn from(error: akin_query::Error) -> Self {
        use akin_query::Error;
        match error {
            Error::Encoder(error) => error.into(),
            Error::Index(error) => error.into(),
            Error::Engine(error) => error.into(),
            Error::NotOfEngine { .. } => Self::new(Kind::NotImplemented, error.to_string()),
            Error::Queries(error) => error.into(),
            Error::QueryEncoder(error) => match error.downcast::<Self>() {
                Ok(error) => *error,
                Err(error) => Self::new(Kind::Internal, error.to_string()),
            },
            Error::NoExample { .. } => Self::field("like", error.to_string()),
            Error::ExamplesOfWords => {
                Self::field("mode", format!("{error}: leave \"mode\": \"keyword\" out, or like and unlike"))
            }
            Error::NoEncoder => Self::invalid(
                "this index has no model to encode the text with: ask with \"mode\": \"keyword\"",
            ),
            Error::OtherPrompt { .. } | Error::OtherSimilarity { .. } => {
                Self::new(Kind::Conflict, error.to_string())
            }
            other => Self::new(Kind::Internal, other.to_string()),
        }
    }
}
