//! The command line: arguments and help of every subcommand, for clap.

mod compare;
mod eval;
mod index;
mod map;
mod negatives;
mod options;
mod scale;
mod search;
mod serve;
mod train;

use std::num::NonZeroUsize;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::compare::*;
pub use self::eval::*;
pub use self::index::*;
pub use self::map::*;
pub use self::negatives::*;
pub use self::options::*;
pub use self::scale::*;
pub use self::search::*;
pub use self::serve::*;
pub use self::train::*;
pub use akin_query::json::passage_size as passages_option;

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
    /// Answer queries and encode texts for other programs, over HTTP
    Serve(ServeArguments),
    /// Give an agent tools to search indexes, by the Model Context Protocol
    Mcp(McpArguments),
    /// Print documents of an index by their ids
    Show(ShowArguments),
    /// Find the most similar pairs of a corpus or an index
    Pairs(PairsArguments),
    /// Find the near duplicates of a corpus or an index, or write it without them
    Dedup(DedupArguments),
    /// Group a corpus or an index by what its documents are about
    Cluster(ClusterArguments),
    /// Lay an index out as a map: an HTML file to look at
    Map(MapArguments),
    /// Measure recall and speed of an index, to choose an `ef`
    Bench(BenchArguments),
    /// Make an index of vectors that were computed elsewhere
    Import(ImportArguments),
    /// Write the vectors and documents of an index to files
    Export(ExportArguments),
    /// Write the embeddings of a corpus to a NumPy file
    Encode(EncodeArguments),
    /// Cut a corpus into parts of equal work, for machines that each encode one
    Shard(ShardArguments),
    /// Make one index of several, without encoding or building again
    Adopt(AdoptArguments),
    /// Copy an index to another place: a folder, a bucket, PostgreSQL or Milvus
    Copy(CopyArguments),
    /// Delete documents from an index by their ids
    Delete(DeleteArguments),
    /// Rewrite an index without deleted documents
    Compact(CompactArguments),
    /// Rebuild the catalogue of an index, or a lost manifest, from its segments
    Repair(RepairArguments),
    /// Print the figures of an index
    Stat(StatArguments),
    /// Check every byte of an index
    Verify(VerifyArguments),
    /// Find hard negatives for pairs, to train with
    Negatives(Box<NegativesArguments>),
    /// Train a model, or go on training one
    Train(Box<TrainArguments>),
    /// Evaluate a model
    Eval(EvalArguments),
    /// Print completions for a shell
    Completions(CompletionsArguments),
}

impl Command {
    /// Whether it may run for long without asking anything, and ends at a clean point when it is interrupted. A server ends
    /// cleanly by its own means.
    pub fn is_long(&self) -> bool {
        !matches!(
            self,
            Self::Query(_)
                | Self::Serve(_)
                | Self::Mcp(_)
                | Self::Show(_)
                | Self::Delete(_)
                | Self::Stat(_)
                | Self::Completions(_)
        )
    }
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
