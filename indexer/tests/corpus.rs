//! What is read from every kind of file, and what is refused.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::io::Write;
use std::path::PathBuf;

use akin_fixtures::Folder;
use akin_index::Document;
use akin_indexer::corpus::{CorpusOptions, CorpusReader, Format};
use proptest::prelude::*;

fn read(path: PathBuf, options: &CorpusOptions) -> Result<Vec<Document>, String> {
    CorpusReader::open(&[path], options)
        .map_err(|error| error.to_string())?
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

fn read_as(name: &str, content: impl AsRef<[u8]>) -> Result<Vec<Document>, String> {
    let folder = Folder::new();
    read(folder.write(name, content), &CorpusOptions::default())
}

fn texts(documents: &[Document]) -> Vec<&str> {
    documents.iter().map(|document| document.text.as_str()).collect()
}

#[track_caller]
fn refused(name: &str, content: impl AsRef<[u8]>, parts: &[&str]) {
    let error = read_as(name, content).unwrap_err();
    for part in parts.iter().chain(&[name]) {
        assert!(error.contains(part), "no {part:?} in {error:?}");
    }
}

#[test]
fn a_text_is_a_document_a_line_named_after_it() {
    let documents = read_as("notes.txt", "\u{feff}first\r\n\n  \nsecond line\nthird").unwrap();
    assert_eq!(texts(&documents), ["first", "second line", "third"]);
    let ids: Vec<&str> = documents.iter().map(|d| d.id.rsplit(['/', '\\']).next().unwrap()).collect();
    assert_eq!(ids, ["notes.txt:1", "notes.txt:4", "notes.txt:5"]);
}

#[test]
fn blank_lines_are_kept_where_they_count() {
    let folder = Folder::new();
    let options = CorpusOptions { keep_blank_lines: true, ..CorpusOptions::default() };
    let documents = read(folder.write("queries.txt", "one\n\nthree\n"), &options).unwrap();
    assert_eq!(texts(&documents), ["one", "", "three"]);
}

#[test]
fn fields_of_json_lines_are_metadata() {
    let line = r#"{"id": "a", "text": "hello", "year": 1998, "tags": ["x", null]}"#;
    let documents = read_as("notes.jsonl", format!("{line}\n\n")).unwrap();
    assert_eq!((documents[0].id.as_str(), documents[0].text.as_str()), ("a", "hello"));
    assert_eq!(documents[0].metadata["year"], 1998);
    assert_eq!(documents[0].metadata["tags"][0], "x");
    assert!(!documents[0].metadata.contains_key("text"));
}

#[test]
fn quoted_fields_of_csv_keep_commas_quotes_and_lines() {
    let documents = read_as("notes.csv", "id,text,kind\n1,\"a, \"\"b\"\"\nand c\",x\r\n2,plain,y\n").unwrap();
    assert_eq!(texts(&documents), ["a, \"b\"\nand c", "plain"]);
    assert_eq!(documents[1].metadata["kind"], "y");
}

#[test]
fn tabs_part_the_fields_of_tsv() {
    let documents = read_as("notes.tsv", "text\tid\nhello, you\t7\n").unwrap();
    assert_eq!((documents[0].id.as_str(), documents[0].text.as_str()), ("7", "hello, you"));
}

#[test]
fn compressed_files_are_known_by_their_content() {
    let plain = "one\ntwo\n".repeat(1000);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(plain.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    assert_eq!(read_as("notes.txt", &gzip).unwrap().len(), 2000);
    assert_eq!(read_as("notes.txt.gz", &gzip).unwrap().len(), 2000);
    let zstd = zstd::encode_all(plain.as_bytes(), 3).unwrap();
    assert_eq!(read_as("notes.txt.zst", &zstd).unwrap().len(), 2000);
    refused("cut.txt.gz", &gzip[..gzip.len() / 2], &[]);
    refused("cut.txt.zst", &zstd[..zstd.len() / 2], &[]);
}

#[test]
fn a_fault_is_named_with_its_line() {
    refused("bytes.txt", b"good\nbad \xff\xfe\n", &["2", "UTF-8"]);
    refused("nul.txt", b"good\nbad \0 bad\n", &["2", "NUL"]);
    refused("open.jsonl", "{\"id\":\"a\",\"text\":\"b\"}\n{\"id\":", &["2"]);
    refused("array.jsonl", "[1]\n", &["1"]);
    refused("lacks.jsonl", "{\"id\":\"a\"}\n", &["1", "text"]);
    refused("number.jsonl", "{\"id\":\"a\",\"text\":3}\n", &["1", "text"]);
    refused("lacks.csv", "id,body\n1,x\n", &["text"]);
    refused("short.csv", "id,text,kind\n1,x\n", &["2"]);
}

#[test]
fn other_fields_can_be_named() {
    let folder = Folder::new();
    let options = CorpusOptions {
        format: Format::Jsonl,
        id_field: "key".into(),
        text_field: "body".into(),
        ..CorpusOptions::default()
    };
    let documents = read(folder.write("notes", "{\"key\":\"k\",\"body\":\"b\",\"text\":\"t\"}"), &options);
    let documents = documents.unwrap();
    assert_eq!((documents[0].id.as_str(), documents[0].text.as_str()), ("k", "b"));
    assert_eq!(documents[0].metadata["text"], "t");
}

#[test]
fn the_survey_finds_duplicates_and_every_fault_before_anything_is_read() {
    let folder = Folder::new();
    let path = folder.write("notes.tsv", "id\ttext\na\t1\nb\t2\na\t3\n");
    let mut corpus = CorpusReader::open(&[path], &CorpusOptions::default()).unwrap();
    let survey = corpus.survey().unwrap();
    assert_eq!((survey.documents, survey.duplicates), (3, 1));
    assert_eq!(corpus.count(), 3);

    let path = folder.write("bad.tsv", "id\ttext\na\t1\nb\n");
    let mut corpus = CorpusReader::open(&[path], &CorpusOptions::default()).unwrap();
    assert!(corpus.survey().unwrap_err().to_string().contains('3'));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the bytes, they are read or refused.
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0usize..6) {
        let name = ["a.txt", "a.jsonl", "a.csv", "a.tsv", "a.gz", "a.zst"][kind];
        let mut content = match kind {
            4 => vec![0x1f, 0x8b, 8, 0],
            5 => vec![0x28, 0xb5, 0x2f, 0xfd],
            _ => Vec::new(),
        };
        content.extend(bytes);
        let _ = read_as(name, content);
    }

    /// Some bytes of what is compressed, a mailbox or a table are others, or its end is missing.
    #[test]
    fn no_damage_makes_a_reader_panic(
        changes in prop::collection::vec((0usize..400, any::<u8>()), 0..6),
        end in 0usize..400,
        kind in 0usize..5,
    ) {
        let mailbox = "From a@b Fri Jul  8 12:08:34 2011\nFrom: =?utf-8?q?J=C3=BCrgen?= <a@b>\nContent-Type: multipart/mixed; \
                       boundary=x\n\n--x\nContent-Type: text/html; charset=latin1\nContent-Transfer-Encoding: base64\n\nPGI+Yg==\n--x--\n";
        let (name, mut content) = match kind {
            0 => ("a.txt.xz", XZ.to_vec()),
            1 => ("a.txt.bz2", bzip2("one\ntwo\n")),
            2 => ("a.mbox", mailbox.as_bytes().to_vec()),
            3 => ("a.eml", mailbox.as_bytes()[34..].to_vec()),
            _ => ("a.json", br#"[{"id": 1, "text": "\u00e9"},{"id":"b","text":"c","n":[1,{"x":-2.5e3}]}]"#.to_vec()),
        };
        for (at, byte) in changes {
            let at = at % content.len();
            content[at] = byte;
        }
        content.truncate(end.max(content.len() / 4));
        let _ = read_as(name, content);
    }

    /// What has the characters of JSON and CSV gets further in.
    #[test]
    fn no_punctuation_makes_a_reader_panic(text in "[\\[\\]{}\",:\\\\idtex\t\r\n 0-9é]{0,200}", kind in 0usize..4) {
        let _ = read_as(["a.txt", "a.jsonl", "a.csv", "a.tsv"][kind], text);
    }

    /// Lines of any text come back as they were.
    #[test]
    fn lines_come_back_as_they_were(lines in prop::collection::vec("[^\\p{C}\\s][^\\p{C}\n\r]{0,30}", 1..30)) {
        let documents = read_as("a.txt", lines.join("\n")).unwrap();
        prop_assert_eq!(texts(&documents), lines);
    }
}

#[test]
fn a_quote_that_is_never_closed_and_two_columns_of_a_name_are_refused() {
    refused("c.csv", "id,text\n1,fine\n2,\"not closed\n3,three\n4,four\n", &["c.csv:3", "never closed"]);
    refused("d.csv", "id,text,tag,tag\n1,a,b,c\n", &["d.csv:1", "\"tag\""]);
    for end in ["", "\n", "\r\n", "\n\n"] {
        let closed = format!("id,text\n1,fine\n2,\"of two\nlines\"{end}");
        assert_eq!(texts(&read_as("e.csv", closed).unwrap()), ["fine", "of two\nlines"]);
    }
    assert_eq!(texts(&read_as("f.csv", "id,text\n1,a 5\" pipe\n").unwrap()), ["a 5\" pipe"]);
}

#[test]
fn gzip_members_are_read_with_what_pads_them_and_zstd_with_frames_that_are_passed_over() {
    let member = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let padded = [member("one\n"), member("two\n"), vec![0; 512]].concat();
    assert_eq!(texts(&read_as("n.txt.gz", padded).unwrap()), ["one", "two"]);
    let frame = zstd::encode_all(&b"three\n"[..], 1).unwrap();
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 9, 9, 9, 9][..], &frame].concat();
    assert_eq!(texts(&read_as("n.txt.zst", skipped).unwrap()), ["three"]);
    for (name, beginning, compression) in [
        ("n.zip", &b"PK\x03\x04...."[..], "zip"),
        ("n.lz4", b"\x04\x22\x4d\x18....", "lz4"),
        ("n.7z", b"7z\xbc\xaf\x27\x1c..", "7-Zip"),
    ] {
        refused(name, beginning, &[&format!("compressed with {compression}")]);
    }
}

/// `one` and a line end, by `xz`.
const XZ: &[u8] = &[
    0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x04, 0xe6, 0xd6, 0xb4, 0x46, 0x02, 0x00, 0x21, 0x01, 0x16,
    0x00, 0x00, 0x00, 0x74, 0x2f, 0xe5, 0xa3, 0x01, 0x00, 0x03, 0x6f, 0x6e, 0x65, 0x0a, 0x00, 0xf5, 0x5c,
    0xbb, 0x56, 0x1f, 0xc6, 0xfd, 0x86, 0x00, 0x01, 0x1c, 0x04, 0x6f, 0x2c, 0x9c, 0xc1, 0x1f, 0xb6, 0xf3,
    0x7d, 0x01, 0x00, 0x00, 0x00, 0x00, 0x04, 0x59, 0x5a,
];

fn bzip2(text: &str) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn all_streams_of_bzip2_and_xz_are_read_whatever_the_name() {
    let two = [bzip2("one\n"), bzip2("two\n")].concat();
    for name in ["n.txt.bz2", "n.txt", "n"] {
        assert_eq!(texts(&read_as(name, &two).unwrap()), ["one", "two"], "{name}");
        assert_eq!(texts(&read_as(name, [XZ, XZ].concat()).unwrap()), ["one", "one"], "{name}");
    }
    let table = bzip2("id\ttext\n7\tseven\n");
    assert_eq!(read_as("n.tsv.bz2", &table).unwrap()[0].id, "7");
    refused("cut.txt.bz2", &two[..two.len() - 8], &["cut.txt.bz2:3", "fetch it again"]);
    refused("cut.txt.xz", &XZ[..40], &["fetch it again"]);
    // A text may begin with the letters of a compression.
    assert_eq!(texts(&read_as("n.txt", "BZh9 is a mark\n").unwrap()), ["BZh9 is a mark"]);
    // What unpacks to a line without an end is refused once the line is too long.
    refused("bomb.txt.bz2", bzip2(&"x".repeat(17 << 20)), &["longer than 16 MiB"]);
}

#[test]
fn a_compressed_document_is_read_as_the_one_that_is_in_it() {
    let folder = Folder::new();
    let page = bzip2("<!doctype html><title>Cats</title><p>They purr.");
    let documents = read(folder.write("page.html.bz2", page), &CorpusOptions::default()).unwrap();
    assert_eq!((documents[0].text.as_str(), &documents[0].metadata["title"]), ("They purr.", &"Cats".into()));
}

#[test]
fn texts_in_another_encoding_are_read_by_their_mark_or_by_name_and_refused_without() {
    let utf_16 = |text: &str| -> Vec<u8> {
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    assert_eq!(texts(&read_as("n.txt", utf_16("café\r\n東京\n")).unwrap()), ["café", "東京"]);
    let table = read_as("n.csv", utf_16("id,text\n1,\"café, crème\"\n")).unwrap();
    assert_eq!((table[0].id.as_str(), table[0].text.as_str()), ("1", "café, crème"));
    refused("n.txt", b"fine\ncaf\xe9\n", &["n.txt:2", "not UTF-8 at byte 4 of the line"]);
    refused("n.csv", b"id,text\n1,caf\xe9\n", &["n.csv:2", "not UTF-8 at byte 4 of column \"text\""]);
    refused("n.json", b"[{\"id\":1,\n\"text\":\"\xe9\"}]", &["n.json:2", "not UTF-8 at byte 9"]);

    let folder = Folder::new();
    let options = |name: &str| CorpusOptions {
        encoding: akin_indexer::corpus::Encoding::for_label(name.as_bytes()),
        ..CorpusOptions::default()
    };
    let latin = folder.write("latin.txt", b"caf\xe9\ncr\xe8me\n");
    assert_eq!(texts(&read(latin.clone(), &options("windows-1252")).unwrap()), ["café", "crème"]);
    let page = folder.write("page.md", b"caf\xe9");
    assert_eq!(texts(&read(page, &options("latin1")).unwrap()), ["café"]);
    let japanese = folder.write("j.tsv", b"id\ttext\n1\t\x93\x8c\x8b\x9e\n");
    assert_eq!(texts(&read(japanese, &options("shift_jis")).unwrap()), ["東京"]);
    let error = read(latin, &options("shift_jis")).unwrap_err();
    assert!(error.contains("latin.txt:1: not Shift_JIS"), "{error}");
}

#[test]
fn json_is_read_as_lines_an_array_or_objects_one_after_another() {
    let objects = ["{\"id\": 1,\n \"text\": \"one\"}", "{\"id\": 2, \"text\": \"two\"}"];
    for (name, content) in [
        ("n.json", format!("[{}]", objects.join(",\n"))),
        ("n.jsonl", format!("[{}]", objects.join(","))),
        ("n.json", objects.join("\n")),
        ("n.ndjson", objects.join("\n").replace(",\n", ",")),
    ] {
        assert_eq!(texts(&read_as(name, &content).unwrap()), ["one", "two"], "{content}");
    }
    refused("n.json", "[\n\"one\"]", &["n.json:2", "each element of the array is to be"]);
    refused(
        "n.json",
        "{\"data\": [{\"id\": 1, \"text\": \"one\"}]}",
        &["no field \"id\" (fields here: data)"],
    );
}

#[test]
fn an_integer_that_would_lose_digits_is_refused_and_others_keep_theirs() {
    let line = |number: &str| format!("{{\"id\":\"1\",\"text\":\"one\",\"n\":[{{\"a\":{number}}}]}}\n");
    for number in ["18446744073709551615", "-9223372036854775808", "0", "-7"] {
        let documents = read_as("n.jsonl", line(number)).unwrap();
        assert_eq!(documents[0].metadata["n"][0]["a"].to_string(), number);
    }
    for number in ["18446744073709551616", "-9223372036854775809", &"9".repeat(78)] {
        let parts = ["n.jsonl:2", "would lose digits", "put it in quotes"];
        refused("n.jsonl", line("1.5e3") + &line(number), &parts);
    }
}

#[test]
fn queries_need_no_id() {
    let folder = Folder::new();
    let options = CorpusOptions { require_ids: false, ..CorpusOptions::default() };
    for (name, content) in [
        ("q.csv", "text\nwhich\nwhat\n"),
        ("q.tsv", "_id\ttext\na\twhich\na\twhat\n"),
        ("q.jsonl", "{\"text\":\"which\"}\n{\"id\":1.5,\"text\":\"what\"}\n"),
    ] {
        assert_eq!(texts(&read(folder.write(name, content), &options).unwrap()), ["which", "what"], "{name}");
    }
}

#[test]
fn columns_that_something_else_separates_are_refused_by_what_it_is() {
    refused("n.csv", "id;text\n1;a, b\n", &["n.csv:1", "columns are separated by semicolons"]);
    refused("n.csv", "id\ttext\n1\ta\n", &["n.csv:1", "separated by tabs"]);
    refused("n.tsv", "id,text\n1,a\n", &["n.tsv:1", "separated by commas"]);
}

/// A file of Parquet with a row for each id and text, and a year.
fn parquet(rows: &[(&str, Option<&str>, i64)], compression: parquet::basic::Compression) -> Vec<u8> {
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;

    let message = "message m { required binary id (UTF8); optional binary text (UTF8); required int64 year; \
                   required int64 at (TIMESTAMP_MICROS); \
                   required int64 fine (TIMESTAMP(NANOS,true)); }";
    let schema = std::sync::Arc::new(parquet::schema::parser::parse_message_type(message).unwrap());
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties.into()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let texts = |texts: Vec<&str>| texts.into_iter().map(ByteArray::from).collect::<Vec<_>>();
    let defined: Vec<i16> = rows.iter().map(|(_, text, _)| i16::from(text.is_some())).collect();
    let years: Vec<i64> = rows.iter().map(|(_, _, year)| *year).collect();
    let mut number = 0;
    while let Some(mut column) = group.next_column().unwrap() {
        match number {
            0 => {
                let ids = texts(rows.iter().map(|(id, ..)| *id).collect());
                column.typed::<ByteArrayType>().write_batch(&ids, None, None).unwrap();
            }
            1 => {
                let texts = texts(rows.iter().filter_map(|(_, text, _)| *text).collect());
                column.typed::<ByteArrayType>().write_batch(&texts, Some(&defined), None).unwrap();
            }
            _ => drop(column.typed::<Int64Type>().write_batch(&years, None, None).unwrap()),
        }
        column.close().unwrap();
        number += 1;
    }
    group.close().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn a_row_of_parquet_is_a_document_and_a_fault_has_its_row() {
    use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};

    let rows = [("a", Some("one"), 1999), ("b", Some("two"), -1)];
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4_RAW,
    ] {
        for name in ["n.parquet", "n"] {
            let documents = read_as(name, parquet(&rows, compression)).unwrap();
            assert_eq!(texts(&documents), ["one", "two"], "{compression:?}");
            assert_eq!(documents[0].id, "a");
            assert_eq!(documents[1].metadata["year"], -1);
            assert_eq!(documents[0].metadata["at"], "1970-01-01T00:00:00.001999Z");
            assert_eq!(documents[0].metadata["fine"], "1970-01-01T00:00:00.000001Z");
        }
    }
    let missing = parquet(&[rows[0], ("c", None, 1)], Compression::SNAPPY);
    refused("n.parquet", missing, &["n.parquet:2", "\"text\" is not a string"]);
    let whole = parquet(&rows, Compression::SNAPPY);
    refused("n.parquet", &whole[..whole.len() / 2], &["n.parquet", "no Parquet that can be read"]);
    let folder = Folder::new();
    let options = CorpusOptions { text_field: "body".into(), ..CorpusOptions::default() };
    let error = read(folder.write("n.parquet", &whole), &options).unwrap_err();
    assert!(error.contains("no field \"body\" (fields here: id, text, year, at, fine)"), "{error}");
    // Whatever byte is another, the file is read or refused.
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        let _ = read_as("n.parquet", damaged);
    }
}
