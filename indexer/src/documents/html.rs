//! HTML: the words of the article, without menus, scripts and styles.
//!
//! The tokens of a page are read one after another, and no tree is built: a page nested ten thousand deep costs no more than
//! another of its length.

use std::cell::RefCell;

use akin_index::Metadata;
use encoding_rs::{Encoding, ISO_2022_JP, UTF_8, WINDOWS_1252};
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer};

use super::blocks::Blocks;
use super::{Extracted, Unread};

/// Bytes in which a page says its encoding.
const DECLARED_WITHIN: usize = 1024;

/// Elements without words of the article.
const LEFT_OUT: [&str; 17] = [
    "script", "style", "noscript", "template", "svg", "nav", "aside", "footer", "select", "button", "iframe",
    "object", "canvas", "audio", "video", "dialog", "textarea",
];

/// Elements that begin a block of their own.
const BLOCKS: [&str; 22] = [
    "p",
    "div",
    "section",
    "article",
    "main",
    "ul",
    "ol",
    "dl",
    "table",
    "blockquote",
    "figure",
    "figcaption",
    "details",
    "summary",
    "hr",
    "address",
    "header",
    "form",
    "fieldset",
    "center",
    "body",
    "caption",
];

/// Elements that begin a line.
const LINES: [&str; 6] = ["li", "tr", "br", "dt", "dd", "option"];

/// Reads a page, in `encoding` if one is given and no mark says another.
pub(super) fn read(bytes: &[u8], encoding: Option<&'static Encoding>) -> Result<Extracted, Unread> {
    let encoding = encoding.unwrap_or_else(|| encoding_of(bytes));
    extract(&encoding.decode(bytes).0).map_err(Unread::Because)
}

/// The text of a page: of its article if it has one.
pub(super) fn extract(html: &str) -> Result<Extracted, String> {
    let tokenizer = Tokenizer::new(Page::default(), Default::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(html));
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    let Walk { all, article, metadata, .. } = tokenizer.sink.walk.into_inner();
    let text = if article.is_empty() { all.finish()? } else { article.finish()? };
    Ok(Extracted { text, metadata })
}

/// The encoding of a page: UTF-8 where it is that, else what it declares, else what browsers take.
fn encoding_of(bytes: &[u8]) -> &'static Encoding {
    let beginning = &bytes[..bytes.len().min(DECLARED_WITHIN)];
    let beginning = String::from_utf8_lossy(beginning).to_ascii_lowercase();
    let declared = declared(&beginning, "charset").or_else(|| {
        beginning.trim_start().starts_with("<?xml").then(|| declared(&beginning, "encoding")).flatten()
    });
    match declared {
        // Of all encodings of the web only this one is UTF-8 too.
        Some(encoding) if encoding == ISO_2022_JP => encoding,
        _ if std::str::from_utf8(bytes).is_ok() => UTF_8,
        Some(encoding) if encoding != UTF_8 => encoding,
        _ => WINDOWS_1252,
    }
}

/// The encoding whose name follows `key` and `=`.
fn declared(beginning: &str, key: &str) -> Option<&'static Encoding> {
    let (_, rest) = beginning.split_once(key)?;
    let label = rest.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
    let end = label.find(['"', '\'', '>', ' ', ';', '/', '?'])?;
    Encoding::for_label(&label.as_bytes()[..end])
}

/// Takes the tokens of a page.
#[derive(Default)]
struct Page {
    walk: RefCell<Walk>,
}

/// How far a page was read.
#[derive(Default)]
struct Walk {
    /// The text of the page without what is left out.
    all: Blocks,
    /// That of its `main` and `article` elements.
    article: Blocks,
    metadata: Metadata,
    /// The element that is left out now, and how many of its name are open.
    left_out: Option<(String, usize)>,
    /// How many elements of an article are open.
    articles: usize,
    in_title: bool,
    title: String,
}

impl TokenSink for Page {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut walk = self.walk.borrow_mut();
        match token {
            Token::TagToken(tag) => match tag.kind {
                TagKind::StartTag => return walk.start(&tag),
                TagKind::EndTag => walk.end(&tag.name),
            },
            Token::CharacterTokens(text) => walk.words(&text),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl Walk {
    fn start(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name: &str = &tag.name;
        if let Some((left_out, open)) = &mut self.left_out {
            if left_out == name && !tag.self_closing {
                *open += 1;
            }
        } else if !tag.self_closing && (LEFT_OUT.contains(&name) || is_hidden(tag)) {
            self.left_out = Some((name.to_owned(), 1));
        } else {
            self.open(name, tag);
        }
        match name {
            "script" => TokenSinkResult::RawData(RawKind::ScriptData),
            "style" | "iframe" | "xmp" | "noembed" | "noframes" => TokenSinkResult::RawData(RawKind::Rawtext),
            "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
            _ => TokenSinkResult::Continue,
        }
    }

    fn open(&mut self, name: &str, tag: &Tag) {
        match name {
            "title" => self.in_title = true,
            "meta" => self.note(tag),
            "main" | "article" => self.articles += 1,
            _ => {}
        }
        self.both(|blocks| match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => blocks.heading(usize::from(name.as_bytes()[1] - b'0')),
            "pre" => {
                blocks.block();
                blocks.keep_space(true);
            }
            "td" | "th" => blocks.cell(),
            _ => begin(blocks, name),
        });
    }

    fn end(&mut self, name: &str) {
        if let Some((left_out, open)) = &mut self.left_out {
            if left_out == name {
                *open -= 1;
                if *open == 0 {
                    self.left_out = None;
                    self.both(|blocks| blocks.push(" "));
                }
            }
            return;
        }
        self.both(|blocks| match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => blocks.block(),
            "pre" => {
                blocks.keep_space(false);
                blocks.block();
            }
            _ => begin(blocks, name),
        });
        match name {
            "title" => self.end_title(),
            "main" | "article" => self.articles = self.articles.saturating_sub(1),
            _ => {}
        }
    }

    fn words(&mut self, text: &str) {
        if self.in_title {
            self.title.push_str(text);
        } else if self.left_out.is_none() {
            self.both(|blocks| blocks.push(text));
        }
    }

    /// Does the same to the text of the page and, within one, to that of the article.
    fn both(&mut self, change: impl Fn(&mut Blocks)) {
        change(&mut self.all);
        if self.articles > 0 {
            change(&mut self.article);
        }
    }

    fn end_title(&mut self) {
        self.in_title = false;
        let title = std::mem::take(&mut self.title);
        let words: Vec<&str> = title.split_whitespace().collect();
        if !words.is_empty() {
            self.metadata.entry("title").or_insert_with(|| words.join(" ").into());
        }
    }

    /// Keeps what a `meta` element says of the author and the like.
    fn note(&mut self, tag: &Tag) {
        let value = |name: &str| tag.attrs.iter().find(|attribute| &*attribute.name.local == name);
        if let (Some(name), Some(content)) = (value("name"), value("content")) {
            let name = name.value.to_ascii_lowercase();
            if matches!(name.as_str(), "author" | "description" | "keywords" | "date") {
                self.metadata.entry(name).or_insert_with(|| content.value.to_string().into());
            }
        }
    }
}

fn begin(blocks: &mut Blocks, name: &str) {
    if BLOCKS.contains(&name) {
        blocks.block();
    } else if LINES.contains(&name) {
        blocks.line();
    }
}

/// Whether an element is not shown, or is a menu by its role.
fn is_hidden(tag: &Tag) -> bool {
    // Elements without an end would leave out all that follows.
    let is_void = matches!(
        &*tag.name,
        "input" | "img" | "br" | "hr" | "meta" | "link" | "area" | "base" | "col" | "wbr" | "source"
    );
    !is_void
        && tag.attrs.iter().any(|attribute| match &*attribute.name.local {
            "hidden" => true,
            "role" => matches!(&*attribute.value, "navigation" | "search" | "banner" | "menu" | "dialog"),
            "aria-hidden" => &*attribute.value == "true",
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(html: &str) -> String {
        extract(html).unwrap().text
    }

    #[test]
    fn the_article_is_read_and_its_menus_are_not() {
        let page = "<!doctype html><html><head><title>On  cats</title><style>p { color: red }</style>\
            <meta name=author content='A. Nonymous'></head><body><nav><ul><li>Home<nav>x</nav></ul></nav>\
            <div>Outside</div><main><h1>Cats</h1><p>They <b>purr</b> &amp; sleep.<script>if (a < b) {}</script></p>\
            <ul><li>one<li>two</ul><pre>\nfn main() {\n    purr();\n}</pre><table><tr><td>a<td>b</tr></table></main>\
            <footer>Imprint</footer></body></html>";
        let read = extract(page).unwrap();
        assert_eq!(
            read.text,
            "# Cats\n\nThey purr & sleep.\n\none\ntwo\n\nfn main() {\n    purr();\n}\n\na\tb"
        );
        assert_eq!(
            (&read.metadata["title"], &read.metadata["author"]),
            (&"On cats".into(), &"A. Nonymous".into())
        );
        assert_eq!(text("<p>no<i>ar</i>ticle<br>here"), "noarticle\nhere");
        assert_eq!(text("a<span hidden>b</span><div role=navigation>c<div>d</div></div>e"), "a e");
    }

    #[test]
    fn the_encoding_is_that_of_the_mark_the_page_or_utf_8() {
        let latin = b"<meta charset='iso-8859-1'><p>caf\xe9";
        assert_eq!(read(latin, None).unwrap().text, "café");
        assert_eq!(read("<meta charset=latin1><p>café".as_bytes(), None).unwrap().text, "café");
        assert_eq!(read(b"\xff\xfe<\0p\0>\0a\0", None).unwrap().text, "a");
        let japanese = b"<meta http-equiv=x content='text/html; charset = shift_jis'><p>\x93\x8c\x8b\x9e";
        assert_eq!(read(japanese, None).unwrap().text, "東京");
        let xhtml = b"<?xml version=\"1.0\" encoding=\"iso-8859-2\"?><p>\xb3\xf3d\xbc";
        assert_eq!(read(xhtml, None).unwrap().text, "łódź");
        let escaped = b"<meta charset=iso-2022-jp><p>\x1b$B%F\x1b(B";
        assert_eq!(read(escaped, None).unwrap().text, "テ");
        assert_eq!(read(b"<p>\x93\x8c\x8b\x9e", Some(encoding_rs::SHIFT_JIS)).unwrap().text, "東京");
    }

    #[test]
    fn ten_thousand_open_elements_are_only_long() {
        let deep = "<div><b>".repeat(10_000) + "the end";
        assert_eq!(text(&deep), "the end");
    }
}
