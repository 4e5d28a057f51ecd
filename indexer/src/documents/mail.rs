//! Mail: the text of a message and its headers, without attachments.

use akin_index::Metadata;
use mail_parser::{Address, MessageParser, PartType};

use super::blocks::MAX_TEXT_BYTES;
use super::{Extracted, Unread, html};

/// Bytes in which the headers are that tell a message from another text.
const LOOKED_AT: usize = 16 << 10;

/// A message, and what it calls itself.
pub(crate) struct Message {
    pub(crate) id: Option<String>,
    pub(crate) extracted: Extracted,
}

/// Reads a file of one message.
pub(super) fn read(bytes: &[u8]) -> Result<Extracted, Unread> {
    if is_mailbox(bytes) {
        return Err(Unread::Because("a mailbox, which is many documents, and was to be read as one".into()));
    }
    Ok(message(bytes)?.extracted)
}

/// Reads a message.
pub(super) fn message(bytes: &[u8]) -> Result<Message, Unread> {
    let because = |reason: &str| Unread::Because(reason.to_owned());
    let message =
        MessageParser::default().parse(bytes).ok_or_else(|| because("no mail: it has no headers"))?;
    let mut parts = Vec::new();
    for part in message.text_bodies() {
        match &part.body {
            PartType::Text(text) => parts.push(text.trim().to_owned()),
            PartType::Html(page) => parts.push(html::extract(page).map_err(Unread::Because)?.text),
            _ => {}
        }
    }
    parts.retain(|part| !part.is_empty());
    let mut text = parts.join("\n\n").replace("\r\n", "\n");
    if text.len() > MAX_TEXT_BYTES {
        return Err(because("it has more than 64 MiB of text"));
    }
    let mut metadata = Metadata::new();
    let subject = message.subject().map(str::trim).filter(|subject| !subject.is_empty());
    if let Some(subject) = subject {
        metadata.insert("subject".into(), subject.into());
    }
    for (field, addresses) in [("from", message.from()), ("to", message.to()), ("cc", message.cc())] {
        let listed = addresses.map(listed).filter(|listed| !listed.is_empty());
        listed.map(|listed| metadata.insert(field.into(), listed.into()));
    }
    if let Some(date) = message.date().filter(|date| date.is_valid()) {
        metadata.insert("date".into(), date.to_rfc3339().into());
    }
    if message.attachment_count() > 0 {
        metadata.insert("attachments".into(), message.attachment_count().into());
    }
    if text.is_empty() {
        text = subject.unwrap_or_default().to_owned();
    }
    let id = message.message_id().map(str::to_owned);
    Ok(Message { id, extracted: Extracted { text, metadata } })
}

/// Addresses as people write them.
fn listed(addresses: &Address<'_>) -> String {
    let written = addresses.iter().filter_map(|one| match (one.name(), one.address()) {
        (Some(name), Some(address)) => Some(format!("{name} <{address}>")),
        (name, address) => address.or(name).map(str::to_owned),
    });
    written.collect::<Vec<_>>().join(", ")
}

/// Whether a file begins as a message does: with headers, of which some are those of a mail.
pub(super) fn is_message(bytes: &[u8]) -> bool {
    let beginning = String::from_utf8_lossy(&bytes[..bytes.len().min(LOOKED_AT)]);
    let mut found = [false; 3];
    for (number, line) in beginning.lines().enumerate() {
        if line.is_empty() || (line.starts_with([' ', '\t']) && number > 0) {
            if line.is_empty() {
                break;
            }
            continue;
        }
        let Some((name, _)) = line.split_once(':') else { return false };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return false;
        }
        match name.to_ascii_lowercase().as_str() {
            "from" => found[0] = true,
            "date" | "subject" => found[1] = true,
            "message-id" | "mime-version" | "received" | "return-path" | "to" => found[2] = true,
            _ => {}
        }
    }
    found == [true; 3]
}

/// Whether a file is a mailbox: messages one after another, each after a line of `From`, who sent it, and when.
pub(crate) fn is_mailbox(beginning: &[u8]) -> bool {
    let end = beginning.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    is_separator(&beginning[..end])
}

/// Whether a line is one that stands before a message of a mailbox.
pub(crate) fn is_separator(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"From ") else { return false };
    let Ok(rest) = std::str::from_utf8(rest) else { return false };
    let has_time = rest.split_whitespace().any(|word| {
        word.len() >= 5
            && word.contains(':')
            && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b':')
    });
    let is_year = |word: &str| word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit());
    has_time && rest.split_whitespace().any(is_year)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nTo: a@example.org, B <b@example.org>\r\n\
        Subject: =?iso-8859-1?Q?caf=E9?=\r\nDate: Fri, 1 Mar 2024 10:00:00 +0100\r\nMessage-ID: <1@example.org>\r\n\
        MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\
        Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        A caf=E9 =\r\nby the sea.\r\n--x\r\nContent-Type: application/pdf\r\n\
        Content-Disposition: attachment; filename=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--x--\r\n";

    #[test]
    fn a_message_is_its_text_and_its_headers_and_attachments_are_counted() {
        let read = message(MAIL.as_bytes()).unwrap();
        assert_eq!(read.id.as_deref(), Some("1@example.org"));
        assert_eq!(read.extracted.text, "A café by the sea.");
        let fields = serde_json::to_value(&read.extracted.metadata).unwrap();
        let expected = serde_json::json!({
            "subject": "café", "from": "Jürgen <j@example.org>", "to": "a@example.org, B <b@example.org>",
            "date": "2024-03-01T10:00:00+01:00", "attachments": 1,
        });
        assert_eq!(fields, expected);
        assert!(is_message(MAIL.as_bytes()));
    }

    #[test]
    fn a_message_of_html_alone_is_its_text() {
        let mail = "From: a@b\nDate: Fri, 1 Mar 2024 10:00:00 +0100\nSubject: s\nContent-Type: text/html\n\n\
                    <style>p {}</style><h1>Cats</h1><p>They purr.</p>";
        assert_eq!(message(mail.as_bytes()).unwrap().extracted.text, "# Cats\n\nThey purr.");
        let empty = "From: a@b\nSubject: only a subject\n\n";
        assert_eq!(message(empty.as_bytes()).unwrap().extracted.text, "only a subject");
    }

    #[test]
    fn other_texts_are_no_mail() {
        for text in
            ["From: here\nto there\n", "Note: buy milk\n\nmore", "", "From: a\nSubject: b\n\n", "# From: a"]
        {
            assert!(!is_message(text.as_bytes()), "{text:?}");
        }
        assert!(is_mailbox(b"From a@b Fri Jul  8 12:08:34 2011\nFrom: a@b\n"));
        assert!(!is_mailbox(b"From here to there\nin 10:30 2011") && !is_mailbox(b"From"));
        assert!(matches!(read(b"From a@b Fri Jul  8 12:08:34 2011\nFrom: a@b\n"), Err(Unread::Because(_))));
    }
}
