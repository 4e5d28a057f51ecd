//! Prints the log messages of the libraries to stderr: warnings, and with `--verbose` the time of each step.

use std::io;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::commands::cli::{GlobalOptions, LogFormat};
use crate::commands::terminal;

/// Sends what Akin's crates log to stderr. The crates of others are heard only when they warn. The log of requests has the
/// time, and is as it was asked for.
pub fn start(options: &GlobalOptions, requests: Option<LogFormat>) {
    let (ours, others) = match (options.quiet, options.verbose) {
        (true, _) => (Level::ERROR, Level::ERROR),
        (_, true) => (Level::DEBUG, Level::WARN),
        _ => (Level::WARN, Level::ERROR),
    };
    // Targets are prefixes: "akin" covers every crate of this workspace.
    let targets = Targets::new().with_default(others).with_target("akin", ours);
    // sled reports a full disk seven times over; the error it returns says it once.
    let targets = if options.verbose { targets } else { targets.with_target("sled", LevelFilter::OFF) };
    let targets = if requests.is_some() { targets.with_target("akin_access", Level::INFO) } else { targets };
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(terminal::stderr_has_color(options.color))
        .with_target(false);
    let registry = tracing_subscriber::registry().with(targets);
    match requests {
        None => registry.with(lines.without_time()).init(),
        Some(LogFormat::Text) => registry.with(lines).init(),
        Some(LogFormat::Json) => registry.with(lines.json().flatten_event(true)).init(),
    }
}
