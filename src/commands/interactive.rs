//! An interactive session: reads queries and commands with a line editor that keeps a history.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use akin_index::Filter;
use anyhow::Context;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::commands::answer;
use crate::commands::asking::Asking;
use crate::commands::terminal::{Style, Terminal, counted};

const HELP: &str = "\
Type what you are looking for. A line that begins with a colon is a command:
  :k N       show N hits
  :exact     compare with every document, or stop doing so
  :filter E  search among documents that fit an expression, as in :filter part = noun
  :filter    search among all documents again
  :help      show this
  :quit      leave (so does Ctrl-D)";

/// A conversation with one index.
pub struct Session<'a> {
    asking: Asking<'a>,
    json: bool,
    terminal: &'a Terminal,
}

/// What a line of a session asks for.
#[derive(Debug, PartialEq)]
enum Input<'a> {
    Nothing,
    Text(&'a str),
    Hits(usize),
    Exact,
    Filter(Option<Filter>),
    Help,
    Quit,
    Mistake(String),
}

impl<'a> Session<'a> {
    /// A session that begins with these options and documents.
    pub fn new(asking: Asking<'a>, json: bool, terminal: &'a Terminal) -> Self {
        Self { asking, json, terminal }
    }

    /// Answers lines until the user leaves.
    pub fn run(mut self) -> anyhow::Result<()> {
        let mut editor = DefaultEditor::new().context("cannot read from the terminal")?;
        let history = history_file();
        if let Some(history) = &history {
            // There is none before the first session.
            let _ = editor.load_history(history);
        }
        let documents = counted(self.asking.documents(), "document");
        self.terminal.note(format_args!("{documents}; :help for help, :quit to leave"));
        loop {
            let line = match editor.readline("akin> ") {
                Ok(line) => line,
                Err(ReadlineError::Interrupted) => continue,
                Err(ReadlineError::Eof) => break,
                Err(error) => return Err(error).context("cannot read from the terminal"),
            };
            if !line.trim().is_empty() {
                // A history that cannot grow is no reason to stop.
                let _ = editor.add_history_entry(line.trim());
            }
            match parse(&line) {
                Input::Nothing => {}
                Input::Text(text) => self.ask(text)?,
                Input::Hits(k) => self.asking.options.search.k = k,
                Input::Exact => {
                    self.asking.options.search.exact = !self.asking.options.search.exact;
                    self.terminal.note(if self.asking.options.search.exact {
                        "comparing with every document"
                    } else {
                        "walking the graph"
                    });
                }
                Input::Filter(filter) => {
                    let among = self.asking.set_filter(filter, self.terminal)?;
                    self.terminal.note(format_args!("searching among {}", counted(among, "document")));
                }
                Input::Help => self.terminal.note(HELP),
                Input::Quit => break,
                Input::Mistake(mistake) => self.terminal.note(mistake),
            }
        }
        if let Some(history) = &history
            && let Err(error) = editor.save_history(history)
        {
            tracing::warn!("cannot keep the history in {}: {error}", history.display());
        }
        Ok(())
    }

    fn ask(&mut self, text: &str) -> anyhow::Result<()> {
        let started = Instant::now();
        let answer = self.asking.ask(text)?;
        let elapsed = started.elapsed();
        answer::print(&answer, self.json, || self.asking.highlights(&answer), self.terminal)?;
        if !self.json {
            let found = counted(answer.hits.len(), "hit");
            self.terminal.note(self.terminal.paint(Style::Dim, &format!("{found} in {elapsed:.1?}")));
        }
        Ok(())
    }
}

fn parse(line: &str) -> Input<'_> {
    let line = line.trim();
    let Some(command) = line.strip_prefix(':') else {
        return if line.is_empty() { Input::Nothing } else { Input::Text(line) };
    };
    let (name, argument) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    match (name, argument.trim()) {
        ("k", number) => match number.parse() {
            Ok(k) if k > 0 => Input::Hits(k),
            _ => Input::Mistake(":k takes a number of hits, as in :k 5".into()),
        },
        ("exact", "") => Input::Exact,
        ("filter", "") => Input::Filter(None),
        ("filter", expression) => match Filter::parse(expression) {
            Ok(filter) => Input::Filter(Some(filter)),
            Err(mistake) => Input::Mistake(mistake.to_string()),
        },
        ("help" | "h" | "?", _) => Input::Help,
        ("quit" | "q" | "exit", _) => Input::Quit,
        _ => Input::Mistake(format!("there is no command :{command}; :help lists them")),
    }
}

/// Where the lines of earlier sessions are kept: `$XDG_STATE_HOME/akin/history`.
fn history_file() -> Option<PathBuf> {
    let state = env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(env::home_dir()?.join(".local/state")))?;
    let folder = state.join("akin");
    fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_texts_or_commands() {
        assert_eq!(parse("  fear of heights \n"), Input::Text("fear of heights"));
        assert_eq!(parse("   "), Input::Nothing);
        assert_eq!(parse(":k 3"), Input::Hits(3));
        assert_eq!(parse(":exact"), Input::Exact);
        assert_eq!(parse(":filter"), Input::Filter(None));
        assert_eq!(parse(":filter a = 1"), Input::Filter(Some(Filter::parse("a=1").unwrap())));
        assert_eq!(parse(":help"), Input::Help);
        assert_eq!(parse(":q"), Input::Quit);
    }

    #[test]
    fn a_mistaken_command_is_explained_and_not_searched() {
        for line in [":k", ":filter a", ":k 0", ":k many", ":unknown"] {
            assert!(matches!(parse(line), Input::Mistake(_)), "{line}");
        }
    }
}
