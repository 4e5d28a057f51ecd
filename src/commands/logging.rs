//! Prints the log messages of the libraries to stderr: warnings, and with `--verbose` the time of each step.

use std::io;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::commands::cli::GlobalOptions;
use crate::commands::terminal;

/// Sends what Akin's crates log to stderr. The crates of others are heard only when they warn.
pub fn start(options: &GlobalOptions) {
    let (ours, others) = match (options.quiet, options.verbose) {
        (true, _) => (Level::ERROR, Level::ERROR),
        (_, true) => (Level::DEBUG, Level::WARN),
        _ => (Level::WARN, Level::ERROR),
    };
    // Targets are prefixes: "akin" covers every crate of this workspace.
    let targets = Targets::new().with_default(others).with_target("akin", ours);
    // sled reports a full disk seven times over; the error it returns says it once.
    let targets = if options.verbose { targets } else { targets.with_target("sled", LevelFilter::OFF) };
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(terminal::stderr_has_color(options.color))
        .with_target(false)
        .without_time();
    tracing_subscriber::registry().with(targets).with(lines).init();
}
