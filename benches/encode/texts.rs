//! What is encoded: glosses of WordNet, and longer texts made of them.

use std::path::Path;

use akin_encoder::SentenceEncoder;
use akin_fixtures::files;
use anyhow::ensure;

const SENTENCES: usize = 4000;
const QUERIES: usize = 200;
/// Glosses among which neighbours are looked for.
const COLLECTION: usize = 20_000;
/// Texts of so many tokens, and how many of them: about a third of the tokens that the sentences have.
const LONG: [(usize, usize); 2] = [(128, 200), (256, 100)];

/// Texts that are encoded together.
pub struct Set {
    pub name: String,
    pub texts: Vec<String>,
    /// Tokens of each, special tokens included.
    pub lengths: Vec<usize>,
}

impl Set {
    fn new(name: &str, texts: Vec<String>, encoder: &SentenceEncoder) -> anyhow::Result<Self> {
        let lengths = encoder.count_tokens(&borrowed(&texts))?;
        Ok(Self { name: name.to_owned(), texts, lengths })
    }

    pub fn borrowed(&self) -> Vec<&str> {
        borrowed(&self.texts)
    }

    pub fn tokens(&self) -> usize {
        self.lengths.iter().sum()
    }

    pub fn mean_length(&self) -> f64 {
        self.tokens() as f64 / self.texts.len() as f64
    }
}

pub struct Texts {
    pub sentences: Set,
    pub queries: Set,
    pub long: Vec<Set>,
    pub collection: Vec<String>,
}

impl Texts {
    /// Every n-th gloss of the corpus, so that all parts of speech and lengths are among them.
    pub fn read(corpus: Option<&Path>, encoder: &SentenceEncoder) -> anyhow::Result<Self> {
        let glosses = corpus.map_or_else(files::glosses, files::texts);
        ensure!(
            glosses.len() >= COLLECTION,
            "the corpus has {} texts, fewer than {COLLECTION}",
            glosses.len()
        );
        let long = LONG.into_iter().map(|(tokens, count)| {
            let texts = joined(&glosses, tokens, count, encoder)?;
            Set::new(&format!("{count} texts of {tokens} tokens"), texts, encoder)
        });
        Ok(Self {
            sentences: Set::new("4,000 sentences", spread(&glosses, SENTENCES, 0), encoder)?,
            queries: Set::new("queries", spread(&glosses, QUERIES, 7), encoder)?,
            long: long.collect::<anyhow::Result<_>>()?,
            collection: spread(&glosses, COLLECTION, 3),
        })
    }
}

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// `count` glosses, evenly spread, from the one numbered `first`.
fn spread(glosses: &[String], count: usize, first: usize) -> Vec<String> {
    let step = glosses.len() / count;
    glosses.iter().skip(first).step_by(step).take(count).cloned().collect()
}

/// `count` texts of `tokens` tokens, or a few less: glosses end to end, cut at a word.
fn joined(
    glosses: &[String],
    tokens: usize,
    count: usize,
    encoder: &SentenceEncoder,
) -> anyhow::Result<Vec<String>> {
    let mut words = glosses.iter().step_by(3).flat_map(|gloss| gloss.split(' '));
    // A word has more than one token now and then: so this is more than enough.
    let mut texts: Vec<Vec<&str>> = (0..count).map(|_| words.by_ref().take(tokens).collect()).collect();
    loop {
        let joined: Vec<String> = texts.iter().map(|words| words.join(" ")).collect();
        // A text of exactly so many tokens as the model reads may have been cut: one word less tells.
        let lengths = encoder.count_tokens(&borrowed(&joined))?;
        let limit = tokens.min(encoder.max_tokens() - 1);
        let mut fit = true;
        for (words, length) in texts.iter_mut().zip(lengths) {
            if length > limit {
                words.truncate(words.len() - (length - limit).div_ceil(3).max(1));
                fit = false;
            }
        }
        if fit {
            return Ok(joined);
        }
    }
}
