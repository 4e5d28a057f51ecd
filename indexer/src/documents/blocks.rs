//! The text of a document, put together of its blocks.

/// No document has more text than this: 64 MiB.
pub(super) const MAX_TEXT_BYTES: usize = 64 << 20;

/// Puts the text of a document together: blocks with a blank line between them, headings with `#`, cells with tabs.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    text: String,
    gap: Gap,
    /// Whether blanks and line ends are kept as they are.
    verbatim: bool,
    /// What did not find room.
    full: bool,
}

/// What comes before the next word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Gap {
    #[default]
    Nothing,
    Blank,
    Tab,
    Line,
    Block,
    Page,
}

impl Blocks {
    /// Adds words: white space between them becomes one blank.
    pub(super) fn push(&mut self, text: &str) {
        if self.verbatim {
            return self.push_verbatim(text);
        }
        let mut rest = text;
        while !rest.is_empty() {
            let word = rest.trim_start();
            if word.len() < rest.len() {
                self.open(Gap::Blank);
            }
            let end = word.find(char::is_whitespace).unwrap_or(word.len());
            self.write(&word[..end]);
            rest = &word[end..];
        }
    }

    fn push_verbatim(&mut self, text: &str) {
        // The gap before a block counts, and not the line ends that it begins with.
        let text = if self.gap >= Gap::Line { text.trim_start_matches(['\r', '\n']) } else { text };
        self.write(text);
    }

    fn write(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.text.len() + text.len() + 2 > MAX_TEXT_BYTES {
            self.full = true;
            return;
        }
        if !self.text.is_empty() {
            self.text.push_str(match self.gap {
                Gap::Nothing => "",
                Gap::Blank => " ",
                Gap::Tab => "\t",
                Gap::Line => "\n",
                Gap::Block => "\n\n",
                Gap::Page => "\x0c",
            });
        }
        self.gap = Gap::Nothing;
        self.text.push_str(text);
    }

    fn open(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    /// Begins a cell of a row.
    pub(super) fn cell(&mut self) {
        self.open(Gap::Tab);
    }

    /// Begins a line.
    pub(super) fn line(&mut self) {
        self.open(Gap::Line);
    }

    /// Begins a block.
    pub(super) fn block(&mut self) {
        self.open(Gap::Block);
    }

    /// Begins a page.
    pub(super) fn page(&mut self) {
        self.open(Gap::Page);
    }

    /// Begins a heading of a level from 1 on.
    pub(super) fn heading(&mut self, level: usize) {
        self.open(Gap::Block);
        self.write(&"#".repeat(level.clamp(1, 6)));
        self.open(Gap::Blank);
    }

    /// Keeps white space as it is from here on, or no longer.
    pub(super) fn keep_space(&mut self, keep: bool) {
        self.verbatim = keep;
    }

    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text, or why there is none.
    pub(super) fn finish(self) -> Result<String, String> {
        match self.full {
            true => Err(format!("it has more than {} MiB of text", MAX_TEXT_BYTES >> 20)),
            false => Ok(self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lines_cells_blocks_and_pages_are_told_apart() {
        let mut blocks = Blocks::default();
        blocks.heading(2);
        blocks.push(" A  heading\n");
        blocks.block();
        blocks.push("some ");
        blocks.push("words");
        blocks.push("and more");
        blocks.line();
        blocks.push("a");
        blocks.cell();
        blocks.push("b");
        blocks.block();
        blocks.keep_space(true);
        blocks.push("\n  code\n    more");
        blocks.keep_space(false);
        blocks.page();
        blocks.push("end ");
        assert_eq!(
            blocks.finish().unwrap(),
            "## A heading\n\nsome wordsand more\na\tb\n\n  code\n    more\x0cend"
        );
    }

    #[test]
    fn too_much_text_is_refused() {
        let mut blocks = Blocks::default();
        let much = "x".repeat(MAX_TEXT_BYTES / 2);
        (0..3).for_each(|_| blocks.push(&much));
        assert!(blocks.finish().unwrap_err().contains("64 MiB"));
    }
}
