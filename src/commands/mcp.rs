//! `akin mcp`: gives an agent tools on stdin and stdout.

use crate::commands::cli::McpArguments;

/// Serves until stdin ends.
pub fn run(arguments: &McpArguments) -> anyhow::Result<()> {
    Ok(akin_server::serve_stdio(&arguments.options())?)
}
