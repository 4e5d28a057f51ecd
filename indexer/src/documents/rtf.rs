//! Rich Text Format: groups, control words, and bytes of a code page.

use akin_index::Metadata;
use encoding_rs::{Encoding, WINDOWS_1252};

use super::blocks::Blocks;
use super::{Extracted, Unread};

/// Groups that have no words of the text.
const LEFT_OUT: [&str; 26] = [
    "fonttbl",
    "colortbl",
    "stylesheet",
    "info",
    "pict",
    "object",
    "header",
    "headerl",
    "headerr",
    "headerf",
    "footer",
    "footerl",
    "footerr",
    "footerf",
    "listtable",
    "listoverridetable",
    "rsidtbl",
    "generator",
    "themedata",
    "datastore",
    "latentstyles",
    "fldinst",
    "xmlnstbl",
    "filetbl",
    "revtbl",
    "nonshppict",
];

/// Groups within groups that are read. Deeper ones belong to a file that was made to break readers.
const MAX_DEPTH: usize = 10_000;

/// Reads a document.
pub(super) fn read(bytes: &[u8]) -> Result<Extracted, Unread> {
    let mut reader = Reader { rest: bytes, ..Reader::default() };
    reader.run().map_err(Unread::Because)?;
    let text = reader.blocks.finish().map_err(Unread::Because)?;
    Ok(Extracted { text, metadata: Metadata::new() })
}

/// What holds within a group.
#[derive(Debug, Clone, Copy)]
struct Group {
    left_out: bool,
    /// Characters after a `\u` that stand for it in readers without Unicode.
    fallback: usize,
}

struct Reader<'a> {
    rest: &'a [u8],
    blocks: Blocks,
    group: Group,
    outer: Vec<Group>,
    code_page: &'static Encoding,
    /// Bytes of the code page that are not decoded yet.
    bytes: Vec<u8>,
    /// Characters that are passed over after a `\u`.
    passed_over: usize,
    /// The first half of a character of two.
    half: Option<u16>,
}

impl Default for Reader<'_> {
    fn default() -> Self {
        Self {
            rest: &[],
            blocks: Blocks::default(),
            group: Group { left_out: false, fallback: 1 },
            outer: Vec::new(),
            code_page: WINDOWS_1252,
            bytes: Vec::new(),
            passed_over: 0,
            half: None,
        }
    }
}

impl Reader<'_> {
    fn run(&mut self) -> Result<(), String> {
        while let Some((first, after)) = self.rest.split_first() {
            self.rest = after;
            match first {
                b'{' if self.outer.len() >= MAX_DEPTH => return Err("its groups are nested too deep".into()),
                b'{' => {
                    self.flush();
                    self.outer.push(self.group);
                }
                b'}' => {
                    self.flush();
                    self.passed_over = 0;
                    self.group = self.outer.pop().unwrap_or(self.group);
                }
                b'\\' => self.control(),
                b'\r' | b'\n' => {}
                byte => self.byte(*byte),
            }
        }
        self.flush();
        Ok(())
    }

    /// What follows a backslash.
    fn control(&mut self) {
        let Some((first, after)) = self.rest.split_first() else { return };
        if first.is_ascii_alphabetic() {
            let (word, number) = self.word();
            return self.control_word(&word, number);
        }
        self.rest = after;
        match first {
            b'\'' => {
                let digits = self.rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                    self.rest = &self.rest[2..];
                    self.byte(byte);
                }
            }
            b'*' => self.leave_out(),
            b'~' => self.text(" "),
            b'_' => self.text("-"),
            b'\r' | b'\n' => self.control_word("par", None),
            b'-' | b'|' | b':' => {}
            byte => self.byte(*byte),
        }
    }

    /// The letters of a control word and its number.
    fn word(&mut self) -> (String, Option<i32>) {
        let letters = self.rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let word = String::from_utf8_lossy(&self.rest[..letters]).into_owned();
        let after = &self.rest[letters..];
        let sign = usize::from(after.first() == Some(&b'-'));
        let digits = after[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let length = if digits > 0 { sign + digits } else { 0 };
        let number = std::str::from_utf8(&after[..length]).ok().and_then(|number| number.parse().ok());
        self.rest = &after[length..];
        if self.rest.first() == Some(&b' ') {
            self.rest = &self.rest[1..];
        }
        (word, number)
    }

    fn control_word(&mut self, word: &str, number: Option<i32>) {
        match (word, number) {
            ("u", Some(code)) => self.unicode(code as u16),
            ("uc", Some(count)) => self.group.fallback = count.clamp(0, 16) as usize,
            ("bin", Some(count)) => {
                let count = usize::try_from(count).unwrap_or(0).min(self.rest.len());
                self.rest = &self.rest[count..];
            }
            ("ansicpg", Some(page)) => {
                let label = format!("windows-{page}");
                self.code_page = Encoding::for_label(label.as_bytes()).unwrap_or(self.code_page);
            }
            _ if LEFT_OUT.contains(&word) => self.leave_out(),
            _ => self.layout(word),
        }
    }

    /// Words that stand for white space or signs.
    fn layout(&mut self, word: &str) {
        self.flush();
        if self.group.left_out {
            return;
        }
        match word {
            "par" | "sect" => self.blocks.block(),
            "page" => self.blocks.page(),
            "line" | "row" => self.blocks.line(),
            "cell" | "tab" => self.blocks.cell(),
            "emdash" => self.blocks.push("—"),
            "endash" => self.blocks.push("–"),
            "bullet" => self.blocks.push("•"),
            "lquote" => self.blocks.push("‘"),
            "rquote" => self.blocks.push("’"),
            "ldblquote" => self.blocks.push("“"),
            "rdblquote" => self.blocks.push("”"),
            _ => {}
        }
    }

    fn leave_out(&mut self) {
        self.flush();
        self.group.left_out = true;
    }

    fn unicode(&mut self, code: u16) {
        self.flush();
        let units: Vec<u16> = self.half.take().into_iter().chain([code]).collect();
        if let [0xd800..=0xdbff] = units[..] {
            self.half = Some(code);
        } else {
            self.text(&String::from_utf16_lossy(&units));
        }
        self.passed_over = self.group.fallback;
    }

    fn byte(&mut self, byte: u8) {
        if self.passed_over > 0 {
            self.passed_over -= 1;
        } else if !self.group.left_out {
            self.bytes.push(byte);
        }
    }

    fn flush(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if !bytes.is_empty() {
            let text = self.code_page.decode_without_bom_handling(&bytes).0;
            self.blocks.push(&text);
        }
    }

    fn text(&mut self, text: &str) {
        self.flush();
        if !self.group.left_out {
            self.blocks.push(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_tables_of_fonts_are_not() {
        let rtf = br"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Times;}}{\*\generator x;}\f0 Caf\'e9 \b bold\b0  \u8364? and \u-10179?\u-8704?.\par
Second\line third\tab x{\uc2\u228 ae}\~y\{\}}";
        let read = read(rtf).unwrap();
        assert_eq!(read.text, "Café bold € and 😀.\n\nSecond\nthird\txä y{}");
    }

    #[test]
    fn endless_groups_and_cut_files_are_no_harm() {
        assert!(matches!(read(&b"{".repeat(20_000)), Err(Unread::Because(_))));
        assert_eq!(read(br"{\rtf1 a\'e").unwrap().text, "ae");
        assert_eq!(read(br"}}}\bin999999 x").unwrap().text, "");
    }
}
