//! A process that was forked has none of its parent's threads: what waits for one would wait for ever.

use std::process;
use std::sync::OnceLock;

use crate::errors::{Failure, Result};

static FIRST_USE: OnceLock<u32> = OnceLock::new();

/// Refuses a process that was forked after Akin began to work in its parent.
pub fn check() -> Result<()> {
    let process = process::id();
    match *FIRST_USE.get_or_init(|| process) == process {
        true => Ok(()),
        false => Err(Failure::new(
            "Forked",
            "this process was forked after akin was used, and has none of its threads: start processes by \
             multiprocessing.get_context(\"spawn\"), or use akin in the children alone",
        )),
    }
}
