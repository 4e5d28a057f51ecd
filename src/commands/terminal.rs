//! Output for people: notes and progress bars on stderr, colours, and numbers that read well.
//!
//! Results go to stdout, everything else to stderr. Colours and progress bars appear only on a terminal.

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::commands::cli::{Color, GlobalOptions};
use crate::commands::interrupt::{self, Clean};

/// What a long call of a library tells its progress to: how much is done, and how much there is.
pub use akin_index::Progress;

/// What the user asked to see, and what can show it.
pub struct Terminal {
    quiet: bool,
    verbose: bool,
    color: bool,
}

impl Terminal {
    /// As the options and the environment have it.
    pub fn new(options: &GlobalOptions) -> Self {
        let color = has_color(options.color, io::stdout().is_terminal());
        Self { quiet: options.quiet, verbose: options.verbose, color }
    }

    /// Says nothing on stderr.
    #[cfg(test)]
    pub fn silent(color: bool) -> Self {
        Self { quiet: true, verbose: false, color }
    }

    /// Tells the user something on stderr, unless told to be quiet.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            // If nobody listens there is nobody to tell.
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Tells the user something on stderr if every step is wanted.
    pub fn step(&self, text: impl Display) {
        if self.verbose {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Says what stopped the program.
    pub fn fail(sentence: &str) {
        let _ = writeln!(io::stderr(), "akin: {sentence}");
    }

    /// `text` in a style, where colour is wanted.
    pub fn paint(&self, style: Style, text: &str) -> String {
        if self.color { format!("\x1b[{}m{text}\x1b[0m", style.code()) } else { text.to_owned() }
    }

    /// A bar over documents, with a message of the caller's and the time left.
    pub fn documents_bar(&self, total: usize) -> ProgressBar {
        self.bar(Some(total as u64), "{bar:28} {percent:>3}% of {human_len}  {msg}  {eta} left", "")
    }

    /// Runs a call that tells how many documents, or other things, it has done, with a bar for them. Ctrl-C stops the
    /// call.
    pub fn with_bar<T>(&self, message: &'static str, call: impl FnOnce(Progress<'_>) -> T) -> T {
        let template = "{bar:28} {percent:>3}% of {human_len}  {msg}, {per_sec}  {eta} left";
        let bar = self.bar(Some(0), template, "").with_message(message);
        let _clean = Clean::begin();
        let outcome = call(&|done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
            interrupt::flow()
        });
        bar.finish_and_clear();
        outcome
    }

    /// A bar over bytes, with their rate.
    pub fn bytes_bar(&self) -> ProgressBar {
        self.bar(Some(0), "{bar:28} {percent:>3}% of {total_bytes}  {bytes_per_sec}  {eta} left", "")
    }

    /// A bar over things done, with their rate.
    pub fn count_bar(&self, total: Option<u64>, unit: &str) -> ProgressBar {
        self.bar(
            total,
            &format!("{{bar:28}} {{percent:>3}}%  {{human_pos}} {unit}, {{per_sec}}  {{eta}} left"),
            &format!("{{spinner}} {{human_pos}} {unit}, {{per_sec}}  {{elapsed}}"),
        )
    }

    fn bar(&self, total: Option<u64>, with_total: &str, without: &str) -> ProgressBar {
        if self.quiet || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let template = if total.is_some() { with_total } else { without };
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(8));
        bar.set_style(ProgressStyle::with_template(template).expect("the templates here are well formed"));
        bar.enable_steady_tick(Duration::from_millis(250));
        bar
    }
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy)]
pub enum Style {
    /// Something that stands out.
    Bold,
    /// Something that stands back.
    Dim,
    /// A similarity.
    Score,
    /// The id of a document.
    Id,
    /// A word that was looked for.
    Mark,
    /// The same within what stands out.
    BoldMark,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Score => "32",
            Self::Id => "36",
            Self::Mark => "33",
            Self::BoldMark => "1;33",
        }
    }
}

/// Whether what goes to stderr may be coloured.
pub fn stderr_has_color(color: Color) -> bool {
    has_color(color, io::stderr().is_terminal())
}

/// See <https://no-color.org>: the variable counts unless it is empty.
fn has_color(color: Color, is_terminal: bool) -> bool {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            is_terminal && !set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

/// `text` with every run of white space and control characters folded into one blank: a document
/// must not be able to move the cursor.
pub fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// `12,345` for 12345.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 document`, `12,345 documents`.
pub fn counted(number: usize, noun: &str) -> String {
    let many = match noun.strip_suffix('y') {
        _ if number == 1 => noun.to_owned(),
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ => format!("{noun}s"),
    };
    format!("{} {many}", grouped(number))
}

/// `16 ms`, `2.4 s`.
pub fn duration(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1e3) } else { format!("{seconds:.1} s") }
}

/// `28.4 MB` for 28400000.
pub fn bytes(count: u64) -> String {
    let mut size = count as f64;
    let mut unit = "B";
    for larger in ["kB", "MB", "GB", "TB"] {
        if size < 999.95 {
            break;
        }
        size /= 1000.0;
        unit = larger;
    }
    if unit == "B" { format!("{count} B") } else { format!("{size:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1234567), "1,234,567");
        assert_eq!(counted(1, "query"), "1 query");
        assert_eq!(counted(2, "query"), "2 queries");
        assert_eq!(duration(0.0161), "16 ms");
        assert_eq!(duration(2.44), "2.4 s");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(28_400_000), "28.4 MB");
        assert_eq!(bytes(999_999), "1.0 MB");
    }
}
