//! Evaluates retrieval on data sets in BEIR's form (Thakur et al. 2021).

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Deserialize;

use crate::embedder::{Embedded, Embedder};
use crate::similarity::compare;
use crate::table::read_table;
use crate::{Error, Result};

/// A corpus, queries, and the documents that are relevant for each query.
#[derive(Debug, Clone)]
pub struct RetrievalSet {
    /// Id and text of each document.
    documents: Vec<(String, String)>,
    /// Id and text of each query that has a relevant document.
    queries: Vec<(String, String)>,
    /// For each query the rows of its relevant documents, with how relevant each is.
    relevant: Vec<HashMap<usize, u32>>,
    /// Documents that are judged and that the corpus has not: they are relevant and never found, as in BEIR.
    pub missing: usize,
}

/// How well relevant documents are found: means over the queries.
#[derive(Debug, Clone, PartialEq)]
pub struct RetrievalResult {
    /// How many queries there are.
    pub queries: usize,
    /// How many documents there are.
    pub documents: usize,
    /// Discounted cumulative gain of the first ten hits, over that of the best order.
    pub ndcg_at_10: f64,
    /// For each k, the share of relevant documents among the first k hits.
    pub recall_at: Vec<(usize, f64)>,
    /// One over the rank of the first relevant hit, 0 past the tenth.
    pub mrr_at_10: f64,
    /// Texts longer than the model reads, whose end was left out.
    pub truncated: usize,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "_id")]
    id: String,
    #[serde(default)]
    title: String,
    text: String,
}

impl RetrievalSet {
    /// Reads `corpus.jsonl`, `queries.jsonl` and `qrels/SPLIT.tsv` of a folder.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Table`] with the line at fault; a judgement of a query that is not there is refused.
    pub fn read(folder: &Path, split: &str) -> Result<Self> {
        let documents: Vec<(String, String)> = read_lines(&folder.join("corpus.jsonl"))?
            .into_iter()
            .map(|line| {
                let text = format!("{} {}", line.title, line.text);
                (line.id, text.trim().to_owned())
            })
            .collect();
        let texts: HashMap<String, String> =
            read_lines(&folder.join("queries.jsonl"))?.into_iter().map(|line| (line.id, line.text)).collect();
        let rows: HashMap<&str, usize> =
            documents.iter().enumerate().map(|(row, (id, _))| (id.as_str(), row)).collect();
        let path: PathBuf = folder.join("qrels").join(format!("{split}.tsv"));
        let mut judged: BTreeMap<String, HashMap<usize, u32>> = BTreeMap::new();
        let mut missing: HashMap<String, usize> = HashMap::new();
        let judgements =
            read_table(&path, ["query-id", "corpus-id", "score"], |[query, document, score]| {
                // A document that is not there has a row after all those that are.
                let after = documents.len() + missing.len();
                let row = rows.get(document).copied();
                let row = row.unwrap_or_else(|| *missing.entry(document.to_owned()).or_insert(after));
                if !texts.contains_key(query) {
                    return Err(format!("queries.jsonl has no query {query:?}"));
                }
                let score: i64 =
                    score.trim().parse().map_err(|_| format!("the score {score:?} is not a whole number"))?;
                Ok((query.to_owned(), row, u32::try_from(score.max(0)).unwrap_or(u32::MAX)))
            })?;
        for (query, row, score) in judgements.into_iter().filter(|(_, _, score)| *score > 0) {
            judged.entry(query).or_default().insert(row, score);
        }
        let (ids, relevant): (Vec<String>, Vec<_>) = judged.into_iter().unzip();
        let queries =
            ids.into_iter().map(|id| (texts[&id].clone(), id)).map(|(text, id)| (id, text)).collect();
        Ok(Self { queries, relevant, missing: missing.len(), documents })
    }

    /// Encodes corpus and queries, and compares every query with every document by the similarity
    /// of the model. `observer` hears (texts
    /// encoded, of how many).
    ///
    /// # Errors
    /// What the encoder reports.
    pub fn evaluate(
        &self,
        embedder: &dyn Embedder,
        ks: &[usize],
        observer: &mut dyn FnMut(usize, usize),
    ) -> Result<RetrievalResult> {
        let texts = self.documents.iter().chain(&self.queries).map(|(_, text)| text.as_str());
        let embedded = Embedded::of(embedder, texts, observer)?;
        let similarity = embedder.similarity();
        let depth = ks.iter().copied().max().unwrap_or(0).max(10);
        let documents: Vec<&[f32]> = self.documents.iter().map(|(_, text)| embedded.vector(text)).collect();
        let hits: Vec<Vec<usize>> = self
            .queries
            .par_iter()
            .map(|(id, text)| {
                let query = embedded.vector(text);
                let mut scored: Vec<(f64, usize)> = documents
                    .iter()
                    .enumerate()
                    // As in BEIR, a query that is itself in the corpus is no answer.
                    .filter(|(row, _)| self.documents[*row].0 != *id)
                    .map(|(row, document)| (compare(similarity, query, document), row))
                    .collect();
                scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                scored.into_iter().take(depth).map(|(_, row)| row).collect()
            })
            .collect();
        let mean = |figure: &Figure| {
            let sum: f64 =
                hits.iter().zip(&self.relevant).map(|(hits, relevant)| figure(hits, relevant)).sum();
            sum / self.queries.len().max(1) as f64
        };
        Ok(RetrievalResult {
            queries: self.queries.len(),
            documents: self.documents.len(),
            ndcg_at_10: mean(&|hits, relevant| ndcg(hits, relevant, 10)),
            recall_at: ks.iter().map(|k| (*k, mean(&|hits, relevant| recall(hits, relevant, *k)))).collect(),
            mrr_at_10: mean(&|hits, relevant| reciprocal_rank(hits, relevant, 10)),
            truncated: embedded.truncated,
        })
    }
}

/// A figure of one query, from its hits and the grades of its relevant documents.
type Figure<'a> = dyn Fn(&[usize], &HashMap<usize, u32>) -> f64 + 'a;

fn read_lines(path: &Path) -> Result<Vec<Line>> {
    let io = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut lines = Vec::new();
    for (number, line) in BufReader::new(File::open(path).map_err(io)?).lines().enumerate() {
        let line = line.map_err(io)?;
        if !line.trim().is_empty() {
            lines.push(serde_json::from_str(&line).map_err(|error| Error::Table {
                path: path.to_owned(),
                line: number + 1,
                reason: format!("not an object with _id and text: {error}"),
            })?);
        }
    }
    Ok(lines)
}

/// The sum of each hit's gain divided by the logarithm of its rank, divided by the greatest possible sum (Järvelin &
/// Kekäläinen 2002).
fn ndcg(hits: &[usize], relevant: &HashMap<usize, u32>, k: usize) -> f64 {
    let sum = |gains: &mut dyn Iterator<Item = u32>| -> f64 {
        gains.take(k).enumerate().map(|(place, gain)| f64::from(gain) / (place as f64 + 2.0).log2()).sum()
    };
    let mut best: Vec<u32> = relevant.values().copied().collect();
    best.sort_unstable_by(|a, b| b.cmp(a));
    let most = sum(&mut best.into_iter());
    if most > 0.0 {
        sum(&mut hits.iter().map(|hit| relevant.get(hit).copied().unwrap_or(0))) / most
    } else {
        0.0
    }
}

fn recall(hits: &[usize], relevant: &HashMap<usize, u32>, k: usize) -> f64 {
    let found = hits.iter().take(k).filter(|hit| relevant.contains_key(hit)).count();
    found as f64 / relevant.len().max(1) as f64
}

fn reciprocal_rank(hits: &[usize], relevant: &HashMap<usize, u32>, k: usize) -> f64 {
    let place = hits.iter().take(k).position(|hit| relevant.contains_key(hit));
    place.map_or(0.0, |place| 1.0 / (place as f64 + 1.0))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use akin_kernels::Embeddings;

    use super::*;

    #[test]
    fn figures_are_those_of_the_definitions() {
        let relevant = HashMap::from([(7, 2), (8, 1)]);
        // 1 / log2(3) + 2 / log2(4), of 2 / log2(2) + 1 / log2(3).
        let expected = (1.0 / 3f64.log2() + 1.0) / (2.0 + 1.0 / 3f64.log2());
        assert!((ndcg(&[1, 8, 7], &relevant, 10) - expected).abs() < 1e-12);
        assert_eq!(ndcg(&[1, 8, 7], &relevant, 1), 0.0);
        assert_eq!(recall(&[1, 8, 7], &relevant, 2), 0.5);
        assert_eq!(reciprocal_rank(&[1, 8, 7], &relevant, 10), 0.5);
        assert_eq!(reciprocal_rank(&[1, 2], &relevant, 10), 0.0);
    }

    /// Each text is the direction of its length.
    struct Clock;
    impl Embedder for Clock {
        fn dimension(&self) -> usize {
            2
        }
        fn embed(&self, texts: &[&str]) -> Result<(Embeddings, usize)> {
            let values = texts.iter().flat_map(|text| {
                let angle = text.len() as f32 * 0.1;
                [angle.cos(), angle.sin()]
            });
            Ok((Embeddings::from_values(2, values.collect()), 0))
        }
    }

    fn write(folder: &Path, qrels: &str) {
        fs::create_dir_all(folder.join("qrels")).unwrap();
        let corpus = "{\"_id\":\"a\",\"title\":\"\",\"text\":\"1234\"}\n{\"_id\":\"b\",\"title\":\"12\",\"text\":\"34567\"}\n{\"_id\":\"c\",\"text\":\"1\"}\n";
        fs::write(folder.join("corpus.jsonl"), corpus).unwrap();
        fs::write(
            folder.join("queries.jsonl"),
            "{\"_id\":\"q\",\"text\":\"12345\"}\n{\"_id\":\"c\",\"text\":\"1\"}\n",
        )
        .unwrap();
        fs::write(folder.join("qrels/test.tsv"), format!("query-id\tcorpus-id\tscore\n{qrels}")).unwrap();
    }

    #[test]
    fn a_set_is_read_and_the_nearest_documents_are_found() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "q\tb\t1\nc\ta\t2\nc\tb\t0\n");
        let set = RetrievalSet::read(folder.path(), "test").unwrap();
        let result = set.evaluate(&Clock, &[1, 2], &mut |_, _| {}).unwrap();
        // Query q (5) finds a (4), then b (8); query c (1) is not its own answer and finds a (4).
        assert_eq!((result.queries, result.documents), (2, 3));
        assert_eq!(result.recall_at, [(1, 0.5), (2, 1.0)]);
        assert!((result.mrr_at_10 - 0.75).abs() < 1e-12);
        assert!((result.ndcg_at_10 - (1.0 + 1.0 / 3f64.log2()) / 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_judged_document_that_is_not_there_is_one_that_is_never_found() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "q\tgone\t1\nq\ta\t1\nc\tgone\t1\n");
        let set = RetrievalSet::read(folder.path(), "test").unwrap();
        let result = set.evaluate(&Clock, &[3], &mut |_, _| {}).unwrap();
        // Query q finds the one of its two documents that there is, query c nothing.
        assert_eq!((set.missing, result.queries, &result.recall_at[..]), (1, 2, &[(3, 0.25)][..]));
    }

    #[test]
    fn a_judgement_of_what_is_not_there_is_refused_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        for (qrels, fault) in [("y\ta\t1\n", "query \"y\""), ("q\ta\tz\n", "\"z\"")] {
            write(folder.path(), qrels);
            let error = RetrievalSet::read(folder.path(), "test").unwrap_err().to_string();
            assert!(error.contains("test.tsv:2: ") && error.contains(fault), "{error}");
        }
    }
}
