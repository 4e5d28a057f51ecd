//! Evaluates retrieval on data sets in BEIR's form (Thakur et al. 2021).

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Deserialize;

use crate::embedder::{Embedded, Embedder};
use crate::ranking::{Grades, average_precision, ndcg, recall, reciprocal_rank};
use crate::significance;
use crate::similarity::compare;
use crate::table::read_table;
use crate::{Error, Result};

/// Hits that are ranked at least: MAP counts them all.
const DEPTH: usize = 100;

/// A corpus, queries, and the documents that are relevant for each query.
#[derive(Debug, Clone)]
pub struct RetrievalSet {
    /// Id and text of each document.
    documents: Vec<(String, String)>,
    /// Id and text of each query that has a relevant document.
    queries: Vec<(String, String)>,
    /// For each query the rows of its relevant documents, with how relevant each is. Documents that the corpus lacks have
    /// rows beyond its last.
    relevant: Vec<Grades>,
    missing: Vec<Missing>,
}

/// A judgement of a document that the corpus lacks. It counts as a relevant document that is never found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The id of the query.
    pub query: String,
    /// The id of the document.
    pub document: String,
}

/// How well relevant documents are found.
#[derive(Debug, Clone, PartialEq)]
pub struct RetrievalResult {
    /// How many queries there are.
    pub queries: usize,
    /// How many documents there are.
    pub documents: usize,
    /// nDCG@10, MRR@10, the recall of each k, and MAP.
    pub figures: Vec<Figure>,
    /// Texts longer than the model reads, whose end was left out.
    pub truncated: usize,
}

/// A figure of each query.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its name as evaluations write it: `nDCG@10`.
    pub name: String,
    /// Its value for each query of the set, in their order.
    pub values: Vec<f64>,
}

impl Figure {
    /// The mean over the queries.
    pub fn mean(&self) -> f64 {
        significance::mean(&self.values)
    }
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
    /// [`Error::Io`] and [`Error::Table`] with the line at fault; a judgement of a query that is not there is refused. Those
    /// of a document that is not there are [`missing`](Self::missing).
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
        let mut rows: HashMap<String, usize> =
            documents.iter().enumerate().map(|(row, (id, _))| (id.clone(), row)).collect();
        let mut missing = Vec::new();
        let path: PathBuf = folder.join("qrels").join(format!("{split}.tsv"));
        let mut judged: BTreeMap<String, HashMap<usize, u32>> = BTreeMap::new();
        let judgements =
            read_table(&path, ["query-id", "corpus-id", "score"], |[query, document, score]| {
                if !texts.contains_key(query) {
                    return Err(format!("queries.jsonl has no query {query:?}"));
                }
                let score: i64 =
                    score.trim().parse().map_err(|_| format!("the score {score:?} is not a whole number"))?;
                Ok((query.to_owned(), document.to_owned(), u32::try_from(score.max(0)).unwrap_or(u32::MAX)))
            })?;
        for (query, document, score) in judgements.into_iter().filter(|(_, _, score)| *score > 0) {
            let next = rows.len();
            let row = *rows.entry(document.clone()).or_insert(next);
            if row >= documents.len() {
                missing.push(Missing { query: query.clone(), document });
            }
            judged.entry(query).or_default().insert(row, score);
        }
        let (ids, relevant): (Vec<String>, Vec<_>) = judged.into_iter().unzip();
        let queries =
            ids.into_iter().map(|id| (texts[&id].clone(), id)).map(|(text, id)| (id, text)).collect();
        Ok(Self { documents, queries, relevant, missing })
    }

    /// The id and text of each document. Its title is the beginning of its text.
    pub fn documents(&self) -> &[(String, String)] {
        &self.documents
    }

    /// The id and text of each query that has a relevant document.
    pub fn queries(&self) -> &[(String, String)] {
        &self.queries
    }

    /// The judgements of documents that the corpus lacks.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// How many hits a query needs for [`RetrievalSet::judge`] with these `ks`.
    pub fn depth(ks: &[usize]) -> usize {
        // One more, for a query that finds itself.
        ks.iter().copied().max().unwrap_or(0).max(DEPTH) + 1
    }

    /// The figures of hits that were found elsewhere: for each query the ids of documents, best first. As in BEIR, a query
    /// that is itself in the corpus is no answer.
    pub fn judge(&self, found: &[Vec<String>], ks: &[usize]) -> RetrievalResult {
        let rows: HashMap<&str, usize> =
            self.documents.iter().enumerate().map(|(row, (id, _))| (id.as_str(), row)).collect();
        let hits = found.iter().zip(&self.queries).map(|(found, (query, _))| {
            let answers = found.iter().filter(|id| *id != query);
            // What is not in the corpus takes its place, and is not relevant.
            answers.map(|id| rows.get(id.as_str()).copied().unwrap_or(usize::MAX)).collect()
        });
        self.figures(&hits.collect::<Vec<_>>(), ks)
    }

    fn figures(&self, hits: &[Vec<usize>], ks: &[usize]) -> RetrievalResult {
        let figure = |name: String, of: &dyn Fn(&[usize], &Grades) -> f64| {
            let values = hits.iter().zip(&self.relevant).map(|(hits, grades)| of(hits, grades)).collect();
            Figure { name, values }
        };
        let mut figures = vec![
            figure("nDCG@10".into(), &|hits, grades| ndcg(hits, grades, 10)),
            figure("MRR@10".into(), &|hits, grades| reciprocal_rank(hits, grades, 10)),
        ];
        figures.extend(
            ks.iter().map(|k| figure(format!("recall@{k}"), &|hits, grades| recall(hits, grades, *k))),
        );
        figures.push(figure(format!("MAP@{DEPTH}"), &|hits, grades| average_precision(hits, grades, DEPTH)));
        let (queries, documents) = (self.queries.len(), self.documents.len());
        RetrievalResult { queries, documents, figures, truncated: 0 }
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
        let depth = Self::depth(ks);
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
        Ok(RetrievalResult { truncated: embedded.truncated, ..self.figures(&hits, ks) })
    }
}

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

#[cfg(test)]
mod tests {
    use std::fs;

    use akin_kernels::Embeddings;

    use super::*;

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
        let means: Vec<(&str, f64)> =
            result.figures.iter().map(|figure| (figure.name.as_str(), figure.mean())).collect();
        let ndcg = (1.0 + 1.0 / 3f64.log2()) / 2.0;
        let expected =
            [("nDCG@10", ndcg), ("MRR@10", 0.75), ("recall@1", 0.5), ("recall@2", 1.0), ("MAP@100", 0.75)];
        for ((name, mean), (expected_name, expected)) in means.iter().zip(expected) {
            assert!(*name == expected_name && (mean - expected).abs() < 1e-12, "{means:?}");
        }
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        // Queries are in the order of their ids: c, then q.
        let same = set.judge(&[ids(&["c", "a", "b"]), ids(&["a", "b", "gone"])], &[1, 2]);
        assert_eq!(same, RetrievalResult { truncated: 0, ..result });
    }

    #[test]
    fn a_judged_document_that_is_not_there_counts_as_not_found_and_is_told() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "q\tx\t1\nc\ta\t1\nq\ty\t0\n");
        let set = RetrievalSet::read(folder.path(), "test").unwrap();
        assert_eq!(set.missing(), [Missing { query: "q".into(), document: "x".into() }]);
        let result = set.evaluate(&Clock, &[2], &mut |_, _| {}).unwrap();
        assert!(result.figures.iter().all(|figure| figure.values == [1.0, 0.0]), "{result:?}");
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
