//! Arguments of the commands for corpora that one machine does not encode alone.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{CorpusArguments, parse_count};

#[derive(Debug, Args)]
#[command(after_help = "\
The parts are files of JSON lines, part-00000-of-00008.jsonl and so on, in the order of the corpus. No document is divided. Each \
document has the id that `akin index` gives it when it reads the whole corpus, so that indexes of the parts hold together the \
documents of one index of all. Fields beside id and text come along. Of documents with one id the last counts, as in `akin index`.

Parts have about equal numbers of tokens, estimated from the characters without a model; no part is further from the mean \
than its longest document. The corpus is read three times, in memory that does not grow with its texts.

A part is complete or not there at all. parts.json is written last: it has the documents, estimated tokens, bytes and CRC-32 of each \
part. Where it is not there, the command was interrupted: run it again. The same command writes the same bytes.

Each part is encoded or indexed anywhere, more than once if need be: `akin encode` writes a complete file or none, and the same \
`akin index` goes on where it was ended. `akin adopt` makes one index of those of the parts.

Examples:
  akin shard corpus.jsonl.zst --parts 8 --output parts
  akin index part-3 parts/part-00003-of-00008.jsonl
  akin encode parts/part-00003-of-00008.jsonl --output part-3.npy")]
pub struct ShardArguments {
    #[command(flatten)]
    pub corpus: CorpusArguments,
    /// How many parts
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub parts: NonZeroUsize,
    /// The folder for the parts; it is made if it does not exist
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Print a final report to stdout as a JSON line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The files of the parts get a name in the index (a hard link), or are copied where they lie on another disk or --copy asks for it. \
Nothing is encoded, and no graph is built again. The parts are not changed, and may be deleted afterwards. They must have the \
model, prompts, dimensions, similarity and passages of the index. An index that does not exist is begun like the first part.

Where several have a document of one id, that of the part named last counts, as if the parts had been indexed one after another. \
With --keep first that of the index stays, else that of the part named first. A document that has not changed stays where it is.

All parts come in one commit: a command that is killed leaves the index as it was, and the same command does it again. A part that \
was adopted before is passed over. What the parts know of their files and folders comes along, so that `akin index` passes over \
what has not changed.

Documents of small parts get a graph together where they have 4,096 passages. The graphs of the parts stay apart, \
and a query asks each: `akin index` merges them little by little, --merge at once, and `akin compact` makes one of all.

Examples:
  akin adopt whole part-0 part-1 part-2 part-3
  akin adopt whole parts/* --merge
  akin adopt whole yesterday --keep first")]
pub struct AdoptArguments {
    /// The folder of the index; it is made if it does not exist
    pub index: PathBuf,
    /// The folders of the indexes that it takes over
    #[arg(required = true, value_name = "PART")]
    pub parts: Vec<PathBuf>,
    /// Which document counts where several have one id
    #[arg(long, value_enum, value_name = "WHICH", default_value = "last")]
    pub keep: KeepName,
    /// Copy the files, where they could be linked
    #[arg(long)]
    pub copy: bool,
    /// Merge the graphs that are due now
    #[arg(long)]
    pub merge: bool,
    /// Print a final report to stdout as a JSON line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
FROM and TO are folders of indexes, tables of PostgreSQL as in postgres://USER@HOST:PORT/DATABASE/TABLE, collections of Milvus as in milvus://HOST:PORT/COLLECTION, or places in a bucket of an object store as in s3://BUCKET/PREFIX. Texts, fields, \
passages and vectors are copied; nothing is encoded. TO is made if it does not exist, and has the model, prompts, similarity and \
passages of FROM; one that has others is refused.

Documents that TO has already are passed over, so that the same command goes on after an interruption. Documents that only \
TO has stay there. At the end everything is read back: each document must have its text, fields and passages, and its \
vectors but for rounding to 16 bits; one that has not is sent again. FROM may be searched and changed meanwhile: what is \
copied is its state at the beginning.

What an index knows of the files that its documents came from is not copied: `akin index` reads them again, and encodes \
nothing that has not changed. Between two folders `akin adopt` is faster: it links files, and builds no graph.

With s3://BUCKET/PREFIX the files of the last commit are copied, byte for byte, from a folder into the bucket and from the bucket into a new \
folder, which is then an index like any other. Only files that are not there are sent, in the order manifest last, so that readers see \
the old commit or the new one, and an interrupted copy goes on. Each file is compared with its checksums before it is sent and after it is \
fetched. Objects of earlier commits are removed when the new one is published. PREFIX is refused if it has another index or a newer \
commit, and of two copies at a time the second to publish fails. `akin query`, `batch`, `show`, `stat`, `export`, `verify`, `bench`, `map`, `pairs`, `dedup`, `cluster`, \
`negatives`, `eval retrieval --index`, `serve` and `mcp` read s3://BUCKET/PREFIX through a copy in ~/.cache/akin/buckets (or \
$XDG_CACHE_HOME/akin/buckets), at most 32 GiB in all. `akin verify` fetches every byte again.

AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN say who asks, AWS_REGION where the bucket is, AWS_ENDPOINT_URL which object \
store; a machine or container of AWS may give credentials itself. Files of the AWS command line and proxies are not read. http:// \
is for an endpoint on this machine, unless AWS_ALLOW_HTTP=true. Large files go in parts of 8 MiB: what a killed copy \
leaves of them, a rule of the bucket that ends incomplete uploads removes.

Examples:
  akin copy notes postgres://me@db.example.org/company/notes
  akin copy postgres://me@db.example.org/company/notes backup
  akin copy notes milvus://milvus.example.org:19530/notes
  akin copy notes s3://backups/notes
  akin copy s3://backups/notes restored")]
pub struct CopyArguments {
    /// The index to copy
    pub from: PathBuf,
    /// Where to
    pub to: PathBuf,
    /// Print a final report to stdout as a JSON line
    #[arg(long)]
    pub json: bool,
}

/// Which document of an id counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeepName {
    /// That of the part named last
    Last,
    /// That of the index, else of the part named first
    First,
}
