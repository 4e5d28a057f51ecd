//! The command line: what can be said, and how it is explained.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use akin_engine::encoder::{EncoderOptions, Executor, Pooling, Precision};
use akin_engine::index::SearchOptions;
use akin_indexer::corpus::{CorpusOptions, Format};
use akin_trainer::objective::Concatenation;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Finds the sentences that mean the same: semantic search with a persistent index
#[derive(Debug, Parser)]
#[command(
    name = "akin",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  akin index notes notes.txt           index a file, a document a line
  akin query notes \"fear of heights\"   find what means the same
  akin query notes                     open a session

`akin help COMMAND` explains a command and gives examples of it."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalOptions,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
pub struct GlobalOptions {
    /// Say nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Global options")]
    pub quiet: bool,
    /// Say what is being done and where the time goes
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub verbose: bool,
    /// How many threads may work at once [default: one a processor]
    #[arg(long, global = true, value_name = "N", value_parser = parse_count, help_heading = "Global options")]
    pub threads: Option<NonZeroUsize>,
    /// When to use colour; `auto` means on a terminal, unless NO_COLOR is set
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        help_heading = "Global options"
    )]
    pub color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add documents to an index, or begin one
    Index(IndexArguments),
    /// Find the documents that mean what a text means
    Query(QueryArguments),
    /// Answer a file of queries, a JSON line each
    Batch(BatchArguments),
    /// Find the most similar pairs of a corpus
    Pairs(PairsArguments),
    /// Measure recall and speed of an index, to choose an `ef`
    Bench(BenchArguments),
    /// Make an index of vectors that are already there
    Import(ImportArguments),
    /// Write the vectors and documents of an index to files
    Export(ExportArguments),
    /// Write the embeddings of a corpus to a NumPy file
    Encode(EncodeArguments),
    /// Delete documents from an index by their ids
    Delete(DeleteArguments),
    /// Print the figures of an index
    Stat(StatArguments),
    /// Check every byte of an index
    Verify(VerifyArguments),
    /// Train a model, or go on training one
    Train(Box<TrainArguments>),
    /// Evaluate a model
    Eval(EvalArguments),
    /// Print completions for a shell
    Completions(CompletionsArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Plain text is a document a line, with the id FILE:LINE. In jsonl, csv and tsv each document has an id \
and a text; its other fields are kept as metadata. Files that are compressed with gzip or zstd are \
read as they are.

A document whose id is in the index replaces the one there; one that has not changed is skipped. So \
an interrupted run is resumed by running the same command again, and whatever was committed before a \
crash stays.

Examples:
  akin index notes notes.txt
  akin index papers papers.jsonl.zst --id-field doi --text-field abstract
  zcat dump.tsv.gz | akin index dump - --format tsv
  akin index notes notes.txt --model sentence-transformers/all-mpnet-base-v2")]
pub struct IndexArguments {
    /// The folder of the index; it is made if it does not exist
    pub index: PathBuf,
    #[command(flatten)]
    pub corpus: CorpusArguments,
    /// Directory or hub id of a sentence-transformers model [default: the model of the index, else
    /// all-MiniLM-L6-v2]
    #[arg(long, env = "AKIN_MODEL", hide_env_values = true, value_name = "DIR|HUB-ID")]
    pub model: Option<String>,
    #[command(flatten)]
    pub compute: ComputeArguments,
    /// Print a final report to stdout as a JSON line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Scores are cosine similarities, best first. Without TEXT, `query` opens a session on a terminal and \
otherwise reads a query a line from stdin; every line is answered in order, a blank one with no hits.

Examples:
  akin query notes \"fear of heights\"
  akin query notes \"fear of heights\" -k 3 --json | jq -r '.hits[].id'
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
First the true nearest documents of each query are found by comparing it with every document; recall is
the share of them that a search finds. Then, for each ef, the queries are asked for a second. They are
searched as `akin query` searches, without reading the texts of what is found, on one thread unless
--threads says otherwise.

Examples:
  akin encode questions.txt --output questions.npy
  akin bench notes --vectors questions.npy
  akin bench notes --vectors questions.npy -k 100 --ef 100,200,400 --json | jq .recall")]
pub struct BenchArguments {
    /// The folder of the index
    pub index: PathBuf,
    /// The queries: a NumPy file of a float32 matrix, a query a row
    #[arg(long, value_name = "FILE")]
    pub vectors: PathBuf,
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
Row n of the matrix is the vector of document n; without --documents the documents have no text, and
their ids are the numbers of their rows, from 0. Vectors are brought to length one. The index knows their
dimension and no model: it is searched with vectors, by `akin bench` or the library. Importing again adds
documents, or replaces those of the same id.

Examples:
  akin import glosses --vectors glosses.npy
  akin import papers --vectors papers.npy --documents papers.jsonl --id-field doi")]
pub struct ImportArguments {
    /// The folder of the index; it is made if it does not exist
    pub index: PathBuf,
    /// The vectors: a NumPy file of a float32 matrix, a vector a row
    #[arg(long, value_name = "FILE")]
    pub vectors: PathBuf,
    /// The documents that the vectors are of, in the same order
    #[arg(long, value_name = "FILE")]
    pub documents: Option<PathBuf>,
    #[command(flatten)]
    pub format: FormatArguments,
    /// The field with the id of a document, in jsonl, csv and tsv
    #[arg(long, value_name = "NAME", default_value = "id")]
    pub id_field: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Row n of the matrix is the vector of the document on line n: both have all live documents, oldest first.
`akin import` reads them again, and so do numpy.load and any reader of JSON lines.

Examples:
  akin export notes --vectors notes.npy --documents notes.jsonl
  akin export notes --documents - | jq -r .text")]
pub struct ExportArguments {
    /// The folder of the index
    pub index: PathBuf,
    /// The NumPy file for the vectors, complete or not there at all
    #[arg(long, value_name = "FILE", required_unless_present = "documents")]
    pub vectors: Option<PathBuf>,
    /// The file for the documents as JSON lines, complete or not there at all; - for stdout
    #[arg(long, value_name = "FILE")]
    pub documents: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Row n of the matrix is the embedding of document n, float32; numpy.load reads it.

Examples:
  akin encode notes.txt --output notes.npy
  akin encode papers.jsonl --text-field abstract --output papers.npy --executor cpu")]
pub struct EncodeArguments {
    #[command(flatten)]
    pub corpus: CorpusArguments,
    /// The NumPy file for the embeddings, complete or not there at all
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    #[command(flatten)]
    pub model: DefaultModel,
    #[command(flatten)]
    pub precision: PrecisionArguments,
    /// What computes the network: our kernels, or the reference, burn [default: cpu]
    #[arg(long, value_enum, value_name = "NAME")]
    pub executor: Option<ExecutorName>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
An id that is not in the index is mentioned and is no error: running the command twice does no harm.

Examples:
  akin delete notes notes.txt:17
  akin delete notes old-1 old-2")]
pub struct DeleteArguments {
    /// The folder of the index
    pub index: PathBuf,
    /// The ids of the documents
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  akin stat notes
  akin stat notes --json | jq .documents")]
pub struct StatArguments {
    /// The folder of the index
    pub index: PathBuf,
    /// Print one JSON line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Reads all of the index and compares every checksum. The first fault is printed and the exit code is 2.

Example:
  akin verify notes && cp -r notes backup/")]
pub struct VerifyArguments {
    /// The folder of the index
    pub index: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Files are tab-separated without quoting; the header names the columns. regression and cross-encoder \
learn from score, sentence1, sentence2; classification from label, sentence1, sentence2; triplet from \
anchor, positive, negative. The development set is scored after each epoch, or every N steps: by \
Spearman's correlation where it has scores, by accuracy where it has labels or triplets. The model with \
the best score is kept.

The output is a sentence-transformers directory that Akin and Python read (for cross-encoder: one that \
Python's CrossEncoder reads), with the course of the run in loss.csv and loss.svg.

Examples:
  akin train --objective regression --base all-MiniLM-L6-v2 --train stsb/train.tsv --dev stsb/dev.tsv --output tuned
  akin train --objective classification --concatenation u,v,diff --base bert-base --train nli.tsv --dev stsb/dev.tsv --output nli
  akin train --objective triplet --base nli --train sections.tsv --output sections --epochs 2 --resume")]
pub struct TrainArguments {
    /// What the model is trained towards
    #[arg(long, value_enum, value_name = "NAME")]
    pub objective: ObjectiveName,
    /// The model to begin with: a directory or hub id, of a sentence-transformers, BERT or RoBERTa model
    #[arg(long, value_name = "DIR|HUB-ID")]
    pub base: String,
    /// The file of training examples
    #[arg(long, value_name = "FILE")]
    pub train: PathBuf,
    /// The file of the development set
    #[arg(long, value_name = "FILE")]
    pub dev: Option<PathBuf>,
    /// The directory of the trained model; it must not exist
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// How often every example is seen
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_count)]
    pub epochs: NonZeroUsize,
    /// Examples a step
    #[arg(long, value_name = "N", default_value = "16", value_parser = parse_count)]
    pub batch_size: NonZeroUsize,
    /// The learning rate at the end of the warm-up
    #[arg(long, value_name = "RATE", default_value = "2e-5", value_parser = parse_positive)]
    pub learning_rate: f64,
    /// The share of the steps that the learning rate rises over
    #[arg(long, value_name = "SHARE", default_value = "0.1", value_parser = parse_share)]
    pub warmup: f64,
    /// How the vectors of the tokens become that of the sentence [default: as the base does, else mean]
    #[arg(long, value_enum, value_name = "MODE")]
    pub pooling: Option<PoolingName>,
    /// What the classifier is given of the embeddings u and v
    #[arg(long, value_enum, value_name = "PARTS", default_value = "u,v,diff")]
    pub concatenation: ConcatenationName,
    /// What every random number follows from
    #[arg(long, value_name = "N", default_value = "42")]
    pub seed: u64,
    /// The greatest score that people gave; 0 is the least
    #[arg(long, value_name = "SCORE", default_value = "5", value_parser = parse_positive)]
    pub max_score: f64,
    /// Cut sentences to this many tokens [default: what the base reads]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub max_tokens: Option<NonZeroUsize>,
    /// Steps between evaluations, each with a checkpoint [default: an epoch]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub evaluate_every: Option<NonZeroUsize>,
    /// Stop after this many evaluations without a better score
    #[arg(long, value_name = "N", requires = "dev", value_parser = parse_count)]
    pub patience: Option<NonZeroUsize>,
    /// Go on from the last checkpoint of a run that was stopped
    #[arg(long)]
    pub resume: bool,
    /// Begin with random weights in the shape that config.json of the base gives
    #[arg(long)]
    pub from_scratch: bool,
    /// Draw the last N layers anew
    #[arg(long, value_name = "N", conflicts_with = "from_scratch")]
    pub reinitialize: Option<usize>,
    /// Drop nothing
    #[arg(long)]
    pub no_dropout: bool,
    /// Print a final report to stdout as a JSON line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ObjectiveName {
    /// Cosine against score: mean squared error
    Regression,
    /// Label from both embeddings: cross-entropy
    Classification,
    /// Closer to the one than to the other: margin 1
    Triplet,
    /// Score from both sentences at once: the paper's slow, exact baseline
    CrossEncoder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PoolingName {
    Mean,
    Max,
    Cls,
}

impl PoolingName {
    /// The same for the encoder.
    pub fn pooling(self) -> Pooling {
        match self {
            Self::Mean => Pooling::Mean,
            Self::Max => Pooling::Max,
            Self::Cls => Pooling::Cls,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConcatenationName {
    #[value(name = "u,v")]
    UV,
    #[value(name = "diff")]
    Difference,
    #[value(name = "prod")]
    Product,
    #[value(name = "diff,prod")]
    DifferenceProduct,
    #[value(name = "u,v,prod")]
    UVProduct,
    #[value(name = "u,v,diff")]
    UVDifference,
    #[value(name = "u,v,diff,prod")]
    UVDifferenceProduct,
}

impl ConcatenationName {
    /// The same for the trainer.
    pub fn concatenation(self) -> Concatenation {
        match self {
            Self::UV => Concatenation::UV,
            Self::Difference => Concatenation::Difference,
            Self::Product => Concatenation::Product,
            Self::DifferenceProduct => Concatenation::DifferenceProduct,
            Self::UVProduct => Concatenation::UVProduct,
            Self::UVDifference => Concatenation::UVDifference,
            Self::UVDifferenceProduct => Concatenation::UVDifferenceProduct,
        }
    }
}

fn parse_positive(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|x: &f64| *x > 0.0 && x.is_finite())
        .ok_or_else(|| "expected a number above 0".into())
}

fn parse_share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|x| (0.0..=1.0).contains(x))
        .ok_or_else(|| "expected a number from 0 to 1".into())
}

#[derive(Debug, Args)]
pub struct EvalArguments {
    #[command(subcommand)]
    pub evaluation: Evaluation,
}

#[derive(Debug, Subcommand)]
pub enum Evaluation {
    /// Semantic textual similarity: correlate similarities with the scores people gave
    Sts(StsArguments),
    /// The same, training and testing on one set in turn: ten-fold, or topic by topic
    StsCv(CrossValidationArguments),
    /// Semantic textual similarity by a cross-encoder, which reads both sentences at once
    CrossEncoder(CrossEncoderArguments),
    /// Triplets: the share whose closer sentence is closer
    Triplets(TripletsArguments),
    /// SentEval: logistic regression on frozen embeddings
    Senteval(SentevalArguments),
    /// Retrieval on a data set in BEIR's form
    Retrieval(RetrievalArguments),
    /// Pooling and concatenation, varied: the paper's table 6
    Ablation(AblationArguments),
    /// Sentences a second, and what the best pair among many costs
    Efficiency(EfficiencyArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "\
A file is tab-separated without quoting; its header names the columns score, sentence1 and sentence2 \
among any others. The correlations are printed x 100, as papers do: Spearman's and Pearson's of the \
cosine, Spearman's of the other similarities.

Examples:
  akin eval sts stsb/test.tsv
  akin eval sts sts12.tsv sts13.tsv sick.tsv --model all-mpnet-base-v2 --json
  akin eval sts stsb/test.tsv --model bert-base-uncased --pooling cls
  akin eval sts stsb/test.tsv --word-vectors glove.6B.300d.txt")]
pub struct StsArguments {
    /// The files of scored pairs
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub model: EvaluatedModel,
    #[command(flatten)]
    pub compute: ComputeArguments,
    /// Print a JSON line a file instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The columns are score, sentence1, sentence2, and with --cross-topic topic. A model is trained on all \
parts but one by regression, tested on that one, for each part; printed x 100 with their mean.

Examples:
  akin eval sts-cv afs.tsv --base bert-base-uncased --epochs 4
  akin eval sts-cv afs.tsv --base bert-base-uncased --cross-topic --cross-encoder")]
pub struct CrossValidationArguments {
    /// The file of scored pairs
    pub file: PathBuf,
    /// The model that every part begins with
    #[arg(long, value_name = "DIR|HUB-ID", default_value = "all-MiniLM-L6-v2")]
    pub base: String,
    /// Parts to draw
    #[arg(long, value_name = "N", default_value = "10", conflicts_with = "cross_topic", value_parser = parse_count)]
    pub folds: NonZeroUsize,
    /// Test on each topic in turn
    #[arg(long)]
    pub cross_topic: bool,
    /// Train cross-encoders
    #[arg(long)]
    pub cross_encoder: bool,
    /// How often every example is seen
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_count)]
    pub epochs: NonZeroUsize,
    /// How the vectors of the tokens become that of the sentence [default: as the base does, else mean]
    #[arg(long, value_enum, value_name = "MODE")]
    pub pooling: Option<PoolingName>,
    /// The greatest score that people gave; 0 is the least
    #[arg(long, value_name = "SCORE", default_value = "5", value_parser = parse_positive)]
    pub max_score: f64,
    /// What every random number follows from
    #[arg(long, value_name = "N", default_value = "42")]
    pub seed: u64,
    /// Print a JSON line a part instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  akin train --objective cross-encoder --base bert-base-uncased --train stsb/train.tsv --output cross
  akin eval cross-encoder stsb/test.tsv --model cross")]
pub struct CrossEncoderArguments {
    /// The files of scored pairs
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The directory of a cross-encoder
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Print a JSON line a file instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A file is tab-separated; its header names the columns anchor, positive and negative.

Example:
  akin eval triplets sections.tsv --model tuned")]
pub struct TripletsArguments {
    /// The file of triplets
    pub file: PathBuf,
    #[command(flatten)]
    pub model: EvaluatedModel,
    #[command(flatten)]
    pub compute: ComputeArguments,
    /// Print a JSON line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A folder has train.tsv, test.tsv and perhaps dev.tsv, or all.tsv, which is cut into ten folds. The \
columns are label and sentence, or label, sentence1 and sentence2. The strength of the penalty is chosen \
on dev.tsv, or on a tenth of the training examples.

Example:
  akin eval senteval senteval/mr senteval/cr senteval/trec --model tuned")]
pub struct SentevalArguments {
    /// The folders of the tasks
    #[arg(required = true, value_name = "FOLDER")]
    pub folders: Vec<PathBuf>,
    #[command(flatten)]
    pub model: EvaluatedModel,
    #[command(flatten)]
    pub compute: ComputeArguments,
    /// Print a JSON line a task instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The folder has corpus.jsonl and queries.jsonl (_id, title, text) and qrels/SPLIT.tsv (query-id, \
corpus-id, score). Every query is compared with every document.

Examples:
  akin eval retrieval scifact
  akin eval retrieval nfcorpus --split dev -k 10 -k 1000 --json")]
pub struct RetrievalArguments {
    /// The folder of the data set
    pub folder: PathBuf,
    /// The judgements to use
    #[arg(long, value_name = "SPLIT", default_value = "test")]
    pub split: String,
    /// The numbers of hits to count the relevant documents in
    #[arg(short, value_name = "N", default_values = ["10", "100"])]
    pub k: Vec<NonZeroUsize>,
    #[command(flatten)]
    pub model: EvaluatedModel,
    #[command(flatten)]
    pub compute: ComputeArguments,
    /// Print a JSON line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Twelve models are trained: each pooling by classification and by regression, then each concatenation by \
classification. Printed is Spearman's correlation x 100 on the development set.

Example:
  akin eval ablation --base bert-base-uncased --labelled sick/train.tsv --scored stsb/train.tsv --dev stsb/dev.tsv")]
pub struct AblationArguments {
    /// The model that every run begins with
    #[arg(long, value_name = "DIR|HUB-ID", default_value = "all-MiniLM-L6-v2")]
    pub base: String,
    /// The file of labelled pairs
    #[arg(long, value_name = "FILE")]
    pub labelled: PathBuf,
    /// The file of scored pairs
    #[arg(long, value_name = "FILE")]
    pub scored: PathBuf,
    /// The file of scored pairs that every model is evaluated with
    #[arg(long, value_name = "FILE")]
    pub dev: PathBuf,
    /// Examples that a run sees at most [default: all]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub examples: Option<NonZeroUsize>,
    /// How often every example is seen
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_count)]
    pub epochs: NonZeroUsize,
    /// The greatest score that people gave; 0 is the least
    #[arg(long, value_name = "SCORE", default_value = "5", value_parser = parse_positive)]
    pub max_score: f64,
    /// What every random number follows from
    #[arg(long, value_name = "N", default_value = "42")]
    pub seed: u64,
    /// Print a JSON line a row instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The sentences are those of the files. The best pair by embeddings is found in full; the time that a \
cross-encoder needs for it is extrapolated from the pairs it was given, and said to be so.

Example:
  akin eval efficiency stsb/train.tsv --sentences 10000")]
pub struct EfficiencyArguments {
    /// Files of scored pairs
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Sentences to find the best pair among
    #[arg(long, value_name = "N", default_value = "10000", value_parser = parse_count)]
    pub sentences: NonZeroUsize,
    /// Sentences to measure the encoder with
    #[arg(long, value_name = "N", default_value = "2000", value_parser = parse_count)]
    pub sample: NonZeroUsize,
    /// Pairs to measure the cross-encoder with
    #[arg(long, value_name = "N", default_value = "500", value_parser = parse_count)]
    pub pairs: NonZeroUsize,
    #[command(flatten)]
    pub model: DefaultModel,
    /// Print one JSON line
    #[arg(long)]
    pub json: bool,
}

/// What is evaluated.
#[derive(Debug, Args)]
pub struct EvaluatedModel {
    #[command(flatten)]
    pub model: DefaultModel,
    /// Pool in this way, whatever the model says; the model may then be a bare BERT or RoBERTa directory
    #[arg(long, value_enum, value_name = "MODE")]
    pub pooling: Option<PoolingName>,
    /// Average word vectors from a GloVe or word2vec text file, in place of a model
    #[arg(long, value_name = "FILE", conflicts_with = "pooling")]
    pub word_vectors: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  akin completions bash > ~/.local/share/bash-completion/completions/akin
  akin completions zsh > ~/.zfunc/_akin
  akin completions fish > ~/.config/fish/completions/akin.fish")]
pub struct CompletionsArguments {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Which documents to read.
#[derive(Debug, Args)]
pub struct CorpusArguments {
    /// Files of documents, or - for stdin
    #[arg(required = true, value_name = "CORPUS")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub format: FormatArguments,
    /// The field with the id of a document, in jsonl, csv and tsv
    #[arg(long, value_name = "NAME", default_value = "id")]
    pub id_field: String,
}

impl CorpusArguments {
    /// The same for the reader.
    pub fn options(&self) -> CorpusOptions {
        self.format.options(&self.id_field)
    }
}

/// How documents or queries are written down.
#[derive(Debug, Args)]
pub struct FormatArguments {
    /// How the input is written; `auto` goes by the name of the file, and stdin is text
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: FormatName,
    /// The field with the text, in jsonl, csv and tsv
    #[arg(long, value_name = "NAME", default_value = "text")]
    pub text_field: String,
}

impl FormatArguments {
    /// The same for the reader.
    pub fn options(&self, id_field: &str) -> CorpusOptions {
        CorpusOptions {
            format: match self.format {
                FormatName::Auto => Format::Auto,
                FormatName::Text => Format::Text,
                FormatName::Jsonl => Format::Jsonl,
                FormatName::Csv => Format::Csv,
                FormatName::Tsv => Format::Tsv,
            },
            id_field: id_field.to_owned(),
            text_field: self.text_field.clone(),
            keep_blank_lines: false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum FormatName {
    #[default]
    Auto,
    Text,
    Jsonl,
    Csv,
    Tsv,
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
    /// How many candidates the walk through a graph keeps: more finds more and takes longer
    #[arg(long, value_name = "N", value_parser = parse_count, conflicts_with = "exact")]
    pub ef: Option<NonZeroUsize>,
}

impl SearchArguments {
    /// The same for the index.
    pub fn options(&self) -> SearchOptions {
        SearchOptions { k: self.k.get(), ef: self.ef.map(NonZeroUsize::get), exact: self.exact }
    }
}

fn parse_count(number: &str) -> Result<NonZeroUsize, String> {
    number.parse().map_err(|_| "expected a whole number from 1 on".into())
}

/// The model of a command that begins with one.
#[derive(Debug, Args)]
pub struct DefaultModel {
    /// Directory or hub id of a sentence-transformers model
    #[arg(
        long,
        env = "AKIN_MODEL",
        hide_env_values = true,
        value_name = "DIR|HUB-ID",
        default_value = "all-MiniLM-L6-v2"
    )]
    pub model: String,
}

/// The model of a command that asks an index.
#[derive(Debug, Args)]
pub struct QueryModel {
    /// Directory or hub id of the model the index was built with [default: where it was then]
    #[arg(long, value_name = "DIR|HUB-ID")]
    pub model: Option<String>,
    #[command(flatten)]
    pub compute: ComputeArguments,
}

/// How the network computes.
#[derive(Debug, Args)]
pub struct PrecisionArguments {
    /// The numbers the network computes with: int8 is the fastest, bf16 needs a processor that multiplies it
    #[arg(long, value_enum, default_value_t, value_name = "PRECISION")]
    precision: PrecisionName,
}

impl PrecisionArguments {
    /// The same for the encoder, with this executor or the default one.
    pub fn options(&self, executor: Option<ExecutorName>) -> EncoderOptions {
        EncoderOptions {
            precision: match self.precision {
                PrecisionName::F32 => Precision::F32,
                PrecisionName::Bf16 => Precision::Bf16,
                PrecisionName::Int8 => Precision::Int8,
            },
            executor: match executor {
                Some(ExecutorName::Burn) => Executor::Burn,
                Some(ExecutorName::Cpu) => Executor::Cpu,
                None => Executor::default(),
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum PrecisionName {
    /// Single precision: the model's own embeddings
    #[default]
    F32,
    /// Factors of 16 bits, sums in f32: a mean cosine of 0.9999 with f32
    Bf16,
    /// Factors of 8 bits, exact sums: a mean cosine of 0.999 with f32
    Int8,
}

/// The same where hardly anybody needs to choose an executor.
#[derive(Debug, Args)]
pub struct ComputeArguments {
    #[command(flatten)]
    precision: PrecisionArguments,
    #[arg(long, value_enum, hide = true, value_name = "NAME")]
    executor: Option<ExecutorName>,
}

impl ComputeArguments {
    /// The same for the encoder.
    pub fn options(&self) -> EncoderOptions {
        self.precision.options(self.executor)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExecutorName {
    // No help for each: clap would print the whole page of the command in its long form.
    Burn,
    Cpu,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_precision_that_there_is_not_is_refused_with_those_there_are() {
        let error = Cli::try_parse_from(["akin", "index", "i", "c", "--precision", "int4"]).unwrap_err();
        let error = error.to_string();
        assert!(["int4", "f32", "bf16", "int8"].iter().all(|name| error.contains(name)), "{error}");
    }

    #[test]
    fn no_hits_and_no_candidates_are_refused() {
        let error = Cli::try_parse_from(["akin", "query", "i", "t", "-k", "0"]).unwrap_err();
        assert!(error.to_string().contains("expected a whole number from 1 on"), "{error}");
        assert!(Cli::try_parse_from(["akin", "query", "i", "t", "--ef", "0"]).is_err());
        assert!(Cli::try_parse_from(["akin", "query", "i", "t", "-k", "1", "--ef", "1"]).is_ok());
    }
}
