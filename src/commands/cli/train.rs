//! Arguments of `akin train`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use akin_trainer::objective::Concatenation;
use clap::{Args, ValueEnum};

use super::{PoolingName, parse_count, parse_positive, parse_share};

#[derive(Debug, Args)]
#[command(after_help = "\
Files are tab-separated without quoting, or .jsonl with an object a line; those of ranking, distillation and margin may be \
.csv too. The names of the columns or fields tell what is in them:
  regression, cosent  score, sentence1, sentence2
  cross-encoder       the same; or label, sentence1, sentence2, where the label of a query and a passage is 1 if the \
passage answers and 0 if it does not
  classification      label, sentence1, sentence2
  triplet             anchor, positive, negative
  ranking             anchor, positive (or query, answer; question, passage; sentence1, sentence2 …), and negatives if \
there are any: negative, or negative_1, negative_2 …, or neg with a list
  distillation        sentence; or source and translation (or english and non_english), which both follow the teacher's \
embedding of the source
  margin              anchor, positive, negative, and margin unless a teacher gives it
For ranking all other texts of the batch are negatives, except those that equal the anchor or its positive: large \
batches teach more, and --cached makes room for them. `akin negatives` finds hard ones.

A word with a character that a vocabulary of WordPiece lacks is unknown as a whole, and an English model knows few \
Chinese characters: with --add-characters those of the training file are added, and learned.

The development set is scored after each epoch, or every N steps: by \
Spearman's correlation where it has scores, by accuracy where it has labels or triplets, by the mean reciprocal rank \
where it has pairs. The model with the best score is kept.

The output is a sentence-transformers directory that Akin and Python read (for cross-encoder: one that \
Python's CrossEncoder and `akin query --rerank` read), with the loss of each step in loss.csv and loss.svg.

Examples:
  akin train --objective ranking --base all-MiniLM-L6-v2 --train questions.jsonl --batch-size 64 --output tuned
  akin train --objective regression --base all-MiniLM-L6-v2 --train stsb/train.tsv --dev stsb/dev.tsv --output tuned
  akin train --objective cosent --base all-MiniLM-L6-v2 --train stsb/train.tsv --matryoshka 384,192,96 --output short
  akin train --objective distillation --teacher all-MiniLM-L6-v2 --base multilingual --train talks.tsv --output student
  akin train --objective distillation --teacher all-MiniLM-L6-v2 --base all-MiniLM-L6-v2 --add-characters --train talks.tsv --output student
  akin train --objective margin --teacher ms-marco --base all-MiniLM-L6-v2 --train mined.jsonl --lora 8 --output tuned
  akin train --objective classification --concatenation u,v,diff --base bert-base --train nli.tsv --dev stsb/dev.tsv --output nli
  akin train --objective triplet --base nli --train sections.tsv --output sections --epochs 2 --resume
  akin train --objective cross-encoder --base all-MiniLM-L6-v2 --train answers.tsv --max-tokens 256 --output reranker")]
pub struct TrainArguments {
    /// The objective: what the model is trained for
    #[arg(long, value_enum, value_name = "NAME")]
    pub objective: ObjectiveName,
    /// The model to begin with: a directory or hub id, of sentence-transformers or Hugging Face, of any family of networks that Akin runs. Cross-encoders are trained of BERT, RoBERTa, XLM-R, CamemBERT, DistilBERT, ELECTRA, MPNet, ALBERT, DeBERTa v2 and v3, and ModernBERT
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
    /// The input of the classifier, made of the embeddings u and v
    #[arg(long, value_enum, value_name = "PARTS", default_value = "u,v,diff")]
    pub concatenation: ConcatenationName,
    /// The seed of all random numbers
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
    /// Begin with random weights in the last N layers
    #[arg(long, value_name = "N", conflicts_with = "from_scratch")]
    pub reinitialize: Option<usize>,
    /// Add the characters of the training file that the vocabulary lacks, such as those of another language (models with a WordPiece vocabulary: BERT, DistilBERT, ELECTRA)
    #[arg(long, conflicts_with = "lora")]
    pub add_characters: bool,
    /// Train without dropout
    #[arg(long)]
    pub no_dropout: bool,
    /// The model that distillation learns the embeddings of, or margin the margins: a directory or hub id
    #[arg(long, value_name = "DIR|HUB-ID", required_if_eq("objective", "distillation"))]
    pub teacher: Option<String>,
    /// Train embeddings that can be cut to these lengths too (Matryoshka), as in 384,256,128,64
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = parse_count)]
    pub matryoshka: Vec<NonZeroUsize>,
    /// Keep the activations of N sentences at a time and not of a batch: large batches in little memory, a third slower
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub cached: Option<NonZeroUsize>,
    /// What the cosines of ranking and cosent are multiplied by
    #[arg(long, value_name = "FACTOR", default_value = "20", value_parser = parse_positive)]
    pub scale: f64,
    /// Train adapters of this rank in place of the encoder (LoRA); they are added to its weights in the output
    #[arg(long, value_name = "RANK", value_parser = parse_count, conflicts_with_all = ["from_scratch", "reinitialize"])]
    pub lora: Option<NonZeroUsize>,
    /// What the adapters add is multiplied by ALPHA / RANK [default: twice the rank]
    #[arg(long, value_name = "ALPHA", requires = "lora", value_parser = parse_positive)]
    pub lora_alpha: Option<f64>,
    /// Which linear layers have an adapter
    #[arg(long, value_enum, value_name = "LAYERS", requires = "lora", default_value = "query-value")]
    pub lora_on: AdaptedName,
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
    /// The anchor closer to the positive than to the negative: margin 1
    Triplet,
    /// Score, or label 0 or 1, from both sentences at once: slow and exact, for --rerank
    CrossEncoder,
    /// The anchor closer to its positive than to all other texts of the batch: multiple negatives ranking
    Ranking,
    /// Pairs in the order of their scores: CoSENT
    Cosent,
    /// The embeddings of a teacher, also for translations: mean squared error
    Distillation,
    /// The positive as much closer than the negative as a teacher or the file says: MarginMSE
    Margin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AdaptedName {
    /// Query and value of the attention
    QueryValue,
    /// All linear layers of the encoder
    All,
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
