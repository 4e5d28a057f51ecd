//! The protobuf message of a model of sentencepiece: its pieces, and the settings of its trainer and its normalizer.

/// A model as its file has it.
#[derive(Debug, PartialEq)]
pub(super) struct Model {
    pub pieces: Vec<Piece>,
    /// 1 is Unigram, 2 BPE; sentencepiece leaves the default out.
    pub kind: Option<u64>,
    /// Whether characters without a piece are written in bytes.
    pub byte_fallback: bool,
    /// Whether a space belongs to the word before it.
    pub space_ends_word: bool,
    /// The piece of what has none.
    pub unknown: String,
    /// The table of characters.
    pub table: Vec<u8>,
    /// Whether a space is put before a text.
    pub adds_space: bool,
    /// Whether spaces at both ends are taken away, and of several between words all but one.
    pub trims_spaces: bool,
    /// Whether a space is written as U+2581.
    pub escapes_spaces: bool,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Piece {
    pub text: String,
    pub score: f32,
    pub kind: u64,
}

impl Default for Model {
    /// What counts where a message does not say.
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            kind: None,
            byte_fallback: false,
            space_ends_word: false,
            unknown: "<unk>".into(),
            table: Vec::new(),
            adds_space: true,
            trims_spaces: true,
            escapes_spaces: true,
        }
    }
}

/// Reads the message.
pub(super) fn read(file: &[u8]) -> Result<Model, String> {
    let mut model = Model::default();
    for field in Fields(file) {
        match field? {
            (1, Field::Bytes(piece)) => model.pieces.push(read_piece(piece)?),
            (2, Field::Bytes(training)) => {
                for field in Fields(training) {
                    match field? {
                        (3, Field::Number(kind)) => model.kind = Some(kind),
                        (24, Field::Number(is)) => model.space_ends_word = is != 0,
                        (35, Field::Number(is)) => model.byte_fallback = is != 0,
                        (45, Field::Bytes(piece)) => model.unknown = text(piece)?.to_owned(),
                        _ => {}
                    }
                }
            }
            (3, Field::Bytes(normalizer)) => {
                for field in Fields(normalizer) {
                    match field? {
                        (2, Field::Bytes(table)) => model.table = table.to_vec(),
                        (3, Field::Number(is)) => model.adds_space = is != 0,
                        (4, Field::Number(is)) => model.trims_spaces = is != 0,
                        (5, Field::Number(is)) => model.escapes_spaces = is != 0,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    match model.pieces.len() {
        0..=3 => Err("no model of sentencepiece: it has no pieces".into()),
        _ => Ok(model),
    }
}

fn read_piece(message: &[u8]) -> Result<Piece, String> {
    let mut piece = Piece { kind: 1, ..Piece::default() };
    for field in Fields(message) {
        match field? {
            (1, Field::Bytes(written)) => piece.text = text(written)?.to_owned(),
            (2, Field::Four(score)) => piece.score = f32::from_bits(score),
            (3, Field::Number(kind)) => piece.kind = kind,
            _ => {}
        }
    }
    match piece.score.is_finite() {
        true => Ok(piece),
        false => Err(format!("the score of its piece {:?} is not a number", piece.text)),
    }
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    str::from_utf8(bytes).map_err(|_| "a piece of it is no text".to_owned())
}

/// A value of a message.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Four(u32),
    Eight,
}

/// The fields of a message, with their numbers.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Field<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field().ok_or_else(|| {
            "no model of sentencepiece, truncated or corrupt: fetch the file again".to_owned()
        });
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Field<'a>)> {
        let key = self.number()?;
        let value = match key & 7 {
            0 => Field::Number(self.number()?),
            1 => self.take(8).map(|_| Field::Eight)?,
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Four(u32::from_le_bytes(*self.take(4)?.first_chunk()?)),
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// Seven bits a byte, the lowest first.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}
