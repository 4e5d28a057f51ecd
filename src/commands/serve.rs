//! `akin serve`: answers over HTTP until it is told to stop.

use akin_server::Server;

use crate::commands::cli::ServeArguments;
use crate::commands::terminal::Terminal;

/// Opens what is served, says where, and answers.
pub fn run(arguments: &ServeArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let server = Server::start(&arguments.options())?;
    let indexes = server.indexes().join(", ");
    let what = if indexes.is_empty() { "models".to_owned() } else { indexes };
    terminal.note(format_args!("serving {what} at http://{}", server.address()));
    server.run();
    Ok(())
}
