//! A map as one HTML file that needs nothing from anywhere else.

use std::io::{self, Write};

use serde::Serialize;

use super::CorpusMap;
use crate::page::{Assets, MAP_SCRIPT, MAP_STYLE};

const FILE: &str = include_str!("../page/map.html");
const FILE_STYLE: &str = include_str!("../page/file.css");
const FILE_SCRIPT: &str = include_str!("../page/file.js");

impl CorpusMap {
    /// Writes the map as an HTML file with the title `title`. It holds ids and the beginnings of the texts.
    ///
    /// The points come before the script, so that a browser can draw them while it still reads the texts.
    ///
    /// # Errors
    /// What `output` reports.
    pub fn write_html(&self, title: &str, output: &mut dyn Write) -> io::Result<()> {
        let assets = Assets::of(&[MAP_STYLE, FILE_STYLE], &[MAP_SCRIPT, FILE_SCRIPT]);
        let policy = assets.policy("'none'");
        let mut rest = FILE;
        while let Some((before, (name, after))) =
            rest.split_once("{{").and_then(|(before, after)| Some((before, after.split_once("}}")?)))
        {
            output.write_all(before.as_bytes())?;
            match name {
                "policy" => output.write_all(policy.as_bytes())?,
                "style" => output.write_all(assets.style.as_bytes())?,
                "script" => output.write_all(assets.script.as_bytes())?,
                "title" => output.write_all(escaped(title).as_bytes())?,
                "points" => write_data(output, &self.to_json())?,
                "texts" => write_data(output, &Texts { ids: &self.ids, texts: &self.texts })?,
                _ => {}
            }
            rest = after;
        }
        output.write_all(rest.as_bytes())
    }
}

#[derive(Serialize)]
struct Texts<'a> {
    ids: &'a [String],
    texts: &'a [String],
}

/// Writes JSON in which no character begins markup: a browser reads it as data, whatever the texts hold.
fn write_data(output: &mut dyn Write, data: &impl Serialize) -> io::Result<()> {
    struct Inert<'a>(&'a mut dyn Write);
    impl Write for Inert<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut rest = bytes;
            // Within JSON these characters are only in strings, where they may be written as numbers.
            while let Some(at) = rest.iter().position(|byte| matches!(byte, b'<' | b'>' | b'&')) {
                self.0.write_all(&rest[..at])?;
                write!(self.0, "\\u{:04x}", rest[at])?;
                rest = &rest[at + 1..];
            }
            self.0.write_all(rest)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }
    serde_json::to_writer(Inert(output), data).map_err(io::Error::from)
}

/// A text as HTML shows it.
fn escaped(text: &str) -> String {
    let escape = |c: char| match c {
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '&' => "&amp;".to_owned(),
        '"' => "&quot;".to_owned(),
        other => other.to_string(),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tiny;

    fn file() -> String {
        let mut file = Vec::new();
        tiny().write_html("a & <b>", &mut file).unwrap();
        String::from_utf8(file).unwrap()
    }

    #[test]
    fn hostile_texts_stay_data() {
        let file = file();
        assert!(
            !file.contains("alert(1)</script>") && !file.contains("<script>alert") && !file.contains("<!-- ")
        );
        assert!(file.contains("<title>a &amp; &lt;b&gt;"), "the title is escaped");
        let (_, data) = file.split_once("id=\"texts\">").unwrap();
        let (data, _) = data.split_once("</script>").unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["texts"][0], tiny().texts[0]);
        assert_eq!(data["texts"][1], tiny().texts[1]);
        assert_eq!(data["ids"][1], "</script><b>");
    }

    #[test]
    fn the_file_asks_nobody_and_runs_only_its_own_script() {
        let file = file();
        for address in ["http://", "https://", "//cdn", "@import", "url(", "{{"] {
            assert!(!file.contains(address), "{address}");
        }
        assert!(file.contains("default-src 'none'; connect-src 'none'"));
        assert_eq!(file.matches("<script>").count(), 1);
    }
}
