//! `akin` as a process that reads one document, which `akin index` starts for each PDF: a reader that hangs or dies ends with
//! this process.

use std::borrow::Cow;
use std::env;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use akin_indexer::documents::{self, Worker};

/// The first argument of such a process. It is no command of users.
const MARK: &str = "__read-document";

/// This program as a reader of documents, if its file is known.
pub fn this_program() -> Option<Worker> {
    env::current_exe().ok().map(|program| Worker::new(&program, &[MARK]))
}

/// Reads the document of stdin if this process was started for it; else `None`.
pub fn run(arguments: &[OsString]) -> Option<ExitCode> {
    let arguments: Vec<Cow<str>> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    if arguments.get(1).map(AsRef::as_ref) != Some(MARK) {
        return None;
    }
    let format = arguments.get(2).map_or("", AsRef::as_ref);
    let encoding = arguments.get(3).map(AsRef::as_ref);
    let read = documents::answer(format, encoding, &mut io::stdin().lock(), &mut io::stdout().lock());
    Some(if read.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}
