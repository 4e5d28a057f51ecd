//! Arguments of `akin eval`, one struct for each evaluation.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use akin_encoder::EncoderOptions;
use akin_index::PassageSize;
use akin_query::Mode;
use clap::{Args, Subcommand, ValueEnum};

use super::{
    ComputeArguments, DefaultModel, PoolingName, PromptArguments, RerankArguments, parse_count,
    parse_passages, parse_positive,
};

#[derive(Debug, Args)]
pub struct EvalArguments {
    #[command(subcommand)]
    pub evaluation: Evaluation,
}

#[derive(Debug, Subcommand)]
pub enum Evaluation {
    /// Semantic textual similarity: correlate similarities with the scores people gave
    Sts(StsArguments),
    /// The same by cross-validation: ten-fold, or topic by topic
    StsCv(CrossValidationArguments),
    /// Semantic textual similarity by a cross-encoder, which reads both sentences at once
    CrossEncoder(CrossEncoderArguments),
    /// Triplets: the share whose positive is closer to the anchor than the negative
    Triplets(TripletsArguments),
    /// SentEval: logistic regression on frozen embeddings
    Senteval(SentevalArguments),
    /// Retrieval on a data set in BEIR's form
    Retrieval(Box<RetrievalArguments>),
    /// Pooling and concatenation, varied: the paper's table 6
    Ablation(AblationArguments),
    /// Sentences a second, and the time to find the best pair among many
    Efficiency(EfficiencyArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "\
A file is tab-separated without quoting; its header names the columns score, sentence1 and sentence2 \
among any others. The correlations are printed x 100, as papers do: Spearman's and Pearson's of the \
cosine, Spearman's of the other similarities.

Examples:
  akin eval sts stsb/test.tsv
  akin eval sts sts12.tsv sts13.tsv sick.tsv --model all-MiniLM-L12-v2 --json
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
    /// Test on each topic with a model that was trained on the others
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
    /// The seed of all random numbers
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
The folder has corpus.jsonl and queries.jsonl (_id, title, text) and qrels/SPLIT.tsv (query-id, corpus-id, score). The \
text of a document is its title and its text. A judged document that the corpus lacks counts as not found, and is told.

Without --mode the model alone is evaluated: every query is compared with every document by their vectors, and long \
texts are cut off. With --mode an index is built as `akin index` builds one, with passages, words and graph, and asked as \
`akin query` asks it: a row a mode. It is built in a temporary folder, or in that of --index, where another run finds it. With --rerank that model ranks \
every hit that is counted.

Bounds are those of a bootstrap over the queries, 95 %. --against evaluates a second setting, equal but for what is named \
(mode, model, passages, rerank), and compares both query by query: p is how likely so large a difference of either sign is \
between equals, by a paired randomisation test.

Examples:
  akin eval retrieval scifact
  akin eval retrieval scifact --mode all --precision int8
  akin eval retrieval scifact --mode hybrid --against mode=semantic
  akin eval retrieval scifact --mode hybrid --index kept --against passages=none,mode=keyword
  akin eval retrieval scifact --mode hybrid --against rerank=cross-encoder/ms-marco-MiniLM-L6-v2
  akin eval retrieval scifact --against model=intfloat/e5-small-v2
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
    /// Ask an index by meaning, by words, by both, or in each of these ways [default: no index, the model alone]
    #[arg(
        long,
        value_enum,
        value_name = "MODE,...",
        value_delimiter = ',',
        conflicts_with_all = ["pooling", "word_vectors"]
    )]
    pub mode: Vec<EvaluatedMode>,
    /// How long the passages of the index are, as for `akin index` [default: auto]
    #[arg(long, value_name = "auto|none|TOKENS", value_parser = parse_passages, requires = "mode")]
    pub passages: Option<PassageSize>,
    /// Keep the index in this folder, or use the one there
    #[arg(long, value_name = "FOLDER", requires = "mode")]
    pub index: Option<PathBuf>,
    #[command(flatten)]
    pub rerank: RerankArguments,
    /// Compare with another setting: mode=semantic, model=NAME, passages=none or rerank=NAME, or several with commas
    #[arg(long, value_name = "NAME=VALUE,...", conflicts_with_all = ["pooling", "word_vectors"])]
    pub against: Option<String>,
    #[command(flatten)]
    pub model: EvaluatedModel,
    #[command(flatten)]
    pub prompts: PromptArguments,
    #[command(flatten)]
    pub compute: ComputeArguments,
    /// Print a JSON line, or one a mode
    #[arg(long)]
    pub json: bool,
}

impl RetrievalArguments {
    /// How the model is computed, and what is put before its texts.
    pub fn encoder_options(&self) -> EncoderOptions {
        self.prompts.with(self.compute.options())
    }
}

/// How an index is asked that is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EvaluatedMode {
    Semantic,
    Keyword,
    Hybrid,
    All,
}

impl EvaluatedMode {
    /// The one mode that it is.
    pub fn mode(self) -> Option<Mode> {
        match self {
            Self::Semantic => Some(Mode::Semantic),
            Self::Keyword => Some(Mode::Keyword),
            Self::Hybrid => Some(Mode::Hybrid),
            Self::All => None,
        }
    }
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
    /// The seed of all random numbers
    #[arg(long, value_name = "N", default_value = "42")]
    pub seed: u64,
    /// Print a JSON line a row instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The sentences are those of the files. The best pair by embeddings is found in full; the time that a \
cross-encoder needs for it is extrapolated from some pairs, and marked as such.

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
#[derive(Debug, Clone, Args)]
pub struct EvaluatedModel {
    #[command(flatten)]
    pub model: DefaultModel,
    /// Pool in this way, whatever the model says; the model may then be a bare directory of transformers
    #[arg(long, value_enum, value_name = "MODE")]
    pub pooling: Option<PoolingName>,
    /// Use the mean of word vectors from a GloVe or word2vec text file instead of a model
    #[arg(long, value_name = "FILE", conflicts_with = "pooling")]
    pub word_vectors: Option<PathBuf>,
}
