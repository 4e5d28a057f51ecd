//! Each format, from files that are made here; and files that are none.

use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

/// An archive of these parts.
fn archive(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// What is read of a file of a name.
fn read_as(name: &str, bytes: &[u8]) -> Result<Extracted, String> {
    read(Path::new(name), bytes.to_vec(), None, None).map_err(|unread| match unread {
        Unread::NoDocument => "no document".to_owned(),
        Unread::Because(reason) => reason,
    })
}

const CORE: &str = "<c:coreProperties xmlns:c='c' xmlns:dc='d'><dc:title>A title</dc:title>\
                    <dc:creator>A. Nonymous</dc:creator></c:coreProperties>";

const DOCX: &str = "<w:document xmlns:w='w'><w:body>\
    <w:p><w:pPr><w:pStyle w:val='Heading2'/></w:pPr><w:r><w:t>Cats</w:t></w:r></w:p>\
    <w:p><w:r><w:t xml:space='preserve'>They </w:t></w:r><w:del><w:r><w:t>bark</w:t></w:r></w:del>\
    <w:r><w:t>purr &amp; sleep.</w:t></w:r></w:p>\
    <w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc>\
    <w:tc><w:p><w:r><w:t>c</w:t></w:r></w:p></w:tc></w:tr></w:tbl></w:body></w:document>";

#[test]
fn a_word_document_is_its_paragraphs_headings_tables_and_notes() {
    let notes = "<w:footnotes xmlns:w='w'><w:footnote><w:p><w:r><w:t>A note.</w:t></w:r></w:p></w:footnote></w:footnotes>";
    let parts = [("word/document.xml", DOCX), ("word/footnotes.xml", notes), ("docProps/core.xml", CORE)];
    // By its name, and by what is in it where the name says nothing.
    for name in ["report.docx", "report"] {
        let read = read_as(name, &archive(&parts)).unwrap();
        assert_eq!(read.text, "## Cats\n\nThey purr & sleep.\n\na b\tc\n\nA note.");
        assert_eq!(
            (&read.metadata["title"], &read.metadata["author"]),
            (&"A title".into(), &"A. Nonymous".into())
        );
    }
}

#[test]
fn an_opendocument_text_is_its_paragraphs_headings_and_tables() {
    let content = "<o:document-content xmlns:o='o' xmlns:t='t' xmlns:x='x'><o:body><o:text>\
        <t:tracked-changes><t:p>deleted</t:p></t:tracked-changes><t:h t:outline-level='1'>Dogs</t:h>\
        <t:p>They<t:s/>bark.</t:p><x:table><x:table-row><x:table-cell><t:p>a</t:p></x:table-cell>\
        <x:table-cell><t:p>b</t:p></x:table-cell></x:table-row></x:table></o:text></o:body></o:document-content>";
    let read = read_as("letter.odt", &archive(&[("content.xml", content)])).unwrap();
    assert_eq!(read.text, "# Dogs\n\nThey bark.\n\na\tb");
    let encrypted = [("content.xml", content), ("META-INF/manifest.xml", "<m><encryption-data/></m>")];
    assert!(read_as("letter.odt", &archive(&encrypted)).unwrap_err().contains("password"));
}

#[test]
fn slides_are_pages_in_the_order_of_their_numbers() {
    let slide = |text: &str| {
        format!("<p:sld xmlns:p='p' xmlns:a='a'><p:sp><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:sp></p:sld>")
    };
    let (two, ten) = (slide("second"), slide("tenth"));
    let parts = [
        ("ppt/slides/slide10.xml", ten.as_str()),
        ("ppt/slides/slide2.xml", &two),
        ("ppt/presentation.xml", "<p/>"),
    ];
    assert_eq!(read_as("talk.pptx", &archive(&parts)).unwrap().text, "second\x0ctenth");
}

#[test]
fn a_spreadsheet_is_its_sheets_and_rows() {
    let strings = "<sst><si><t>name</t></si><si><r><t>Ca</t></r><r><t>ts</t></r></si></sst>";
    let sheet = "<worksheet><sheetData><row><c t='s'><v>0</v></c><c><v>1.5</v></c></row>\
        <row><c t='s'><v>1</v></c><c t='inlineStr'><is><t>own</t></is></c></row></sheetData></worksheet>";
    let parts = [
        ("xl/workbook.xml", "<workbook><sheets><sheet name='Pets'/></sheets></workbook>"),
        ("xl/sharedStrings.xml", strings),
        ("xl/worksheets/sheet1.xml", sheet),
    ];
    assert_eq!(read_as("pets.xlsx", &archive(&parts)).unwrap().text, "# Pets\n\nname\t1.5\nCats\town");
}

#[test]
fn a_book_is_the_pages_of_its_spine() {
    let package = "<package><metadata xmlns:dc='d'><dc:title>A book</dc:title></metadata><manifest>\
        <item id='one' href='text/one%20page.xhtml' media-type='application/xhtml+xml'/>\
        <item id='two' href='./two.xhtml' media-type='application/xhtml+xml'/></manifest>\
        <spine><itemref idref='two'/><itemref idref='one'/></spine></package>";
    let parts = [
        ("META-INF/container.xml", "<container><rootfile full-path='OPS/book.opf'/></container>"),
        ("OPS/book.opf", package),
        ("OPS/text/one page.xhtml", "<html><body><p>the end</p></body></html>"),
        ("OPS/two.xhtml", "<html><body><h1>Begin</h1></body></html>"),
    ];
    let read = read_as("book.epub", &archive(&parts)).unwrap();
    assert_eq!((read.text.as_str(), &read.metadata["title"]), ("# Begin\n\nthe end", &"A book".into()));
}

/// A PDF of these objects, each with its number and content.
fn pdf(objects: &[&str]) -> Vec<u8> {
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut places = Vec::new();
    for (object, number) in objects.iter().zip(1..) {
        places.push(file.len());
        file.extend(format!("{number} 0 obj\n{object}\nendobj\n").bytes());
    }
    let table = file.len();
    file.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    places.iter().for_each(|place| file.extend(format!("{place:010} 00000 n \n").bytes()));
    file.extend(
        format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1)
            .bytes(),
    );
    file
}

const PAGES: [&str; 3] = [
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> /XObject << /X 6 0 R >> >> >>",
];

const FONT: &str = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>";

fn stream(dictionary: &str, content: &str) -> String {
    format!("<< {dictionary} /Length {} >>\nstream\n{content}\nendstream", content.len())
}

#[test]
fn a_pdf_is_the_text_of_its_pages_and_one_that_draws_itself_is_skipped() {
    let content = stream("", "BT /F 12 Tf 20 200 Td (Cats purr.) Tj ET");
    let empty = stream("/Type /XObject /Subtype /Form /BBox [0 0 9 9]", "");
    let read = read_as("x.pdf", &pdf(&[&PAGES[..], &[&content, FONT, &empty]].concat())).unwrap();
    assert_eq!(read.text, "Cats purr.");
    let own = stream(
        "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 6 0 R >> >>",
        "/X Do",
    );
    let endless = pdf(&[&PAGES[..], &[&stream("", "/X Do"), FONT, &own]].concat());
    assert!(read_as("x.pdf", &endless).unwrap_err().contains("contain themselves"));
    let nothing = pdf(&[&PAGES[..], &[&stream("", ""), FONT, &empty]].concat());
    assert!(read_as("x.pdf", &nothing).unwrap_err().contains("pictures"));
    assert!(read_as("x.pdf", b"%PDF-1.7 and nothing else").unwrap_err().starts_with("damaged"));
}

#[test]
fn text_may_be_marked_as_utf_16_and_what_is_no_text_is_no_document() {
    assert_eq!(read_as("notes", b"\xff\xfec\0a\0f\0\xe9\0").unwrap().text, "café");
    assert_eq!(read_as("notes", "\u{feff}café".as_bytes()).unwrap().text, "café");
    assert_eq!(read_as("photo", b"\x89PNG\0\0\x1a"), Err("no document".into()));
    assert_eq!(read_as("page", b"<!DOCTYPE html><p>a</p>").unwrap().text, "a");
    assert_eq!(read_as("blank.md", b" \n"), Err("there is no text in it".into()));
}

#[test]
fn an_archive_that_unpacks_to_more_than_the_bound_is_skipped() {
    let much = "x".repeat(80 << 20);
    let parts = [("word/document.xml", DOCX), ("word/footnotes.xml", &much), ("word/endnotes.xml", &much)];
    let bomb = archive(&[&parts[..], &[("docProps/core.xml", &much), ("_rels/.rels", &much)]].concat());
    assert!(bomb.len() < 2 << 20);
    assert!(read_as("bomb.docx", &bomb).unwrap_err().contains("unpacks to more"));
    assert!(read_as("cut.docx", &bomb[..bomb.len() / 2]).unwrap_err().contains("damaged"));
}

#[test]
fn a_tree_that_is_ten_thousand_deep_is_only_long() {
    let deep = format!("<w:document>{}<w:t>the end</w:t>", "<w:p>".repeat(10_000));
    assert_eq!(read_as("deep.docx", &archive(&[("word/document.xml", &deep)])).unwrap().text, "the end");
}
