//! Arguments of `akin map`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::parse_count;

#[derive(Debug, Args)]
#[command(after_help = "\
Each document lies near those that mean nearly the same. The HTML file needs nothing from anywhere else: zoom and drag it,
search in its texts, and colour it by region or by a field. It holds the ids and the first 200 characters of each text.
Regions have three levels, and names from the words that are frequent in them and rare elsewhere. The share of neighbors
that the map keeps is measured on 500 documents and printed. The same seed gives the same map.

With --json each line is a document: {\"id\":...,\"x\":...,\"y\":...,\"region\":12,\"words\":[...]}, with --csv a row.
A document of several passages lies by their mean.

Examples:
  akin map notes --output map.html
  akin map notes --csv --output map.csv
  akin map notes --json | jq -r 'select(.region == 12).id'")]
pub struct MapArguments {
    /// The folder of the index, or s3://BUCKET/PREFIX
    pub index: PathBuf,
    /// The file for the map, complete or not there at all; - for stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write a JSON line a document instead of a page
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Write a row of CSV a document instead of a page
    #[arg(long)]
    pub csv: bool,
    /// How many nearest neighbors draw a document: more shows larger structures
    #[arg(long, value_name = "N", default_value = "15", value_parser = parse_count)]
    pub neighbors: NonZeroUsize,
    /// The seed of the random numbers
    #[arg(long, value_name = "N", default_value = "1")]
    pub seed: u64,
}
