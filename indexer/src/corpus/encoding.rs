//! Turns the bytes of a text in another encoding into UTF-8.

use std::io::{self, BufRead, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_16BE, UTF_16LE};

use super::source::Input;

/// Bytes that are decoded together.
const CHUNK: usize = 32 << 10;

/// An input in UTF-8: decoded from `encoding` if one is given, from UTF-16 where a mark says so, or as it is.
pub(super) fn in_utf8(mut input: Input, encoding: Option<&'static Encoding>) -> io::Result<Input> {
    // A mark counts more than what was said.
    let marked = Encoding::for_bom(input.fill_buf()?).map(|(encoding, _)| encoding);
    let encoding = marked.or(encoding);
    Ok(match encoding {
        Some(encoding) if encoding != encoding_rs::UTF_8 => Box::new(Decoded::new(input, encoding)),
        _ => input,
    })
}

/// Bytes that are none of the encoding that they are said to be in.
#[derive(Debug, thiserror::Error)]
#[error("not {0}, as {how}", how = if is_marked(.0) { "the mark at its beginning says" } else { "it is said to be" })]
pub(crate) struct NotEncoded(&'static str);

fn is_marked(name: &str) -> bool {
    name == UTF_16LE.name() || name == UTF_16BE.name()
}

struct Decoded {
    input: Input,
    encoding: &'static Encoding,
    decoder: Decoder,
    text: Vec<u8>,
    at: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// The next bytes are none of the encoding.
    Malformed,
    Ended,
}

impl Decoded {
    fn new(input: Input, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_with_bom_removal();
        Self { input, encoding, decoder, text: Vec::new(), at: 0, state: State::Reading }
    }

    /// Decodes on. The characters before malformed bytes are given before the error is, so that it comes at its line.
    fn decode(&mut self) -> io::Result<()> {
        (self.at, self.text) = (0, std::mem::take(&mut self.text));
        self.text.resize(CHUNK, 0);
        let bytes = self.input.fill_buf()?;
        let is_last = bytes.is_empty();
        let (result, read, written) =
            self.decoder.decode_to_utf8_without_replacement(bytes, &mut self.text, is_last);
        self.input.consume(read);
        self.text.truncate(written);
        self.state = match result {
            DecoderResult::Malformed(..) => State::Malformed,
            DecoderResult::InputEmpty if is_last => State::Ended,
            _ => State::Reading,
        };
        Ok(())
    }
}

impl BufRead for Decoded {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.text.len() {
            match self.state {
                State::Reading => {
                    let decoded = self.decode();
                    if decoded.is_err() {
                        self.text.clear();
                    }
                    decoded?;
                }
                State::Ended => return Ok(&[]),
                State::Malformed => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, NotEncoded(self.encoding.name())));
                }
            }
        }
        Ok(&self.text[self.at..])
    }

    fn consume(&mut self, count: usize) {
        self.at = (self.at + count).min(self.text.len());
    }
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
