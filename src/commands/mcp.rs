//! `akin mcp`: gives an agent tools on stdin and stdout, or tells the agent's client to start it.

mod install;

use crate::commands::cli::McpArguments;

/// Serves until stdin ends, or writes the configuration of a client.
pub fn run(arguments: &McpArguments) -> anyhow::Result<()> {
    match arguments.install {
        Some(client) => install::run(client, arguments),
        None => Ok(akin_server::serve_stdio(&arguments.options())?),
    }
}
