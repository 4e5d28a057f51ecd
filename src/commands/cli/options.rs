//! Options that several subcommands share.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use akin_encoder::{Device, EncoderOptions, Executor, Pooling, Precision, Prompts, Role, Similarity};
use akin_indexer::corpus::{CorpusOptions, Encoding, Format};
use akin_indexer::documents::DocumentFormat;
use clap::{Args, ValueEnum};

use crate::commands::document_reader;

/// Which documents to read.
#[derive(Debug, Args)]
pub struct CorpusArguments {
    /// Files of documents, folders of them, or - for stdin
    #[arg(required = true, value_name = "CORPUS")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub format: FormatArguments,
    /// The field with the id of a document, in jsonl, csv, tsv and parquet
    #[arg(long, value_name = "NAME", default_value = "id")]
    pub id_field: String,
    /// Of a folder, read only the files that this pattern matches; may be given more than once
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// Of a folder, leave out the files and folders that this pattern matches; may be given more than once
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
}

impl CorpusArguments {
    /// The same for the reader.
    pub fn options(&self) -> CorpusOptions {
        CorpusOptions {
            whole_files: true,
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            ..self.format.options(&self.id_field)
        }
    }
}

/// The format of documents or queries.
#[derive(Debug, Clone, Args)]
pub struct FormatArguments {
    /// How the input is written; `auto` goes by the name of the file or else its beginning, and stdin is JSON or text
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: FormatName,
    /// The field with the text, in jsonl, csv, tsv and parquet
    #[arg(long, value_name = "NAME", default_value = "text")]
    pub text_field: String,
    /// The encoding of texts without a mark of UTF-16, as in windows-1252, shift_jis or gb18030 [default: UTF-8]
    #[arg(long, value_name = "NAME", value_parser = parse_encoding)]
    pub encoding: Option<&'static Encoding>,
}

fn parse_encoding(name: &str) -> Result<&'static Encoding, String> {
    Encoding::for_label_no_replacement(name.as_bytes())
        .ok_or_else(|| "expected an encoding of the web, as in windows-1252, iso-8859-15 or shift_jis".into())
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
                FormatName::Markdown => Format::Document(DocumentFormat::Markdown),
                FormatName::Html => Format::Document(DocumentFormat::Html),
                FormatName::Pdf => Format::Document(DocumentFormat::Pdf),
                FormatName::Docx => Format::Document(DocumentFormat::Docx),
                FormatName::Odt => Format::Document(DocumentFormat::Odt),
                FormatName::Epub => Format::Document(DocumentFormat::Epub),
                FormatName::Rtf => Format::Document(DocumentFormat::Rtf),
                FormatName::Pptx => Format::Document(DocumentFormat::Pptx),
                FormatName::Xlsx => Format::Document(DocumentFormat::Xlsx),
                FormatName::Notebook => Format::Document(DocumentFormat::Notebook),
                FormatName::Eml => Format::Document(DocumentFormat::Mail),
                FormatName::Mbox => Format::Mbox,
                FormatName::Parquet => Format::Parquet,
            },
            id_field: id_field.to_owned(),
            text_field: self.text_field.clone(),
            encoding: self.encoding,
            whole_files: false,
            worker: document_reader::this_program(),
            ..CorpusOptions::default()
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
    Markdown,
    Html,
    Pdf,
    Docx,
    Odt,
    Epub,
    Rtf,
    Pptx,
    Xlsx,
    Notebook,
    Eml,
    Mbox,
    Parquet,
}

/// The similarities of sentence-transformers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SimilarityName {
    /// The cosine of the angle
    Cosine,
    /// The dot product
    Dot,
    /// Minus the Euclidean distance
    Euclidean,
    /// Minus the sum of the distances in each dimension
    Manhattan,
}

impl From<SimilarityName> for Similarity {
    fn from(name: SimilarityName) -> Self {
        match name {
            SimilarityName::Cosine => Self::Cosine,
            SimilarityName::Dot => Self::Dot,
            SimilarityName::Euclidean => Self::Euclidean,
            SimilarityName::Manhattan => Self::Manhattan,
        }
    }
}

/// The model of a command that names none, where the environment names none either.
pub const DEFAULT_MODEL_NAME: &str = "all-MiniLM-L6-v2";

/// The model of a command that begins with one.
#[derive(Debug, Clone, Args)]
pub struct DefaultModel {
    /// Directory or hub id of a sentence-transformers model
    #[arg(
        long,
        env = "AKIN_MODEL",
        hide_env_values = true,
        value_name = "DIR|HUB-ID",
        default_value = DEFAULT_MODEL_NAME
    )]
    pub model: String,
}

/// The prompts of a command that encodes both queries and documents.
#[derive(Debug, Args)]
pub struct PromptArguments {
    #[command(flatten)]
    query: QueryPrompt,
    /// Put this text before each document, as in "passage: " [default: the model's own prompt]
    #[arg(long, value_name = "TEXT")]
    document_prompt: Option<String>,
}

impl PromptArguments {
    /// The same for the encoder, with its other options.
    pub fn with(&self, options: EncoderOptions) -> EncoderOptions {
        let mut options = self.query.with(options);
        options.prompts.document.clone_from(&self.document_prompt);
        options
    }

    /// The role whose prompt was given.
    pub fn role(&self) -> Option<Role> {
        let query = self.query.query_prompt.as_ref().map(|_| Role::Query);
        query.or(self.document_prompt.as_ref().map(|_| Role::Document))
    }
}

/// The prompt of a command that encodes queries.
#[derive(Debug, Args)]
pub struct QueryPrompt {
    /// Put this text before each query, as in "query: " [default: that of the index, else the model's own prompt]
    #[arg(long, value_name = "TEXT")]
    query_prompt: Option<String>,
    /// Keep this many numbers of each embedding, the first ones, of a model that was trained for it (Matryoshka)
    /// [default: that of the index, else all]
    #[arg(long, value_name = "N")]
    dimensions: Option<NonZeroUsize>,
}

impl QueryPrompt {
    /// The same for the encoder, with its other options.
    pub fn with(&self, options: EncoderOptions) -> EncoderOptions {
        let prompts = Prompts { query: self.query_prompt.clone(), document: None };
        EncoderOptions { prompts, dimensions: self.dimensions, ..options }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleName {
    Query,
    Document,
}

impl RoleName {
    /// The same for the encoder.
    pub fn role(self) -> Role {
        match self {
            Self::Query => Role::Query,
            Self::Document => Role::Document,
        }
    }
}

/// How the network computes.
#[derive(Debug, Clone, Args)]
pub struct PrecisionArguments {
    /// The numbers the network computes with: int8 is the fastest, bf16 needs a processor that multiplies it
    #[arg(long, value_enum, default_value_t, value_name = "PRECISION")]
    precision: PrecisionName,
    /// Where the network computes: cpu, or a GPU by cuda or wgpu, the second one as in cuda:1; a GPU needs a program that was built for
    /// it, and computes in f32
    #[arg(long, default_value_t, value_name = "cpu|cuda|wgpu")]
    device: Device,
}

impl PrecisionArguments {
    /// The same on a command line; nothing where it is the default.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        if let Some(name) = self.precision.to_possible_value()
            && self.precision != PrecisionName::default()
        {
            flags.extend(["--precision".into(), name.get_name().to_owned()]);
        }
        if self.device != Device::default() {
            flags.extend(["--device".into(), self.device.to_string()]);
        }
        flags
    }

    /// The same for the encoder, with this executor or the default one.
    pub fn options(&self, executor: Option<ExecutorName>) -> EncoderOptions {
        EncoderOptions {
            device: self.device,
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
            ..EncoderOptions::default()
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum PrecisionName {
    /// Single precision: the model's own embeddings
    #[default]
    F32,
    /// Weights and inputs of 16 bits, sums in f32: a mean cosine of 0.9999 with f32
    Bf16,
    /// Weights and inputs of 8 bits, exact sums: a mean cosine of 0.999 with f32
    Int8,
}

/// The same with an executor, which `--help` does not list.
#[derive(Debug, Clone, Args)]
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

pub(super) fn parse_count(number: &str) -> Result<NonZeroUsize, String> {
    number.parse().map_err(|_| "expected a whole number from 1 on".into())
}

pub(super) fn parse_positive(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|x: &f64| *x > 0.0 && x.is_finite())
        .ok_or_else(|| "expected a number above 0".into())
}

pub(super) fn parse_share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|x| (0.0..=1.0).contains(x))
        .ok_or_else(|| "expected a number from 0 to 1".into())
}
