//! A folder to work in, and `akin` run in it as a user would.

// Each test file is a program of its own and uses a part of this.
#![allow(dead_code)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The file of the program under test.
pub const AKIN: &str = env!("CARGO_BIN_EXE_akin");

/// A file or folder of the repository's fixtures.
pub fn fixture(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    assert!(path.exists(), "the fixture {} is missing", path.display());
    path
}

/// A random model, small enough to index thousands of sentences in a second. Equal texts are alike
/// to it; nothing else means anything.
pub fn tiny_model() -> PathBuf {
    fixture("models/tiny-bert")
}

/// all-MiniLM-L6-v2.
pub fn real_model() -> PathBuf {
    std::env::var_os("AKIN_MODEL_DIR")
        .map(PathBuf::from)
        .or_else(|| akin_encoder::hub::installed(akin_encoder::DEFAULT_MODEL))
        .expect("this test needs all-MiniLM-L6-v2: `make model` fetches it")
}

/// A folder of its own for a test.
pub struct Workplace {
    folder: TempDir,
}

impl Workplace {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// `akin` with these arguments, to be run in this folder, where the tiny model is the default.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(AKIN);
        self.settle(command.args(arguments));
        command
    }

    /// Runs any command here, apart from the settings of whoever runs the tests.
    pub fn settle<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .current_dir(self.folder.path())
            .env("AKIN_MODEL", tiny_model())
            .env("XDG_STATE_HOME", self.path("state"))
            .env_remove("NO_COLOR")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null())
    }

    pub fn akin(&self, arguments: &[&str]) -> Run {
        Run::of(&mut self.command(arguments))
    }

    pub fn akin_reading(&self, arguments: &[&str], input: &[u8]) -> Run {
        run_reading(&mut self.command(arguments), input)
    }

    /// The figures of an index that must not change when nothing was asked of it.
    pub fn figures(&self, index: &str) -> Value {
        let mut figures = self.akin(&["stat", index, "--json"]).succeeded().json();
        // Space is the store's own business: it may tidy up when it opens.
        figures.as_object_mut().unwrap().shift_remove("bytes_on_disk").unwrap();
        figures
    }
}

/// Runs a command that reads `input`.
pub fn run_reading(command: &mut Command, input: &[u8]) -> Run {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A program that fails early stops reading; that is for the test to judge.
        scope.spawn(move || drop(stdin.write_all(input)));
        Run::from(child.wait_with_output().unwrap())
    })
}

/// What a run of `akin` said and how it ended.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    pub fn of(command: &mut Command) -> Self {
        command.output().unwrap().into()
    }

    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// The one sentence on stderr of a command that was refused.
    #[track_caller]
    pub fn refused(self) -> String {
        assert_eq!(self.code, Some(2), "{self:#?}");
        assert_eq!(self.stdout, "", "{self:#?}");
        let sentence = self.stderr.strip_suffix('\n').unwrap_or(&self.stderr);
        assert!(sentence.starts_with("akin: ") && !sentence.contains('\n'), "{self:#?}");
        sentence.to_owned()
    }

    /// stdout as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// stdout as a JSON value a line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        json_lines(&self.stdout)
    }
}

#[track_caller]
pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The ids of the hits of an answer, best first.
#[track_caller]
pub fn ids(answer: &Value) -> Vec<&str> {
    answer["hits"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap()).collect()
}

/// `count` different sentences, the same ones every time.
pub fn sentences(count: usize) -> Vec<String> {
    const WHO: [&str; 12] = [
        "the baker",
        "a fisherman",
        "my sister",
        "the old judge",
        "a choir",
        "the surgeon",
        "a stray dog",
        "the night watchman",
        "her neighbour",
        "the lighthouse keeper",
        "a violinist",
        "the gardener",
    ];
    const DOES: [&str; 10] = [
        "repairs",
        "remembers",
        "paints",
        "sells",
        "avoids",
        "measures",
        "borrows",
        "polishes",
        "follows",
        "forgets",
    ];
    const WHAT: [&str; 14] = [
        "a wooden bridge",
        "the morning train",
        "every letter",
        "two red kites",
        "the frozen lake",
        "a broken clock",
        "the village map",
        "an empty jar",
        "the long corridor",
        "a paper lantern",
        "the harbour wall",
        "seven stones",
        "the winter coat",
        "a borrowed book",
    ];
    (0..count)
        .map(|n| {
            let (who, does, what) = (WHO[n % 12], DOES[n / 12 % 10], WHAT[n / 120 % 14]);
            format!("{who} {does} {what} on day {n}")
        })
        .collect()
}
