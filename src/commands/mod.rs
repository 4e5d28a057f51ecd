//! The command line, for the program `akin` and the wheel.
//!
//! Parses the arguments, runs the subcommand, and maps its error to an exit code. Each subcommand has a file of
//! its name. The work is done by the libraries of the workspace.

mod adopt;
mod answer;
mod asking;
mod batch;
mod bench;
mod bucket;
mod cli;
mod cluster;
mod compact;
mod compared;
mod completions;
mod copy;
mod corpus;
mod dedup;
mod delete;
mod document_reader;
mod encode;
mod engine;
mod eval;
mod export;
mod filter;
mod import;
mod index;
mod interactive;
mod interrupt;
mod keywords;
mod logging;
mod map;
mod mcp;
mod model;
mod negatives;
mod output;
mod pairs;
mod query;
mod remedy;
mod repair;
mod running;
mod serve;
mod settings;
mod shard;
mod show;
mod snippet;
mod stat;
mod terminal;
mod train;
mod vectors;
mod verify;
mod watch;

use std::ffi::OsString;
use std::io;
use std::path::Path;

use anyhow::Context;
use clap::Parser;

use crate::commands::cli::{Cli, Command};
use crate::commands::terminal::Terminal;

pub use self::document_reader::program_as_reader as document_reader_of;

/// Does what the arguments of a process say, of which the first is the program's name, and gives its exit status.
///
/// It treats the process as its own: it sets the hook for panics and the handlers of signals, and ends the process
/// itself where the arguments are wrong.
pub fn main(arguments: Vec<OsString>) -> u8 {
    akin_index::explain_lost_files();
    keep_quiet_about_caught_panics();
    if let Some(status) = document_reader::run(&arguments) {
        return status;
    }
    match settings::complete(arguments).and_then(|arguments| run(Cli::parse_from(arguments))) {
        Ok(()) => 0,
        // Whoever read our output has seen enough, as in `akin query … | head -1`.
        Err(error) if is_broken_pipe(&error) => 0,
        Err(error) => match interrupt::sentence(&error) {
            Some(interrupted) => {
                Terminal::fail(&interrupted);
                interrupt::STATUS
            }
            None => {
                Terminal::fail(&sentence(&error));
                2
            }
        },
    }
}

/// The same in a process whose own file is another program: `program` with `first` before the arguments is this one.
pub fn main_from(arguments: Vec<OsString>, program: &Path, first: &[&str]) -> u8 {
    document_reader::run_by(program, first);
    main(arguments)
}

fn run(mut cli: Cli) -> anyhow::Result<()> {
    let requests = match &cli.command {
        Command::Serve(arguments) => arguments.log_format,
        _ => None,
    };
    logging::start(&cli.global, requests);
    if let Command::Query(arguments) = &cli.command
        && running::answer(arguments, cli.global.threads, &Terminal::new(&cli.global))?
    {
        return Ok(());
    }
    if let Some(threads) = cli.global.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads.get())
            .build_global()
            .context("cannot start the threads")?;
    }
    let terminal = Terminal::new(&cli.global);
    if cli.command.is_long() {
        interrupt::listen()?;
    }
    let _copies = bucket::bring(&mut cli.command, &terminal)?;
    match cli.command {
        Command::Index(arguments) => index::run(&arguments, &terminal),
        Command::Query(arguments) => query::run(&arguments, &terminal),
        Command::Serve(arguments) => serve::run(&arguments, &terminal),
        Command::Mcp(arguments) => mcp::run(&arguments),
        Command::Show(arguments) => show::run(&arguments, &terminal),
        Command::Batch(arguments) => batch::run(&arguments, &terminal),
        Command::Dedup(arguments) => dedup::run(&arguments, &terminal),
        Command::Cluster(arguments) => cluster::run(&arguments, &terminal),
        Command::Map(arguments) => map::run(&arguments, &terminal),
        Command::Pairs(arguments) => pairs::run(&arguments, &terminal),
        Command::Negatives(arguments) => negatives::run(&arguments, &terminal),
        Command::Bench(arguments) => {
            let threads = cli.global.threads.map_or(1, std::num::NonZeroUsize::get);
            bench::run(&arguments, threads, &terminal)
        }
        Command::Import(arguments) => import::run(&arguments, &terminal),
        Command::Export(arguments) => export::run(&arguments, &terminal),
        Command::Encode(arguments) => encode::run(&arguments, &terminal),
        Command::Adopt(arguments) => adopt::run(&arguments, &terminal),
        Command::Copy(arguments) => copy::run(&arguments, &terminal),
        Command::Shard(arguments) => shard::run(&arguments, &terminal),
        Command::Delete(arguments) => delete::run(&arguments, &terminal),
        Command::Compact(arguments) => compact::run(&arguments, &terminal),
        Command::Repair(arguments) => repair::run(&arguments, &terminal),
        Command::Stat(arguments) => stat::run(&arguments, &terminal),
        Command::Verify(arguments) => verify::run(&arguments, &terminal),
        Command::Train(arguments) => train::run(&arguments, &terminal),
        Command::Eval(arguments) => eval::run(&arguments, &terminal),
        Command::Completions(arguments) => completions::run(&arguments),
    }
}

/// A panic that the index catches becomes an error with a sentence of its own: its report would say it twice.
fn keep_quiet_about_caught_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !akin_index::catches_panics() && !akin_indexer::documents::catches_panics() {
            report(panic);
        }
    }));
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The error, its causes and its remedy on one line. A cause that its effect has quoted is not said twice.
fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if !sentence.contains(&cause) {
            if !sentence.is_empty() {
                sentence.push_str(": ");
            }
            sentence.push_str(&cause);
        }
    }
    if let Some(remedy) = remedy::of(error) {
        sentence.push_str(": ");
        sentence.push_str(remedy);
    }
    terminal::on_one_line(&bucket::with_addresses(&engine::without_passwords(&sentence)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_and_says_nothing_twice() {
        let cause = anyhow::anyhow!("no space left\n on device");
        assert_eq!(sentence(&cause.context("cannot write x")), "cannot write x: no space left on device");
        let cause = io::Error::other("gone");
        let error = anyhow::Error::from(cause).context("cannot read y: gone");
        assert_eq!(sentence(&error), "cannot read y: gone");
    }

    #[test]
    fn a_broken_pipe_is_recognised_below_its_context() {
        let error = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("cannot write");
        assert!(is_broken_pipe(&error));
        assert!(!is_broken_pipe(&anyhow::anyhow!("something else")));
    }
}
