//! `akin` as a process that reads one document, which `akin index` starts for each PDF: a reader that hangs or dies ends with
//! this process.

use std::borrow::Cow;
use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use akin_indexer::documents::{self, Worker};

/// The first argument of such a process. It is no command of users.
const MARK: &str = "__read-document";

/// What such a process may have of memory, in bytes of addresses: a PDF of 15 KB can say that it unpacks to gigabytes.
#[cfg(unix)]
const MEMORY: u64 = 2 << 30;

/// What runs this program, where that is not its own file.
static PROGRAM: OnceLock<(PathBuf, Vec<String>)> = OnceLock::new();

/// Says that a program with these arguments first is this program.
pub fn run_by(program: &Path, arguments: &[&str]) {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    // A second call in a process says the same.
    let _ = PROGRAM.set((program.to_owned(), arguments));
}

/// This program as a reader of documents, if its file is known.
pub fn this_program() -> Option<Worker> {
    match PROGRAM.get() {
        Some((program, arguments)) => {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            Some(program_as_reader(program, &arguments))
        }
        None => env::current_exe().ok().map(|program| program_as_reader(&program, &[])),
    }
}

/// A program that does what this one does, as a reader of documents.
pub fn program_as_reader(program: &Path, arguments: &[&str]) -> Worker {
    let arguments: Vec<&str> = arguments.iter().copied().chain([MARK]).collect();
    Worker::new(program, &arguments)
}

/// Reads the document of stdin if this process was started for it; else `None`.
pub fn run(arguments: &[OsString]) -> Option<u8> {
    let arguments: Vec<Cow<str>> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    if arguments.get(1).map(AsRef::as_ref) != Some(MARK) {
        return None;
    }
    bound_memory();
    let format = arguments.get(2).map_or("", AsRef::as_ref);
    let encoding = arguments.get(3).map(AsRef::as_ref);
    let read = documents::answer(format, encoding, &mut io::stdin().lock(), &mut io::stdout().lock());
    Some(if read.is_ok() { 0 } else { 2 })
}

/// From here on an allocation beyond the bound fails, which ends the process. Where the system knows no such bound there is none.
fn bound_memory() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let before = getrlimit(Resource::As);
        let current = Some(before.current.map_or(MEMORY, |current| current.min(MEMORY)));
        let _ = setrlimit(Resource::As, Rlimit { current, maximum: before.maximum });
    }
}
