//! `akin mcp`: gives an agent tools on stdin and stdout, or tells the agent's client to start it.

mod install;

use anyhow::bail;

use crate::commands::cli::McpArguments;
use crate::commands::engine;

/// Serves until stdin ends, or writes the configuration of a client.
pub fn run(arguments: &McpArguments) -> anyhow::Result<()> {
    match arguments.install {
        Some(client) => install::run(client, arguments),
        None if arguments.indexes.iter().any(|path| matches!(engine::address(path), Ok(Some(_)))) => {
            bail!("`akin mcp` takes folders alone: an agent does not search tables of PostgreSQL yet")
        }
        None => Ok(akin_server::serve_stdio(&arguments.options())?),
    }
}
