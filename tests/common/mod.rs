//! A folder to work in, and `akin` run in it as a user would.

// Each test file is a program of its own and uses a part of this.
#![allow(dead_code)]

pub mod between;
pub mod server;

use std::io::Write;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use akin_encoder::{DEFAULT_MODEL, hub};
use akin_fixtures::Folder;
use akin_fixtures::models::{self, ModelCopy};
use serde_json::Value;

/// The file of the program under test.
pub const AKIN: &str = env!("CARGO_BIN_EXE_akin");

/// The model that is the default in a [`Workplace`].
pub fn tiny_model() -> PathBuf {
    models::tiny("bert")
}

/// all-MiniLM-L6-v2.
pub fn real_model() -> PathBuf {
    models::minilm(hub::installed(DEFAULT_MODEL))
}

/// A temporary folder, and `akin` run in it.
pub struct Workplace {
    folder: Folder,
    model: Option<ModelCopy>,
}

impl Deref for Workplace {
    type Target = Folder;
    fn deref(&self) -> &Folder {
        &self.folder
    }
}

impl Workplace {
    pub fn new() -> Self {
        Self { folder: Folder::new(), model: None }
    }

    /// The same where the default is a model that reads so much of a text that longer ones are cut into passages.
    pub fn with_passages() -> Self {
        Self { model: Some(ModelCopy::reading("bert", 60)), ..Self::new() }
    }

    fn model(&self) -> PathBuf {
        self.model.as_ref().map_or_else(tiny_model, |model| model.path().to_owned())
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
            .current_dir(self.root())
            .env("AKIN_MODEL", self.model())
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

/// A workplace with the index `notes` of `notes.txt`, `count` sentences.
pub fn with_notes(count: usize) -> Workplace {
    let workplace = Workplace::new();
    workplace.write("notes.txt", sentences(count).join("\n") + "\n");
    workplace.akin(&["index", "notes", "notes.txt"]).succeeded();
    workplace
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
