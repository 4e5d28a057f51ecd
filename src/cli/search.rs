//! Arguments of the commands that query an index, and of those that compare the documents of a corpus.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use akin_encoder::EncoderOptions;
use akin_index::SearchOptions;
use clap::{Args, ValueEnum};

use super::{ComputeArguments, CorpusArguments, DefaultModel, FormatArguments, QueryPrompt, parse_count};

#[derive(Debug, Args)]
#[command(after_help = "\
Scores are cosine similarities, best first. Without TEXT, `query` opens a session on a terminal and \
otherwise reads a query a line from stdin; every line is answered in order, a blank one with no hits.

A filter is an expression about metadata: FIELD = VALUE, !=, <, <=, >, >=, FIELD in (VALUE, ...), joined by \
and, or, not and parentheses. Put fields and values with spaces in quotes. Numbers compare as numbers, all \
else and what is quoted as text; of a list one element is enough; what is missing fits only != and not. As \
many hits come back as documents fit, up to -k.

Examples:
  akin query notes \"fear of heights\"
  akin query notes \"fear of heights\" -k 3 --json | jq -r '.hits[].id'
  akin query words \"fear of heights\" --filter \"part = noun\"
  akin query papers bridges --filter \"year >= 1990 and tags not in (draft, 'to do')\"
  akin query notes < questions.txt
  akin query notes")]
pub struct QueryArguments {
    /// The folder of the index
    pub index: PathBuf,
    /// What to look for
    pub text: Option<String>,
    #[command(flatten)]
    pub search: SearchArguments,
    #[command(flatten)]
    pub model: QueryModel,
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
  akin batch papers questions.txt --filter \"year in (2001, 2002)\"
  generate-questions | akin batch notes -")]
pub struct BatchArguments {
    /// The folder of the index
    pub index: PathBuf,
    /// The file of queries, or - for stdin
    pub queries: PathBuf,
    #[command(flatten)]
    pub format: FormatArguments,
    #[command(flatten)]
    pub search: SearchArguments,
    #[command(flatten)]
    pub model: QueryModel,
    /// The file for the answers, complete or not there at all [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Scores are cosine similarities, best first. Up to 100,000 documents every pair is compared; of more, each
document with the 32 nearest that a graph finds. With --json each line is a pair:
{\"score\":...,\"first\":{\"id\":...,\"text\":...},\"second\":{...}}

Examples:
  akin pairs notes.txt
  akin pairs questions.jsonl --top 1000 --threshold 0.9 --json > duplicates.jsonl")]
pub struct PairsArguments {
    #[command(flatten)]
    pub corpus: CorpusArguments,
    /// How many pairs to show at most
    #[arg(long, value_name = "N", default_value = "100", value_parser = parse_count)]
    pub top: NonZeroUsize,
    /// The least similarity of a pair, from -1 to 1
    #[arg(long, value_name = "S", default_value = "-1", allow_negative_numbers = true)]
    pub threshold: f32,
    #[command(flatten)]
    pub model: DefaultModel,
    #[command(flatten)]
    pub compute: ComputeArguments,
    /// Print a JSON line a pair
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Two documents are linked if their cosine similarity is at least --threshold. A group is all documents that are
linked to each other, directly or through others. Its first document, in the order of the corpus, is kept.
Up to 100,000 documents every pair is compared; of more, exact copies, and each document with the 32 nearest
that a graph finds. With --json
each line is a group: {\"kept\":{\"id\":...,\"text\":...},\"duplicates\":[{\"id\":...,\"text\":...,\"score\":...,\"link\":...}]}
with the similarity to the kept one (score) and to the most similar of the group (link).

Examples:
  akin dedup notes.txt
  akin dedup questions.jsonl --threshold 0.9 --json | jq -r '.duplicates[].id'
  akin dedup questions.jsonl --unique unique.jsonl --output groups.jsonl")]
pub struct DedupArguments {
    #[command(flatten)]
    pub corpus: CorpusArguments,
    /// The similarity from which on two documents are duplicates, from -1 to 1
    #[arg(long, value_name = "S", default_value = "0.95", allow_negative_numbers = true)]
    pub threshold: f32,
    /// The file for the corpus without the duplicates, as JSON lines; - for stdout, without the groups
    #[arg(long, value_name = "FILE")]
    pub unique: Option<PathBuf>,
    /// The file for the groups, as JSON lines, complete or not there at all [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub model: DefaultModel,
    #[command(flatten)]
    pub compute: ComputeArguments,
    /// Print a JSON line a group
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
k-means takes any number of documents: it goes on until no document changes its cluster, the mean similarity to
the centers gets better by less than 0.00001, or after 100 rounds (--verbose shows them). Agglomerative
clustering, with average linkage, takes up to 16,384: it joins the two clusters whose documents are most
similar on average until --clusters are left or no two have --threshold. Both give the same clusters every
time. Clusters are numbered from the largest on. With --json each line is a document:
{\"id\":...,\"cluster\":0,\"score\":...} with its similarity to the center.

Examples:
  akin cluster questions.txt --clusters 20
  akin cluster questions.jsonl --clusters 100 --seed 7 --output clusters.jsonl
  akin cluster notes.txt --method agglomerative --threshold 0.6")]
pub struct ClusterArguments {
    #[command(flatten)]
    pub corpus: CorpusArguments,
    /// How many clusters to make
    #[arg(long, value_name = "K", value_parser = parse_count)]
    pub clusters: Option<NonZeroUsize>,
    /// How to find them
    #[arg(long, value_enum, default_value_t, value_name = "METHOD")]
    pub method: ClusterMethod,
    /// For agglomerative: the least mean similarity of clusters that are joined, from -1 to 1
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub threshold: Option<f32>,
    /// For kmeans: another number begins with other centers
    #[arg(long, value_name = "N", default_value = "1")]
    pub seed: u64,
    /// How many texts of each cluster to print, the most central first
    #[arg(long, value_name = "N", default_value = "5")]
    pub show: usize,
    /// The file for the clusters, as JSON lines, complete or not there at all [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub model: DefaultModel,
    #[command(flatten)]
    pub compute: ComputeArguments,
    /// Print a JSON line a document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ClusterMethod {
    #[default]
    Kmeans,
    Agglomerative,
}

#[derive(Debug, Args)]
#[command(after_help = "\
First the true nearest documents of each query are found by comparing it with every document; recall is
the share of them that a search finds. Then, for each ef, the queries are asked for a second. They are
searched as `akin query` searches, without reading the texts of what is found, on one thread unless
--threads says otherwise.

Examples:
  akin encode questions.txt --output questions.npy
  akin bench notes --vectors questions.npy
  akin bench papers --vectors questions.npy --filter \"year > 2000\"
  akin bench notes --vectors questions.npy -k 100 --ef 100,200,400 --json | jq .recall")]
pub struct BenchArguments {
    /// The folder of the index
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

/// How to search.
#[derive(Debug, Args)]
pub struct SearchArguments {
    /// How many hits to show at most
    #[arg(short, value_name = "N", default_value = "10", value_parser = parse_count)]
    pub k: NonZeroUsize,
    /// Compare with every document: slower, and finds the true nearest
    #[arg(long)]
    pub exact: bool,
    /// Search only among documents whose metadata fit, as in "part = noun and year > 1990" (see akin help query)
    #[arg(long, value_name = "EXPR")]
    pub filter: Option<String>,
    /// How many candidates the walk through a graph keeps: more finds more and takes longer
    #[arg(long, value_name = "N", value_parser = parse_count, conflicts_with = "exact")]
    pub ef: Option<NonZeroUsize>,
}

impl SearchArguments {
    /// The same for the index.
    pub fn options(&self) -> SearchOptions {
        SearchOptions { k: self.k.get(), ef: self.ef.map(NonZeroUsize::get), exact: self.exact, among: None }
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
