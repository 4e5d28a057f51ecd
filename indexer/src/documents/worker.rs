//! A reader in a process of its own: one that hangs, fills the memory or overflows its stack is ended with its process.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use akin_index::Metadata;
use encoding_rs::Encoding;
use serde_json::{Value, json};

use super::blocks::MAX_TEXT_BYTES;
use super::{DocumentFormat, Extracted, Unread};

/// Bytes of an answer that are read: as JSON a byte of text may have six.
const MAX_ANSWER_BYTES: u64 = 6 * MAX_TEXT_BYTES as u64 + (16 << 20);

/// A program that reads a document: its standard input is the bytes of the file, and it ends with [`answer`]. The name of the
/// format and of the encoding, if there is one, are its last arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    program: PathBuf,
    arguments: Vec<OsString>,
    time: Duration,
}

impl Worker {
    /// A program with its first arguments. It has a minute for each file.
    pub fn new(program: &Path, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(OsString::from).collect();
        Self { program: program.to_owned(), arguments, time: super::guard::TIME }
    }

    /// The same, with another time for each file.
    #[must_use]
    pub fn with_time(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// Reads a document. `None` if the program cannot be started.
    pub(super) fn read(
        &self,
        format: DocumentFormat,
        bytes: &[u8],
        encoding: Option<&'static Encoding>,
    ) -> Option<Result<Extracted, Unread>> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(format.name()).args(encoding.map(Encoding::name));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        let answer = self.ask(&mut child, bytes);
        let _ = child.wait();
        Some(answer.and_then(|answer| understood(&answer)))
    }

    /// The bytes that the process answers, if it does so in time.
    fn ask(&self, child: &mut Child, bytes: &[u8]) -> Result<Vec<u8>, Unread> {
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            let _ = child.kill();
            return Err(gave_up());
        };
        let (sender, receiver) = channel();
        // Ends with the process at the latest.
        thread::spawn(move || {
            let mut answer = Vec::new();
            let read = output.take(MAX_ANSWER_BYTES).read_to_end(&mut answer);
            let _ = sender.send(read.map(|_| answer));
        });
        thread::scope(|scope| {
            // A process that does not read to the end may answer even so.
            scope.spawn(move || drop(input.write_all(bytes)));
            let answer = receiver.recv_timeout(self.time);
            // Whether it answered or not, it reads no more.
            let _ = child.kill();
            answer.map_err(|_| Unread::Because(super::guard::too_slow(self.time)))?.map_err(|_| gave_up())
        })
    }
}

fn gave_up() -> Unread {
    Unread::Because(super::guard::GAVE_UP.into())
}

/// What a process answered.
fn understood(answer: &[u8]) -> Result<Extracted, Unread> {
    let mut answer: Metadata = serde_json::from_slice(answer).map_err(|_| gave_up())?;
    match (answer.remove("text"), answer.remove("metadata"), answer.remove("unread")) {
        (Some(Value::String(text)), Some(Value::Object(metadata)), _) => Ok(Extracted { text, metadata }),
        (_, _, Some(Value::String(reason))) => Err(Unread::Because(reason)),
        (_, _, Some(Value::Null)) => Err(Unread::NoDocument),
        _ => Err(gave_up()),
    }
}

/// Reads a document as a [`Worker`] does: from `input`, in a format and an encoding by their names. Writes to `output` what became of
/// it.
///
/// # Errors
/// What reading and writing report, and names of nothing.
pub fn answer(
    format: &str,
    encoding: Option<&str>,
    input: &mut dyn Read,
    output: &mut dyn Write,
) -> io::Result<()> {
    let unknown = || io::Error::from(io::ErrorKind::InvalidInput);
    let format = DocumentFormat::named(format).ok_or_else(unknown)?;
    let encoding = match encoding {
        Some(name) => Some(Encoding::for_label_no_replacement(name.as_bytes()).ok_or_else(unknown)?),
        None => None,
    };
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let answer = match super::read(Path::new(""), bytes, Some(format), encoding) {
        Ok(Extracted { text, metadata }) => json!({ "text": text, "metadata": metadata }),
        Err(Unread::Because(reason)) => json!({ "unread": reason }),
        Err(Unread::NoDocument) => json!({ "unread": null }),
    };
    serde_json::to_writer(&mut *output, &answer)?;
    output.flush()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    /// A worker that runs a line of shell.
    fn shell(line: &str) -> Worker {
        Worker::new(Path::new("/bin/sh"), &["-c", line, "sh"])
    }

    fn read(worker: &Worker) -> Result<Extracted, Unread> {
        worker.read(DocumentFormat::Pdf, &[b'x'; 1 << 20], None).unwrap()
    }

    #[test]
    fn a_process_that_hangs_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        // It reads nothing, so that the bytes do not fit into the pipe either.
        let line = format!("echo $$ > {}; exec sleep 1000", pid.display());
        let refused = read(&shell(&line).with_time(Duration::from_secs(2)));
        assert_eq!(refused, Err(Unread::Because("it takes more than 2 s to read".into())));
        let pid = std::fs::read_to_string(&pid).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists() || !Path::new("/proc/self").exists());
    }

    #[test]
    fn a_process_that_dies_or_babbles_costs_its_document() {
        for line in ["kill -9 $$", "exit 3", "echo text", "echo '{\"text\":1}'", "echo '[]'"] {
            let Err(Unread::Because(reason)) = read(&shell(line)) else { panic!("{line}") };
            assert!(reason.starts_with("damaged"), "{line}: {reason}");
        }
        assert!(Worker::new(Path::new("/nowhere"), &[]).read(DocumentFormat::Pdf, b"", None).is_none());
    }

    #[test]
    fn a_process_is_told_the_format_and_answers_with_the_document() {
        let echo = "cat > /dev/null; echo '{\"text\":\"'$1'\",\"metadata\":{\"n\":1}}'";
        let extracted = read(&shell(echo)).unwrap();
        assert_eq!((extracted.text.as_str(), &extracted.metadata["n"]), ("pdf", &1.into()));
    }

    #[test]
    fn what_is_read_is_answered_and_understood() {
        let through = |format: &str, bytes: &[u8]| {
            let mut written = Vec::new();
            answer(format, None, &mut { bytes }, &mut written).unwrap();
            understood(&written)
        };
        assert_eq!(through("rtf", br"{\rtf1 A cat.}").unwrap().text.trim(), "A cat.");
        assert_eq!(through("rtf", br"{\rtf1 }"), Err(Unread::Because("there is no text in it".into())));
        assert!(answer("doc", None, &mut io::empty(), &mut io::sink()).is_err());
    }
}
