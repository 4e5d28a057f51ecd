//! Serves indexes and models over HTTP: the model stays loaded, so a query costs its encoding and its search.
//!
//! The modules, in the order in which a request passes them:
//!
//! - [`options`]: what is served, and within which limits.
//! - `listen`: accepts connections and speaks HTTP; `guard` refuses who may not ask (`keys`, `origin`) and what is too much.
//! - `routes`: one file for each interface that clients speak. Ours is `routes/indexes.rs`.
//! - `page`: the page at `/`.
//! - [`map`]: the map of an index, as a file or for the page.
//! - `mcp`: tools for agents, over HTTP or on stdin and stdout.
//! - `room`: the engine room, where the texts of all clients are encoded together.
//! - [`local`]: answers `akin query` over a socket in the folder of the index.
//! - `served`: the indexes by their names; `engines`: tables that engines keep.
//! - `error`: what a client is told when something is wrong, in the form that its interface has for it (`dialect`).
//!
//! Encoding and searching run on threads of their own. The threads of the HTTP server never wait for them.

mod access;
mod app;
mod body;
mod connection;
mod dialect;
mod embedding;
mod engines;
mod error;
mod guard;
mod inputs;
mod keys;
mod listen;
pub mod local;
pub mod map;
mod mcp;
mod metrics;
mod openapi;
pub mod options;
mod origin;
mod page;
mod path;
mod patience;
mod ranking;
mod rate;
mod receive;
mod room;
mod routes;
mod served;
mod sets;
mod slow;
mod stream;
pub mod systemd;
mod tls;
mod traces;
mod writer;

pub use self::error::StartError;
pub use self::listen::Server;
pub use self::mcp::serve_stdio;
pub use self::options::{Limits, ServerOptions, TlsFiles};
