//! Arguments of the commands that query an index.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use akin_encoder::EncoderOptions;
use akin_index::SearchOptions;
use akin_query::rerank::DEFAULT_DEPTH;
use akin_query::{AskOptions, Mode};
use clap::Args;

use super::{ComputeArguments, FormatArguments, QueryPrompt, parse_count};

#[derive(Debug, Args)]
#[command(after_help = "\
Hits come best first. Their scores are similarities as the model compares texts, mostly cosines, weighed with how well the \
words fit, on the same scale; those of --mode semantic are similarities alone, those of --mode keyword BM25's. With --rerank they \
are those of the model that ranks, with --rerank-weight the sums. Without TEXT, `query` opens a session on a terminal and \
otherwise reads a query a line from stdin; every line is answered in order, a blank one with no hits.

A filter is an expression about metadata: FIELD = VALUE, !=, <, <=, >, >=, FIELD in (VALUE, ...), joined by \
and, or, not and parentheses. Put fields and values with spaces in quotes. Numbers are compared as numbers, \
everything else and what is quoted as text. Dates (2024-05-01, 2024-05, 2024-05-01T10:30Z) are \
compared as times. A list fits if one of its elements does. author.name is a field of an object. A missing field fits only != \
and not. As many hits come back as documents fit, up to -k.

With --mode keyword or --mode hybrid, TEXT is words, any of which is enough; '\"exact phrases\"', which must be there; auto* \
for all words that begin so; and -snake or '-\"two words\"' for what must not be there. Case, accents and endings of \
words do not matter. Without --mode these marks mean nothing: documents are found by meaning and by words, and what \
each counts is told from their scores. Put -- before a TEXT that begins with a hyphen.

With --rerank the best hits, 50 of them or --rerank-depth, are ranked again by a model that knows more: a \
cross-encoder of BERT's family, DeBERTa or ModernBERT, which reads the query and each passage together, or a sentence encoder larger than that of the index. --precision int8 \
is the fastest. A sentence encoder, and a cross-encoder that learned from little data, order better together with the search than \
alone: --rerank-weight 1 for the one, 0.3 for the other.

In a table of PostgreSQL words are read as its text configuration says (--engine-option of `akin index`); their scores are counts by \
ts_rank times rarity, not BM25's, and whether the model is to be trusted beside words is not estimated there. A table that keeps no \
words is searched by meaning alone. In a collection of Milvus words are those of an index, stemmed as its text_config says, and \
ranked by the server's BM25; one that was made without words, or before Milvus 2.5, is searched by meaning alone.

An index in a bucket (s3://BUCKET/PREFIX, which `akin copy` puts there) is read from a copy of its files in the user's cache; each command \
asks for the newest commit first and fetches only what is new (see akin help copy).

While `akin serve` runs for the index, a TEXT is answered by it: the model is loaded there already. The answer is the same, and \
without an answer within two seconds, or with a --model or --rerank, the query is answered without it. --no-server never asks it.

Examples:
  akin query notes \"fear of heights\"
  akin query notes --mode keyword 'python \"exit code\" -snake'
  akin query notes --mode semantic \"fear of heights\"
  akin query notes \"fear of heights\" -k 3 --json | jq -r '.hits[].id'
  akin query words \"fear of heights\" --filter \"part = noun\"
  akin query notes \"fear of heights\" --rerank cross-encoder/ms-marco-MiniLM-L6-v2 --precision int8
  akin query notes \"fear of heights\" --rerank all-mpnet-base-v2 --rerank-weight 1 --rerank-depth 20 --precision int8
  akin query papers bridges --filter \"year >= 1990 and tags not in (draft, 'to do')\"
  akin query papers bridges --filter \"date > 2024-05\" --facet author.name
  akin query notes --like note-17 --unlike note-3
  akin query s3://backups/notes \"fear of heights\"
  akin query notes < questions.txt
  akin query notes")]
pub struct QueryArguments {
    /// The folder of the index, postgres://USER@HOST:PORT/DATABASE/TABLE, milvus://HOST:PORT/COLLECTION, or s3://BUCKET/PREFIX
    pub index: PathBuf,
    /// What to look for
    pub text: Option<String>,
    #[command(flatten)]
    pub search: SearchArguments,
    #[command(flatten)]
    pub rerank: RerankArguments,
    #[command(flatten)]
    pub model: QueryModel,
    /// Do not ask a running `akin serve` of the index, which has the model loaded
    #[arg(long)]
    pub no_server: bool,
    /// Print a JSON line a query instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Line n of the output answers query n; a blank query is answered with no hits. A million queries take \
no more memory than a thousand. In jsonl, csv and tsv the query is the field named by --text-field.

Examples:
  akin batch notes questions.txt --output hits.jsonl
  akin batch notes questions.csv --text-field question -k 3
  akin batch notes questions.txt --mode keyword
  akin batch notes questions.txt --mode hybrid --rerank my-reranker --rerank-depth 100
  akin batch papers questions.txt --filter \"year in (2001, 2002)\"
  generate-questions | akin batch notes -")]
pub struct BatchArguments {
    /// The folder of the index, postgres://USER@HOST:PORT/DATABASE/TABLE, milvus://HOST:PORT/COLLECTION, or s3://BUCKET/PREFIX
    pub index: PathBuf,
    /// The file of queries, or - for stdin
    pub queries: PathBuf,
    #[command(flatten)]
    pub format: FormatArguments,
    #[command(flatten)]
    pub search: SearchArguments,
    #[command(flatten)]
    pub rerank: RerankArguments,
    #[command(flatten)]
    pub model: QueryModel,
    /// The file for the answers, complete or not there at all [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
First the true nearest documents of each query are found by comparing it with every document. Recall is the share
of them that a search finds; a document as near as the last of them counts as one of them. The mean over all queries
is printed with the 1st and the 10th percentile: one query of a hundred, or of ten, has less. Then, for each ef, the
queries are repeated for a second. The search is that of `akin query`, without reading the texts of the hits, on one
thread unless --threads says otherwise.

Examples:
  akin encode questions.txt --output questions.npy
  akin bench notes --vectors questions.npy
  akin bench papers --vectors questions.npy --filter \"year > 2000\"
  akin bench notes --vectors questions.npy -k 100 --ef 100,200,400 --json | jq .recall")]
pub struct BenchArguments {
    /// The folder of the index, or s3://BUCKET/PREFIX
    pub index: PathBuf,
    /// The queries: a NumPy file of a matrix of floats, one query in each row
    #[arg(long, value_name = "FILE")]
    pub vectors: PathBuf,
    /// Search only among documents whose metadata fit, as `akin query` does
    #[arg(long, value_name = "EXPR")]
    pub filter: Option<String>,
    /// How many neighbors to look for
    #[arg(short, value_name = "N", default_value = "10", value_parser = parse_count)]
    pub k: NonZeroUsize,
    /// How many candidates the walk through a graph keeps
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "16,32,64,128,256", value_parser = parse_count)]
    pub ef: Vec<NonZeroUsize>,
    /// Print a JSON line an ef instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Prints id, fields and text. With --json a line a document: {\"id\":…,\"text\":…,\"metadata\":{…}}, with the first byte of each \
passage and the one after its last in \"passages\" where it has several.

Examples:
  akin show notes alps.md
  akin query notes \"fear of heights\" -k 1 --json | jq -r '.hits[].id' | xargs akin show notes")]
pub struct ShowArguments {
    /// The folder of the index, or s3://BUCKET/PREFIX
    pub index: PathBuf,
    /// The ids of the documents
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
    /// Print a JSON line a document
    #[arg(long)]
    pub json: bool,
}

/// How to search.
#[derive(Debug, Args)]
pub struct SearchArguments {
    /// How many hits to show at most
    #[arg(short, value_name = "N", default_value = "10", value_parser = parse_count)]
    pub k: NonZeroUsize,
    /// Compare with every document: slower, and finds the true nearest
    #[arg(long)]
    pub exact: bool,
    /// Find documents by meaning, by their words (BM25, without the model), or by both [default: both, if the index has
    /// words and compares by cosine, else meaning]
    #[arg(long, value_enum, value_name = "MODE")]
    pub mode: Option<ModeArgument>,
    /// Search only among documents whose metadata fit, as in "part = noun and year > 1990" (see akin help query)
    #[arg(long, value_name = "EXPR")]
    pub filter: Option<String>,
    /// How many candidates the walk through a graph keeps: more finds more and takes longer
    #[arg(long, value_name = "N", value_parser = parse_count, conflicts_with = "exact")]
    pub ef: Option<NonZeroUsize>,
    /// Pass over this many of the best hits
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub offset: usize,
    /// Leave out hits of a lower score
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = parse_score)]
    pub min_score: Option<f32>,
    /// Find what is like the document of this id, beside the text or without one; may be given more than once
    #[arg(long, value_name = "ID")]
    pub like: Vec<String>,
    /// Find what is unlike the document of this id; may be given more than once
    #[arg(long, value_name = "ID")]
    pub unlike: Vec<String>,
    /// Prefer hits that say something else than better ones do
    #[arg(long)]
    pub diverse: bool,
    /// Show this many passages of each document, best first
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_count)]
    pub per_document: NonZeroUsize,
    /// Count the values of a field among the 1,000 best hits, and not among all documents; may be given more than once
    #[arg(long, value_name = "FIELD")]
    pub facet: Vec<String>,
}

impl SearchArguments {
    /// The same for a searcher.
    pub fn options(&self) -> AskOptions {
        let (k, ef) = (self.k.get(), self.ef.map(NonZeroUsize::get));
        AskOptions {
            search: SearchOptions { k, ef, exact: self.exact, among: None },
            offset: self.offset,
            min_score: self.min_score,
            diverse: self.diverse,
            per_document: self.per_document.get(),
            facets: self.facet.clone(),
            like: self.like.clone(),
            unlike: self.unlike.clone(),
        }
    }

    /// The mode that was named.
    pub fn mode(&self) -> Option<Mode> {
        self.mode.map(Mode::from)
    }
}

fn parse_score(text: &str) -> Result<f32, String> {
    let score = text.parse().ok().filter(|score: &f32| score.is_finite());
    score.ok_or_else(|| "a score is a number, as in 0.5".to_owned())
}

/// The model that ranks hits again.
#[derive(Debug, Args)]
pub struct RerankArguments {
    /// Rank the best hits again by a cross-encoder, which reads query and passage together, or by a larger sentence encoder; its
    /// directory or hub id
    #[arg(id = "rerank", long, value_name = "DIR|HUB-ID")]
    pub model: Option<String>,
    /// How many hits it ranks: more finds more and takes longer
    #[arg(
        long = "rerank-depth", value_name = "N", default_value_t = DEPTH, requires = "rerank", value_parser = parse_count)]
    pub depth: NonZeroUsize,
    /// Add its scores, this many times, to those of the search, each standardised, as in 0.3 [default: its scores alone]
    #[arg(long = "rerank-weight", value_name = "W", requires = "rerank", value_parser = parse_weight)]
    pub weight: Option<f32>,
}

/// Reads the weight of a model that ranks again.
fn parse_weight(text: &str) -> Result<f32, String> {
    let weight = text.parse().ok().filter(|weight: &f32| (0.0..=1000.0).contains(weight));
    weight.ok_or_else(|| "a number from 0 to 1000 is expected".into())
}

const DEPTH: NonZeroUsize = NonZeroUsize::new(DEFAULT_DEPTH).expect("it is above 0");

/// By what documents are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ModeArgument {
    Semantic,
    Keyword,
    Hybrid,
}

impl From<ModeArgument> for Mode {
    fn from(mode: ModeArgument) -> Self {
        match mode {
            ModeArgument::Semantic => Self::Semantic,
            ModeArgument::Keyword => Self::Keyword,
            ModeArgument::Hybrid => Self::Hybrid,
        }
    }
}

/// The model of a command that asks an index.
#[derive(Debug, Args)]
pub struct QueryModel {
    /// Directory or hub id of the model the index was built with [default: where it was then]
    #[arg(long, value_name = "DIR|HUB-ID")]
    pub model: Option<String>,
    #[command(flatten)]
    prompt: QueryPrompt,
    #[command(flatten)]
    compute: ComputeArguments,
}

impl QueryModel {
    /// The options of its encoder.
    pub fn options(&self) -> EncoderOptions {
        self.prompt.with(self.compute.options())
    }
}
