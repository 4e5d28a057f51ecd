//! Prints an answer: hits aligned for people, a JSON line for programs.

use std::io::{self, Write};

use akin_query::Answer;

use crate::terminal::{Style, Terminal, on_one_line};

/// The widest column of ids: one long id must not push all texts off the screen.
const WIDEST_ID: usize = 40;

/// Prints an answer to stdout, all of it before this returns.
pub fn print(answer: &Answer, json: bool, terminal: &Terminal) -> io::Result<()> {
    let mut output = io::BufWriter::new(io::stdout().lock());
    if json {
        answer.write_json_line(&mut output)?;
    } else {
        write_hits(&mut output, answer, terminal)?;
    }
    output.flush()
}

/// Writes the hits, a line each.
fn write_hits(output: &mut dyn Write, answer: &Answer, terminal: &Terminal) -> io::Result<()> {
    if answer.hits.is_empty() {
        return writeln!(output, "{}", terminal.paint(Style::Dim, "no hits"));
    }
    let rank_width = answer.hits.len().to_string().len();
    let ids: Vec<String> = answer.hits.iter().map(|hit| on_one_line(&hit.id)).collect();
    let id_width = ids.iter().map(|id| id.chars().count()).max().unwrap_or(0).min(WIDEST_ID);
    for (hit, id) in answer.hits.iter().zip(&ids) {
        writeln!(
            output,
            "{:>rank_width$}  {}  {}  {}",
            hit.rank,
            terminal.paint(Style::Score, &format!("{:6.3}", hit.score)),
            terminal.paint(Style::Id, &format!("{id:id_width$}")),
            on_one_line(&hit.text)
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use akin_index::{Document, Hit};

    use super::*;

    fn written(color: bool, hits: &[(&str, f32, &str)]) -> String {
        let hits = hits
            .iter()
            .map(|&(id, score, text)| Hit {
                score,
                document: Document { id: id.into(), text: text.into(), ..Document::default() },
                passage: None,
            })
            .collect();
        let mut output = Vec::new();
        write_hits(&mut output, &Answer::new("q", hits), &Terminal::silent(color)).unwrap();
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
    fn an_answer_without_hits_says_so() {
        assert_eq!(written(false, &[]), "no hits\n");
    }
}
