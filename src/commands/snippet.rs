//! The part of a hit that a reader sees: so much as fits, around the sentence that answers, with the words marked.

use akin_query::Highlight;
use unicode_width::UnicodeWidthChar;

use crate::commands::terminal::{Style, Terminal};

/// A character as it is shown, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cell {
    character: char,
    is_bold: bool,
    is_marked: bool,
}

/// The lines of a snippet: `lines` at most, each at most `width` columns wide.
pub fn lines(
    text: &str,
    highlight: &Highlight,
    width: usize,
    lines: usize,
    terminal: &Terminal,
) -> Vec<String> {
    let cells = cells(text, highlight);
    let room = width.max(10) * lines.max(1);
    let window = window(&cells, room);
    let wrapped = wrap(&window, width.max(10));
    wrapped.into_iter().take(lines).map(|line| painted(line, terminal)).collect()
}

/// The passage on one line: each run of blank space and control characters is one blank, so that a document cannot move
/// the cursor.
fn cells(text: &str, highlight: &Highlight) -> Vec<Cell> {
    let passage = highlight.passage.clone();
    let mut words = highlight.words.iter().peekable();
    let mut cells: Vec<Cell> = Vec::new();
    for (at, character) in text[passage.clone()].char_indices() {
        let at = passage.start + at;
        while words.next_if(|word| word.end <= at).is_some() {}
        let is_marked = words.peek().is_some_and(|word| word.contains(&at));
        let is_bold = highlight.sentence.as_ref().is_some_and(|sentence| sentence.contains(&at));
        if !character.is_whitespace() && !character.is_control() {
            cells.push(Cell { character, is_bold, is_marked });
        } else if cells.last().is_some_and(|last| last.character != ' ') {
            cells.push(Cell { character: ' ', is_bold, is_marked: false });
        }
    }
    if cells.last().is_some_and(|last| last.character == ' ') {
        cells.pop();
    }
    cells
}

const DOTS: Cell = Cell { character: '…', is_bold: false, is_marked: false };

/// So many columns of a passage, around what is bold, or else around the first mark.
fn window(cells: &[Cell], room: usize) -> Vec<Cell> {
    if columns(cells) <= room {
        return cells.to_vec();
    }
    let focus =
        cells.iter().position(|cell| cell.is_bold).or_else(|| cells.iter().position(|cell| cell.is_marked));
    let bold = cells.iter().filter(|cell| cell.is_bold).count();
    // What is left of the room beside the sentence comes before it by a third.
    let before = room.saturating_sub(bold.max(room / 4)) / 3;
    let first = focus.unwrap_or(0).saturating_sub(before);
    // At the end of the passage the room is filled from before.
    let least = cells.len() - fitting(cells.iter().rev(), room.saturating_sub(1));
    let first = word_start(cells, first.min(least));
    let mut window: Vec<Cell> = if first > 0 { vec![DOTS] } else { Vec::new() };
    let fits = fitting(cells[first..].iter(), room.saturating_sub(window.len() + 1));
    if first + fits >= cells.len() {
        window.extend(&cells[first..]);
        return window;
    }
    // The last word that is whole; a word longer than all the room is cut.
    let end = cells[first..first + fits]
        .iter()
        .rposition(|cell| cell.character == ' ')
        .filter(|end| *end > fits / 2);
    window.extend(&cells[first..first + end.unwrap_or(fits)]);
    window.push(DOTS);
    window
}

/// Where a word begins, at a place or soon after.
fn word_start(cells: &[Cell], place: usize) -> usize {
    if place == 0 {
        return 0;
    }
    let near = &cells[place - 1..cells.len().min(place + 30)];
    near.iter().position(|cell| cell.character == ' ').map_or(place, |blank| place + blank)
}

/// Lines of at most `width` columns, broken at blanks where there are some.
fn wrap(cells: &[Cell], width: usize) -> Vec<&[Cell]> {
    let mut lines = Vec::new();
    let mut rest = cells;
    while !rest.is_empty() {
        let fits = fitting(rest.iter(), width).max(1);
        if fits >= rest.len() {
            lines.push(rest);
            break;
        }
        let at_blank =
            rest[..=fits].iter().rposition(|cell| cell.character == ' ').filter(|blank| *blank > 0);
        let (line, after) = rest.split_at(at_blank.unwrap_or(fits));
        lines.push(line);
        rest = after.strip_prefix(&[Cell { character: ' ', ..after[0] }]).unwrap_or(after);
    }
    lines
}

/// How many of the cells fit into so many columns.
fn fitting<'a>(cells: impl Iterator<Item = &'a Cell>, room: usize) -> usize {
    let ends = cells.scan(0, |end, cell| {
        *end += cell.character.width().unwrap_or(0);
        Some(*end)
    });
    ends.take_while(|end| *end <= room).count()
}

fn columns(cells: &[Cell]) -> usize {
    cells.iter().map(|cell| cell.character.width().unwrap_or(0)).sum()
}

fn painted(line: &[Cell], terminal: &Terminal) -> String {
    let alike = line.chunk_by(|a, b| (a.is_bold, a.is_marked) == (b.is_bold, b.is_marked));
    let painted = alike.map(|run| {
        let text: String = run.iter().map(|cell| cell.character).collect();
        match (run[0].is_bold, run[0].is_marked) {
            (false, false) => text,
            (true, false) => terminal.paint(Style::Bold, &text),
            (false, true) => terminal.paint(Style::Mark, &text),
            (true, true) => terminal.paint(Style::BoldMark, &text),
        }
    });
    painted.collect()
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    fn plain(passage: Range<usize>) -> Highlight {
        Highlight { passage, ..Highlight::default() }
    }

    fn shown(text: &str, highlight: &Highlight, width: usize, count: usize) -> Vec<String> {
        lines(text, highlight, width, count, &Terminal::silent(false))
    }

    #[test]
    fn what_fits_is_shown_whole_and_on_one_line() {
        let text = "One\n\n two\x1b[2J three ";
        assert_eq!(shown(text, &plain(0..text.len()), 40, 1), ["One two [2J three"]);
        assert_eq!(shown(text, &plain(5..9), 40, 1), ["two"]);
        assert_eq!(shown("", &plain(0..0), 40, 2), [] as [&str; 0]);
    }

    #[test]
    fn the_sentence_that_answers_is_within_what_is_shown() {
        let text =
            format!("{}The answer is here. {}", "Before it all. ".repeat(50), "After that. ".repeat(50));
        let start = text.find("The answer").unwrap();
        let highlight = Highlight { sentence: Some(start..start + 19), ..plain(0..text.len()) };
        let lines = shown(&text, &highlight, 40, 2);
        assert!(lines.len() == 2 && lines.iter().all(|line| line.chars().count() <= 40), "{lines:?}");
        let all = lines.join(" ");
        assert!(all.contains("The answer is here.") && all.starts_with('…') && all.ends_with('…'), "{all}");
    }

    #[test]
    fn the_end_of_a_text_fills_the_room() {
        let text = format!("{}The end.", "word ".repeat(100));
        let highlight = Highlight { sentence: Some(text.len() - 8..text.len()), ..plain(0..text.len()) };
        let lines = shown(&text, &highlight, 30, 2);
        assert!(lines.len() == 2 && lines[1].ends_with("The end.") && lines[0].starts_with('…'), "{lines:?}");
    }

    #[test]
    fn wide_characters_take_two_columns_and_long_words_are_broken() {
        let lines = shown(&"東京都".repeat(20), &plain(0..180), 10, 3);
        assert_eq!(lines, ["東京都東京", "都東京都東", "京都東京…"]);
    }

    #[test]
    fn words_are_marked_within_and_without_the_sentence() {
        let text = "A cat. A dog.";
        let highlight = Highlight { sentence: Some(0..6), words: vec![2..5, 9..12], ..plain(0..13) };
        let lines = lines(text, &highlight, 40, 1, &Terminal::silent(true));
        assert_eq!(lines, ["\x1b[1mA \x1b[0m\x1b[1;33mcat\x1b[0m\x1b[1m.\x1b[0m A \x1b[33mdog\x1b[0m."]);
    }
}
