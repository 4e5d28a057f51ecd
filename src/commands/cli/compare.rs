//! Arguments of the commands that compare documents with each other.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use akin_indexer::corpus::CorpusOptions;
use clap::{Args, ValueEnum};

use super::{ComputeArguments, FormatArguments, parse_count};

/// The documents that are compared with each other.
#[derive(Debug, Args)]
pub struct ComparedArguments {
    /// The folder of an index; or files of documents, or - for stdin
    #[arg(required = true, value_name = "INDEX|CORPUS")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub format: FormatArguments,
    /// The field with the id of a document, in jsonl, csv and tsv
    #[arg(long, value_name = "NAME", default_value = "id")]
    pub id_field: String,
    /// Directory or hub id of a sentence-transformers model, for a corpus [default: that of AKIN_MODEL, else
    /// all-MiniLM-L6-v2]
    // Not by clap's `env`: beside an index, a model that the user names is checked, and that of the environment is not.
    #[arg(long, value_name = "DIR|HUB-ID")]
    pub model: Option<String>,
    #[command(flatten)]
    pub compute: ComputeArguments,
}

impl ComparedArguments {
    /// The options of the corpus reader.
    pub fn corpus_options(&self) -> CorpusOptions {
        self.format.options(&self.id_field)
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Scores are cosine similarities, best first. Equal texts come first: each copy in a pair with the first document
of its text. Two copies make no pair of their own, and only the first is in pairs with other texts: of a thousand
copies 999 pairs are printed. Up to 100,000 different texts, every pair is compared. Of more, each text is compared
with the 32 nearest that a graph finds, and the share of the true 10 nearest that it finds is measured and printed.
With --json each line is a pair: {\"score\":...,\"first\":{\"id\":...,\"text\":...},\"second\":{...}}

An INDEX is compared by its stored vectors, without a model; a document of several passages by their mean.

Examples:
  akin pairs notes.txt
  akin pairs notes
  akin pairs questions.jsonl --top 1000 --threshold 0.9 --json > duplicates.jsonl")]
pub struct PairsArguments {
    #[command(flatten)]
    pub compared: ComparedArguments,
    /// How many pairs to show at most
    #[arg(long, value_name = "N", default_value = "100", value_parser = parse_count)]
    pub top: NonZeroUsize,
    /// The least similarity of a pair, from -1 to 1
    #[arg(long, value_name = "S", default_value = "-1", allow_negative_numbers = true)]
    pub threshold: f32,
    /// Print a JSON line a pair
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Two documents are linked if their cosine similarity is at least --threshold. A group is all documents that are
linked to each other, directly or through others. Its first document, in the order of the corpus, is kept.
Equal texts are always linked. Up to 100,000 different texts, every pair is compared. Of more, each text is compared
with the 32 nearest that a graph finds, and the share of the true links that it finds is measured and printed. With
--json each line is a group: {\"kept\":{\"id\":...,\"text\":...},\"duplicates\":[{\"id\":...,\"text\":...,\"score\":...,\"link\":...}]}
with the similarity to the kept one (score) and to the most similar of the group (link).

An INDEX is compared by its stored vectors, without a model; a document of several passages by their mean. It stays
as it is: --unique writes its documents without the duplicates.

Examples:
  akin dedup notes.txt
  akin dedup notes --json | jq -r '.duplicates[].id' | xargs akin delete notes
  akin dedup questions.jsonl --threshold 0.9 --json | jq -r '.duplicates[].id'
  akin dedup questions.jsonl --unique unique.jsonl --output groups.jsonl")]
pub struct DedupArguments {
    #[command(flatten)]
    pub compared: ComparedArguments,
    /// The similarity from which on two documents are duplicates, from -1 to 1
    #[arg(long, value_name = "S", default_value = "0.95", allow_negative_numbers = true)]
    pub threshold: f32,
    /// The file for the corpus without the duplicates, as JSON lines; - for stdout, without the groups
    #[arg(long, value_name = "FILE")]
    pub unique: Option<PathBuf>,
    /// The file for the groups, as JSON lines, complete or not there at all [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print a JSON line a group
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
k-means takes any number of documents. It ends when no document changes its cluster, when the mean similarity to
the centers rises by less than 0.00001, or after 100 rounds (--verbose shows them). Agglomerative
clustering, with average linkage, takes up to 16,384: it joins the two clusters whose documents are most
similar on average until --clusters are left or no two have --threshold. Both give the same clusters every
time. Clusters are numbered from the largest on. With --json each line is a document:
{\"id\":...,\"cluster\":0,\"score\":...} with its similarity to the center.

An INDEX is grouped by its stored vectors, without a model; a document of several passages by their mean.

Examples:
  akin cluster questions.txt --clusters 20
  akin cluster notes --clusters 20
  akin cluster questions.jsonl --clusters 100 --seed 7 --output clusters.jsonl
  akin cluster notes.txt --method agglomerative --threshold 0.6")]
pub struct ClusterArguments {
    #[command(flatten)]
    pub compared: ComparedArguments,
    /// How many clusters to make
    #[arg(long, value_name = "K", value_parser = parse_count)]
    pub clusters: Option<NonZeroUsize>,
    /// The method of clustering
    #[arg(long, value_enum, default_value_t, value_name = "METHOD")]
    pub method: ClusterMethod,
    /// For agglomerative: the least mean similarity of clusters that are joined, from -1 to 1
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub threshold: Option<f32>,
    /// For kmeans: the seed of the random numbers that choose the first centers
    #[arg(long, value_name = "N", default_value = "1")]
    pub seed: u64,
    /// How many texts of each cluster to print, the most central first
    #[arg(long, value_name = "N", default_value = "5")]
    pub show: usize,
    /// The file for the clusters, as JSON lines, complete or not there at all [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
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
