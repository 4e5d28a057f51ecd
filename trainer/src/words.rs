//! Average word vectors: the paper's simplest baseline.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use akin_kernels::Embeddings;

use crate::embedder::Embedder;
use crate::{Error, Result};

/// Vectors of words, as GloVe and word2vec write them in text: a word a line, then its numbers.
#[derive(Debug, Clone)]
pub struct WordVectors {
    rows: HashMap<String, usize>,
    values: Vec<f32>,
    dimension: usize,
}

impl WordVectors {
    /// Reads the file at `path`. A first line of two numbers, as word2vec writes it, is passed over.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, [`Error::Table`] with the line that is not as it should be.
    pub fn read(path: &Path) -> Result<Self> {
        let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
        let mut reader = BufReader::new(File::open(path).map_err(io)?);
        let mut vectors = Self { rows: HashMap::new(), values: Vec::new(), dimension: 0 };
        let (mut bytes, mut number) = (Vec::new(), 0);
        loop {
            bytes.clear();
            if reader.read_until(b'\n', &mut bytes).map_err(io)? == 0 {
                break;
            }
            number += 1;
            let fault = |reason: String| Error::Table { path: path.to_owned(), line: number, reason };
            // Some of these files have words in invalid encodings, which occur in no sentence.
            let line = String::from_utf8_lossy(&bytes);
            let line = line.trim_end();
            if line.is_empty() || number == 1 && is_word2vec_header(line) {
                continue;
            }
            vectors.add(line).map_err(fault)?;
        }
        if vectors.rows.is_empty() {
            let reason = "no vectors in it: expected a word and its numbers a line".to_owned();
            return Err(Error::Table { path: path.to_owned(), line: 1, reason });
        }
        Ok(vectors)
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let count = line.split(' ').count() - 1;
        if self.dimension == 0 {
            self.dimension = count;
        }
        if count < self.dimension || self.dimension == 0 {
            return Err(format!(
                "{count} numbers after the word, and {} are expected",
                self.dimension.max(1)
            ));
        }
        // A few words of GloVe have blanks in them: the numbers are the last of the line.
        let mut numbers = line.rsplitn(self.dimension + 1, ' ');
        let first = self.values.len();
        for text in numbers.by_ref().take(self.dimension) {
            let number: Option<f32> = text.parse().ok().filter(|number: &f32| number.is_finite());
            self.values.push(number.ok_or_else(|| format!("{text:?} is not a number"))?);
        }
        self.values[first..].reverse();
        let word = numbers.next().unwrap_or_default().to_owned();
        self.rows.entry(word).or_insert(first / self.dimension);
        Ok(())
    }

    /// The vector of a word, as it is or in lower case.
    fn vector(&self, word: &str) -> Option<&[f32]> {
        let row = self.rows.get(word).or_else(|| self.rows.get(&word.to_lowercase()))?;
        Some(&self.values[row * self.dimension..][..self.dimension])
    }
}

fn is_word2vec_header(line: &str) -> bool {
    let numbers: Vec<&str> = line.split(' ').collect();
    numbers.len() == 2 && numbers.iter().all(|number| number.parse::<usize>().is_ok())
}

/// The words of a text: runs of letters and digits, and every other character by itself.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().flat_map(|part| {
        let mut rest = part;
        std::iter::from_fn(move || {
            let first = rest.chars().next()?;
            let end = match first.is_alphanumeric() {
                true => rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len()),
                false => first.len_utf8(),
            };
            let (word, after) = rest.split_at(end);
            rest = after;
            Some(word)
        })
    })
}

impl Embedder for WordVectors {
    fn dimension(&self) -> usize {
        self.dimension
    }

    /// The mean of the vectors of the words that are known; zeros where none is.
    fn embed(&self, texts: &[&str]) -> Result<(Embeddings, usize)> {
        let mut embeddings = Embeddings::empty(self.dimension);
        for text in texts {
            let mut mean = vec![0.0; self.dimension];
            let mut known = 0.0f32;
            for vector in words(text).filter_map(|word| self.vector(word)) {
                mean.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
                known += 1.0;
            }
            mean.iter_mut().for_each(|sum| *sum /= known.max(1.0));
            embeddings.push(&mean);
        }
        Ok((embeddings, 0))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(content: &str) -> Result<WordVectors> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        WordVectors::read(file.path())
    }

    #[test]
    fn a_sentence_is_the_mean_of_its_known_words() {
        for header in ["", "3 2\n"] {
            let vectors = read(&format!("{header}dog 1 2\n. 3 4\nat home 5 6\n")).unwrap();
            let (embeddings, _) = vectors.embed(&["Dog.", "unheard of", "dog dog"]).unwrap();
            assert_eq!(embeddings.as_slice(), [2.0, 3.0, 0.0, 0.0, 1.0, 2.0]);
        }
    }

    #[test]
    fn a_line_that_is_no_vector_is_refused_by_its_number() {
        for content in ["dog 1 2\ncat 1\n", "dog 1 2\ncat 1 x\n", "dog 1 2\ncat 1 NaN\n"] {
            let error = read(content).unwrap_err().to_string();
            assert!(error.contains(":2: "), "{error}");
        }
        assert!(read("").is_err());
    }

    #[test]
    fn punctuation_stands_for_itself() {
        assert_eq!(words("It's  (a) dog!").collect::<Vec<_>>(), ["It", "'", "s", "(", "a", ")", "dog", "!"]);
    }
}
