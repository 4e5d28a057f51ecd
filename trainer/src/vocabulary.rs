//! A base whose vocabulary has the characters of the texts that it is to be trained with.
//!
//! WordPiece makes one unknown token of a word that it cannot spell. The vocabulary of an English model has few characters
//! of other scripts, so most of a Chinese text is unknown to it, and no training can tell the unknown words apart.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::base::BaseModel;
use crate::encoder::Encoder;
use crate::saving::{io, write_json};
use crate::table::read_rows;
use crate::training::device;
use crate::{Error, Result};

/// Ids between the embeddings of the base and the first new one that are given an embedding too. There are some where
/// tokens were added that the model has no embedding for.
const MOST_BETWEEN: usize = 4096;

/// The tokenizer in a model directory.
const TOKENIZER: &str = "tokenizer.json";

impl BaseModel {
    /// Writes this model to the folder `to`, with a piece more in its vocabulary for each character that it lacks for the
    /// texts of the table at `path`, and returns how many. Each begins with the embedding of the unknown token: a word of
    /// one character, as all of Chinese are, has the embedding that it had, until training changes it.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the tokenizer has no WordPiece vocabulary in `tokenizer.json`; as
    /// [`read_table`](crate::table::read_table); [`Error::Io`] when the folder cannot be written; those of the tokenizer.
    pub fn save_with_characters_of(&self, path: &Path, to: &Path) -> Result<usize> {
        let tokenizer = self.dir.transformer.join(TOKENIZER);
        let pieces = self.tokenizer.word_pieces().filter(|_| tokenizer.is_file());
        let known = pieces.and_then(|pieces| Some((pieces.unknown_id()? as usize, pieces)));
        let Some((unknown, pieces)) = known else {
            return Err(Error::Invalid(format!(
                "{}: characters can be added to a WordPiece vocabulary in {TOKENIZER} only, and this model has none",
                self.dir.transformer.display()
            )));
        };
        let missing =
            texts_of(path)?.par_iter().map(|text| pieces.missing(text)).collect::<Result<Vec<_>, _>>()?;
        // In alphabetical order, so that a run that is resumed has the same vocabulary.
        let missing: BTreeSet<String> = missing.into_iter().flatten().collect();
        let first = pieces.free_id();
        if first - self.dir.config.vocab_size > MOST_BETWEEN {
            return Err(Error::Invalid(format!(
                "{}: it has a token with the id {}, and the model has {} embeddings: characters cannot be added after it",
                tokenizer.display(),
                first - 1,
                self.dir.config.vocab_size
            )));
        }
        let network = with_rows(self.network(&device())?, unknown, first, missing.len());
        self.save(&network, to)?;
        edit(&to.join("config.json"), |config| config["vocab_size"] = json!(first + missing.len()))?;
        edit(&to.join(TOKENIZER), |tokenizer| {
            for (piece, id) in missing.iter().zip(first..) {
                tokenizer["model"]["vocab"][piece] = json!(id);
            }
        })?;
        // It lists the pieces of before, and `tokenizer.json` is read first.
        match fs::remove_file(to.join("vocab.txt")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io(&to.join("vocab.txt"))(error));
            }
            _ => {}
        }
        Ok(missing.len())
    }
}

/// Every text of the table at `path`, in whichever column.
fn texts_of(path: &Path) -> Result<Vec<String>> {
    let rows = read_rows(
        path,
        "texts",
        |_| Ok(()),
        |row| {
            // A field that is no text has no characters to learn.
            let texts = row.columns().into_iter().flat_map(|column| row.texts(column).unwrap_or_default());
            Ok(texts.map(Cow::into_owned).collect::<Vec<_>>())
        },
    )?;
    Ok(rows.into_iter().flatten().collect())
}

/// The network with word embeddings for `count` ids more, from `first` on: each that of the id `unknown`.
fn with_rows(mut network: Encoder, unknown: usize, first: usize, count: usize) -> Encoder {
    let table = network.words().weight.val().inner();
    let [_, width] = table.dims();
    let mut values: Vec<f32> = table.into_data().try_into_vec().expect("weights are f32");
    // Ids that only added tokens have may lie between.
    values.resize(first * width, 0.0);
    for _ in 0..count {
        values.extend_from_within(unknown * width..(unknown + 1) * width);
    }
    let table = Tensor::<2>::from_data(TensorData::new(values, [first + count, width]), &device());
    network.words_mut().weight = Param::from_tensor(table);
    network
}

/// Changes a file of JSON.
fn edit(path: &Path, change: impl FnOnce(&mut Value)) -> Result<()> {
    let bytes =
        fs::read(path).map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })?;
    let mut value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Error::Invalid(format!("{}: {error}", path.display())))?;
    change(&mut value);
    write_json(path, &value)
}
