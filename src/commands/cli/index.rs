//! Arguments of the commands that build and maintain an index.

use std::path::PathBuf;

use akin_index::PassageSize;
use clap::Args;

use super::{
    ComputeArguments, CorpusArguments, DefaultModel, ExecutorName, FormatArguments, PrecisionArguments,
    PromptArguments, RoleName, SimilarityName, parse_share,
};

#[derive(Debug, Args)]
#[command(after_help = "\
Plain text is a document a line, with the id FILE:LINE. In jsonl, csv and tsv each document has an id \
and a text; its other fields are kept as metadata. JSON is an object a line, an array of objects, or objects one after \
another. Of Parquet each row is a document, of a mailbox (mbox) each message, with its Message-ID as id. Files may be compressed with gzip, zstd, bzip2 or xz. \
Text is UTF-8, UTF-16 where a mark says so, or what --encoding names.

Of a folder each file is one document, and its id is its path in the folder: text, source code, Markdown, HTML, PDF, DOCX, \
PPTX, XLSX, OpenDocument, EPUB, RTF, mail (.eml) and Jupyter notebooks. Mailboxes, Parquet and JSON lines with texts in a folder are \
many documents, with ids such as mail/in.mbox:17. Hidden files, links, what .gitignore and .akinignore name, and \
files without text are left out. A file that cannot be read is skipped; --json lists each with its reason. When a folder or a \
text is indexed again, what has not changed is not read, and what is no longer there is removed. Where two sources have one \
name, the ids of the second begin with the name of its folder.

Documents with ids of their own (jsonl, csv, tsv, parquet, mbox) are only added or replaced. With --sync, those that an earlier run \
took from the same file, and that the file no longer has, are removed once the file has been read to its end; what came \
from other files or by a pipe stays.

A document whose id is in the index replaces the one there; one that has not changed is skipped. So \
an interrupted run is resumed by running the same command again, and whatever was committed before a \
crash stays. Ctrl-C ends a run within seconds, says how many documents are kept, and exits with status 130; a second one \
ends it at once. Equal texts are encoded once.

With --watch the command goes on: when files change, appear, vanish or are renamed, the index is brought up to date as soon as \
nothing has changed for a third of a second. Each time a line says what was done, with --json a report on stdout. A fault \
in a file is told and waits for the next change. Where the disk is full, that is told once, and it goes on by itself when there is room. Other commands may query the index meanwhile, and see each commit. \
Ctrl-C and SIGTERM end it after a commit.

A text that is longer than the model reads is cut into passages, between sections, paragraphs or sentences where it \
can be, and source code before functions and types. A query finds the document by the passage that answers best, and says which it is. --passages 100 cuts to at most \
100 tokens, --passages none cuts nothing: the end of a long text is not searched then. The index remembers the choice, \
and refuses another one.

With --recall, the documents are divided into up to 48 regions, small groups of documents among them, and 32 \
documents of each region are the queries. The number of candidates (ef) is raised until the mean recall and that of \
the worst region are at least the one given. An ef below the default is taken only if every region proves it. A \
document as near as the true tenth counts as found. The mean and the worst recall are printed. Where no ef up to 1024 reaches the recall, that is said, and the \
least ef is kept whose worst region is within 0.001 of the best. With --json the figures are ef, recall, \
recall_worst, regions and recall_reached.

Some models are trained with a prompt before each query and another before each document. Those that are in the directory of the model are used. Others are given with --query-prompt and --document-prompt when the index is begun. The index remembers them. \
With --dimensions the first numbers of each embedding are kept alone, of a model that was trained for it; the index remembers how many.

postgres://USER:PASSWORD@HOST:PORT/DATABASE/TABLE in the place of the folder keeps the documents in a table of PostgreSQL with pgvector 0.8 or newer; the password may be in PGPASSWORD, and ?sslmode=verify-full&sslrootcert=FILE asks for an encrypted connection to the host that is named. `query`, `batch`, `delete`, `stat`, `export` and `copy` take it too. Vectors have 16 bits a number there. Documents are found by meaning and by words, with filters and --rerank; words are kept by the text configuration simple, or by --engine-option text_config=english; a table of an earlier release gets its words when it is indexed again. With --sync the table remembers which documents the files and folders that are named together brought, and removes those that an earlier run with --sync brought and this one does not; without it nothing is removed, of texts and folders neither. --watch and --recall are not for tables; what else there is not is refused by its option. milvus://USER:PASSWORD@HOST:PORT/COLLECTION keeps them in a collection of Milvus 2.3 or newer in the same way; the password may be in MILVUS_PASSWORD, and ?tls=true&roots=FILE encrypts. A collection that is made on Milvus 2.5 or newer keeps words, too, not stemmed unless --engine-option text_config=english (or german, french, ...) says so; one that was made without words is found by meaning alone, and its copy (`akin copy`) has them. A text longer than 65,000 bytes needs as many passages there as it has times that, and metadata takes 65,536 bytes at most. --sync is not for collections: what vanished from a text or folder stays there.

Examples:
  akin index notes notes.txt
  akin index notes notes.txt --model intfloat/e5-small-v2 --query-prompt \"query: \" --document-prompt \"passage: \"
  akin index library ~/Documents --exclude drafts
  akin index library report.pdf
  akin index notes ~/notes --watch
  akin index mail archive.mbox.xz
  akin index letters old.txt --encoding windows-1252
  akin index products products.csv --sync
  akin index papers papers.jsonl.zst --id-field doi --text-field abstract
  zcat dump.tsv.gz | akin index dump - --format tsv
  akin index notes notes.txt --recall 0.99
  akin index reports reports.jsonl --passages 128
  akin index postgres://me@db.example/search/notes notes.txt --engine-option text_config=english
  akin index milvus://milvus.example:19530/notes notes.txt
  akin index notes notes.txt --model sentence-transformers/all-MiniLM-L12-v2")]
pub struct IndexArguments {
    /// The folder of the index, postgres://USER@HOST:PORT/DATABASE/TABLE, or milvus://HOST:PORT/COLLECTION; it is made if it does not exist
    pub index: PathBuf,
    #[command(flatten)]
    pub corpus: CorpusArguments,
    /// Directory or hub id of a sentence-transformers model [default: the model of the index, else
    /// all-MiniLM-L6-v2]
    #[arg(long, env = "AKIN_MODEL", hide_env_values = true, value_name = "DIR|HUB-ID")]
    pub model: Option<String>,
    #[command(flatten)]
    pub prompts: PromptArguments,
    #[command(flatten)]
    pub compute: ComputeArguments,
    /// How long the passages are that a long text is cut into: `auto` for what the model reads, `none`, or a
    /// number of tokens [default: that of the index, else auto]
    #[arg(long, value_name = "auto|none|TOKENS", value_parser = parse_passages)]
    pub passages: Option<PassageSize>,
    /// Remove the documents with ids of their own that a file brought once and no longer has
    #[arg(long)]
    pub sync: bool,
    /// Go on after the first run: index again whenever files of the corpus change, until Ctrl-C or SIGTERM
    #[arg(long)]
    pub watch: bool,
    /// Choose how many candidates searches keep, so that they find this share of the true 10 nearest in every
    /// region of the index
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub recall: Option<f64>,
    /// An option of the engine that keeps the documents: text_config=NAME says how words are read (simple, english, ...; none keeps
    /// no words), in PostgreSQL by which configuration of the server [default: that of the table or collection, else simple];
    /// m=N and ef_construction=N how the graph is built [default: 16, and 128 in PostgreSQL, 200 in Milvus]; shards=N in how many
    /// parts a new collection of Milvus takes rows [default: 1]. `akin stat` shows what holds
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_engine_option)]
    pub engine_option: Vec<(String, String)>,
    /// Print a final report to stdout as a JSON line
    #[arg(long)]
    pub json: bool,
}

/// An option of an engine.
fn parse_engine_option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE, as in text_config=english")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The size that `--passages` names.
pub fn parse_passages(text: &str) -> Result<PassageSize, String> {
    match text {
        "auto" => Ok(PassageSize::Window),
        "none" => Ok(PassageSize::Whole),
        tokens => match tokens.parse() {
            Ok(tokens) if tokens > 0 => Ok(PassageSize::Tokens(tokens)),
            _ => Err("expected auto, none, or a number of tokens from 1 on".into()),
        },
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Row n of the matrix is the vector of document n; without --documents the documents have no text, and
their ids are the numbers of their rows, from 0. Vectors that are compared by their cosine are brought to length
one. The index knows their dimension and no model: it is searched with vectors, by `akin bench` or the library. Importing again adds
documents, or replaces those of the same id.

Examples:
  akin import glosses --vectors glosses.npy
  akin import papers --vectors papers.npy --documents papers.jsonl --id-field doi")]
pub struct ImportArguments {
    /// The folder of the index; it is made if it does not exist
    pub index: PathBuf,
    /// The vectors: a NumPy file of a matrix of floats, one vector in each row
    #[arg(long, value_name = "FILE")]
    pub vectors: PathBuf,
    /// The documents that the vectors are of, in the same order
    #[arg(long, value_name = "FILE")]
    pub documents: Option<PathBuf>,
    /// How vectors are compared [default: that of the index; cosine for a new one]
    #[arg(long, value_enum, value_name = "NAME")]
    pub similarity: Option<SimilarityName>,
    #[command(flatten)]
    pub format: FormatArguments,
    /// The field with the id of a document, in jsonl, csv and tsv
    #[arg(long, value_name = "NAME", default_value = "id")]
    pub id_field: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Row n of the matrix is the vector of the document on line n: both have all live documents, oldest first. Where documents have \
several passages, a row is the vector of a passage, and its line has the text of the passage, the id of the document, and in \
the field `passage` the first byte of it and the one after its last. --documents alone always writes a line a document.
`akin import` reads them again, and so do numpy.load and any reader of JSON lines. Documents that have a field
named `id` or `text` besides are refused rather than cut: give their id or text another name.

Examples:
  akin export notes --vectors notes.npy --documents notes.jsonl
  akin export papers --documents papers.jsonl --id-field doi --text-field abstract
  akin export notes --documents - | jq -r .text")]
pub struct ExportArguments {
    /// The folder of the index, postgres://USER@HOST:PORT/DATABASE/TABLE, milvus://HOST:PORT/COLLECTION, or s3://BUCKET/PREFIX
    pub index: PathBuf,
    /// The NumPy file for the vectors, complete or not there at all
    #[arg(long, value_name = "FILE", required_unless_present = "documents")]
    pub vectors: Option<PathBuf>,
    /// The file for the documents as JSON lines, complete or not there at all; - for stdout
    #[arg(long, value_name = "FILE")]
    pub documents: Option<PathBuf>,
    /// The field to write the id of a document in
    #[arg(long, value_name = "NAME", default_value = "id")]
    pub id_field: String,
    /// The field to write the text of a document in
    #[arg(long, value_name = "NAME", default_value = "text")]
    pub text_field: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Row n of the matrix is the embedding of document n, float32; numpy.load reads it. With --role the texts are
encoded as queries or as documents, with the prompt of the model for them or the one given; otherwise as
sentence-transformers' `encode` does, with the model's default prompt if it has one.

Examples:
  akin encode notes.txt --output notes.npy
  akin encode papers.jsonl --text-field abstract --output papers.npy --device cuda
  akin encode questions.txt --output questions.npy --role query")]
pub struct EncodeArguments {
    #[command(flatten)]
    pub corpus: CorpusArguments,
    /// The NumPy file for the embeddings, complete or not there at all
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    #[command(flatten)]
    pub model: DefaultModel,
    /// Encode the texts as queries or as documents
    #[arg(long, value_enum, value_name = "ROLE")]
    pub role: Option<RoleName>,
    #[command(flatten)]
    pub prompts: PromptArguments,
    #[command(flatten)]
    pub precision: PrecisionArguments,
    /// What computes the network on the processor: our kernels, or the reference, burn [default: cpu]
    #[arg(long, value_enum, value_name = "NAME")]
    pub executor: Option<ExecutorName>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
An id that is not in the index is reported, and is no error: the command can be run twice.

Examples:
  akin delete notes notes.txt:17
  akin delete notes old-1 old-2")]
pub struct DeleteArguments {
    /// The folder of the index, postgres://USER@HOST:PORT/DATABASE/TABLE, or milvus://HOST:PORT/COLLECTION
    pub index: PathBuf,
    /// The ids of the documents
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The index becomes one segment with one graph. Documents that were deleted or replaced are then removed from the \
disk; until then they are not found but take room. The command needs as much free room on the disk as the index \
takes. Whenever it is stopped, the index is the old one or the new one.

An index of format 3, which earlier releases wrote, is upgraded to the present format.

Example:
  akin delete notes notes.txt:17 && akin compact notes")]
pub struct CompactArguments {
    /// The folder of the index
    pub index: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The catalogue is what a writer needs apart from the segments. Queries never read it, and it can be rebuilt from \
the segments. If the manifest is lost too, documents that were deleted in the last commit may come back.

Example:
  akin repair notes && akin verify notes")]
pub struct RepairArguments {
    /// The folder of the index
    pub index: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  akin stat notes
  akin stat notes --json | jq .documents")]
pub struct StatArguments {
    /// The folder of the index, postgres://USER@HOST:PORT/DATABASE/TABLE, milvus://HOST:PORT/COLLECTION, or s3://BUCKET/PREFIX
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
    /// The folder of the index, or s3://BUCKET/PREFIX to fetch and check every byte of one in a bucket
    pub index: PathBuf,
}
