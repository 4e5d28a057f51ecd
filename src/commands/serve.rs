//! `akin serve`: answers over HTTP until it is told to stop.

use std::sync::Arc;

use akin_server::{Server, ServerOptions, systemd};
use anyhow::Context;

use crate::commands::cli::ServeArguments;
use crate::commands::engine;
use crate::commands::terminal::Terminal;

/// Opens what is served, says where, and answers.
pub fn run(arguments: &ServeArguments, terminal: &Terminal) -> anyhow::Result<()> {
    akin_kernels::memory::share_arenas();
    for path in &arguments.indexes {
        // An address that names no table is told before models are loaded.
        engine::address(path)?;
    }
    let inherited = systemd::inherited().context("cannot listen on the socket that systemd has passed")?;
    let server = Server::start(&ServerOptions { inherited: inherited.map(Arc::new), ..arguments.options() })?;
    let indexes = server.indexes().join(", ");
    let what = if indexes.is_empty() { "models".to_owned() } else { indexes };
    terminal.note(format_args!(
        "serving {what} at {}://{}",
        if server.is_encrypted() { "https" } else { "http" },
        server.address()
    ));
    server.run();
    Ok(())
}
