//! A server answers `akin query` of the same user over a socket in the folder of the index: the model is loaded already.
//!
//! The program asks only what the server answers with the very bytes that the program would print without it. The server
//! refuses whatever it would do otherwise, and the program then answers itself. So does it after any trouble with the socket.
//!
//! - `wire`: what is asked and answered, and how it is written.
//! - `listen`: the socket in the folder, and the requests that come by it.
//! - `answer`: answers as the program would.
//! - `client`: asks.

pub(crate) mod answer;
pub(crate) mod client;
pub(crate) mod listen;
pub(crate) mod wire;

pub use self::client::ask;
pub use self::wire::{Ask, Shown, Surroundings, is_plain};
