//! Prints an answer: hits aligned for people, a JSON line for programs.

use std::io::{self, IsTerminal, Write};

use akin_query::{Answer, Highlight, RankedHit};
use anyhow::Context;

use crate::commands::snippet;
use crate::commands::terminal::{Style, Terminal, on_one_line};

/// The widest column of ids: one long id must not push all texts off the screen.
const WIDEST_ID: usize = 40;

/// Lines that show a hit whose text is longer than one.
const LINES: usize = 3;

/// How far those are indented.
const INDENT: usize = 4;

/// Prints an answer to stdout, all of it before this returns. On a terminal long texts are shown in part, and `highlights`
/// tells what stands out.
pub fn print(
    answer: &Answer,
    json: bool,
    highlights: impl FnOnce() -> anyhow::Result<Vec<Highlight>>,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let highlights = match screen_width() {
        Some(width) if !json => Some((width, highlights()?)),
        _ => None,
    };
    let mut output = io::BufWriter::new(io::stdout().lock());
    let write = |output: &mut dyn Write| {
        if json {
            return answer.write_json_line(output);
        }
        match &highlights {
            Some((width, highlights)) => write_screen(output, answer, highlights, *width, terminal)?,
            None => write_hits(output, answer, terminal)?,
        }
        write_facets(output, answer, terminal)
    };
    write(&mut output).and_then(|()| output.flush()).context("cannot write to stdout")
}

/// The columns of the terminal that stdout is, if it is one.
pub fn screen_width() -> Option<usize> {
    let width = || terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
    io::stdout().is_terminal().then(|| width().max(40))
}

/// Writes the hits, a line each: all of the passage that was found.
fn write_hits(output: &mut dyn Write, answer: &Answer, terminal: &Terminal) -> io::Result<()> {
    let columns = Columns::of(answer);
    for hit in &answer.hits {
        let text = hit.passage.as_ref().map_or(&hit.text, |passage| &passage.text);
        writeln!(output, "{}{}", columns.before(hit, terminal), on_one_line(text))?;
    }
    write_if_none(output, answer, terminal)
}

/// Writes the hits for a screen: a line each if all of them are so short, else each with some lines of what answers.
fn write_screen(
    output: &mut dyn Write,
    answer: &Answer,
    highlights: &[Highlight],
    width: usize,
    terminal: &Terminal,
) -> io::Result<()> {
    let columns = Columns::of(answer);
    let room = width.saturating_sub(columns.width());
    let is_short = |highlight: &Highlight| highlight.passage.len() <= room;
    let short = highlights.iter().all(is_short);
    for (hit, highlight) in answer.hits.iter().zip(highlights) {
        let before = columns.before(hit, terminal);
        if short {
            let line = snippet::lines(&hit.text, highlight, room, 1, terminal).concat();
            writeln!(output, "{before}{line}")?;
        } else {
            writeln!(output, "{}", before.trim_end())?;
            for line in snippet::lines(&hit.text, highlight, width - INDENT, LINES, terminal) {
                writeln!(output, "{:INDENT$}{line}", "")?;
            }
        }
    }
    write_if_none(output, answer, terminal)
}

fn write_if_none(output: &mut dyn Write, answer: &Answer, terminal: &Terminal) -> io::Result<()> {
    match answer.hits.is_empty() {
        true => writeln!(output, "{}", terminal.paint(Style::Dim, "no hits")),
        false => Ok(()),
    }
}

/// Writes how often each value of a field is among the best hits.
fn write_facets(output: &mut dyn Write, answer: &Answer, terminal: &Terminal) -> io::Result<()> {
    for (field, counts) in &answer.facets {
        let counts: Vec<String> = counts
            .as_object()
            .into_iter()
            .flatten()
            .take(FACETS)
            .map(|(value, count)| format!("{} {count}", on_one_line(value)))
            .collect();
        let counts = if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
        writeln!(output, "{}: {counts}", terminal.paint(Style::Bold, &on_one_line(field)))?;
    }
    Ok(())
}

/// Values of a facet that are shown to people.
const FACETS: usize = 20;

/// What stands before the texts: rank, score and id, aligned.
struct Columns {
    rank: usize,
    id: usize,
}

impl Columns {
    fn of(answer: &Answer) -> Self {
        let rank = answer.hits.last().map_or(1, |last| last.rank.to_string().len());
        let widths = answer.hits.iter().map(|hit| on_one_line(&hit.id).chars().count());
        Self { rank, id: widths.max().unwrap_or(0).min(WIDEST_ID) }
    }

    /// How wide they are together.
    fn width(&self) -> usize {
        self.rank + 2 + 6 + 2 + self.id + 2
    }

    fn before(&self, hit: &RankedHit, terminal: &Terminal) -> String {
        let Self { rank, id } = *self;
        format!(
            "{:>rank$}  {}  {}  ",
            hit.rank,
            terminal.paint(Style::Score, &format!("{:6.3}", hit.score)),
            terminal.paint(Style::Id, &format!("{:id$}", on_one_line(&hit.id))),
        )
    }
}

#[cfg(test)]
mod tests {
    use akin_index::{Document, Hit};

    use super::*;

    fn answer(hits: &[(&str, f32, &str)]) -> Answer {
        let hits = hits
            .iter()
            .map(|&(id, score, text)| Hit {
                score,
                document: Document { id: id.into(), text: text.into(), ..Document::default() },
                passage: None,
            })
            .collect();
        Answer::new("q", hits)
    }

    fn written(color: bool, hits: &[(&str, f32, &str)]) -> String {
        let mut output = Vec::new();
        write_hits(&mut output, &answer(hits), &Terminal::silent(color)).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn hits_are_aligned_a_line_each() {
        let hits = [("a", 0.91234, "one"), ("long-id", -0.5, "two\nlines\x1b[2J")];
        assert_eq!(written(false, &hits), "1   0.912  a        one\n2  -0.500  long-id  two lines [2J\n");
    }

    #[test]
    fn colour_adds_escapes_and_nothing_else() {
        let hits = [("a", 0.9, "one")];
        let mut colored = written(true, &hits);
        assert!(colored.contains("\x1b[32m"));
        for escape in ["\x1b[32m", "\x1b[36m", "\x1b[0m"] {
            colored = colored.replace(escape, "");
        }
        assert_eq!(colored, written(false, &hits));
    }

    #[test]
    fn on_a_screen_long_texts_are_shown_in_part() {
        let hits = [("a", 0.9, "short"), ("b", 0.8, "word ".repeat(100).leak() as &str)];
        let answer = answer(&hits);
        let highlights: Vec<Highlight> = answer
            .hits
            .iter()
            .map(|hit| Highlight { passage: 0..hit.text.len(), ..Highlight::default() })
            .collect();
        let mut output = Vec::new();
        write_screen(&mut output, &answer, &highlights, 40, &Terminal::silent(false)).unwrap();
        let output = String::from_utf8(output).unwrap();
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(lines[..3], ["1   0.900  a", "    short", "2   0.800  b"]);
        assert_eq!(lines.len(), 6);
        assert!(
            lines.iter().all(|line| line.chars().count() <= 40) && lines[5].ends_with("word…"),
            "{output}"
        );
        let mut output = Vec::new();
        write_screen(&mut output, &answer, &highlights, 600, &Terminal::silent(false)).unwrap();
        assert_eq!(String::from_utf8(output).unwrap().lines().count(), 2);
    }

    #[test]
    fn an_answer_without_hits_says_so() {
        assert_eq!(written(false, &[]), "no hits\n");
    }
}
