//! `akin map`: lays the documents of an index out in the plane.

use std::io::Write;
use std::time::Instant;

use akin_mining::map::LayoutOptions;
use akin_mining::map::regions::Region;
use akin_server::map::{CorpusMap, KEPT_OF};
use anyhow::{Context, bail};
use serde_json::json;

use crate::commands::cli::MapArguments;
use crate::commands::model;
use crate::commands::output::write_whole;
use crate::commands::terminal::{Terminal, counted};

/// Makes the map, and writes it in the form that was asked for.
pub fn run(arguments: &MapArguments, terminal: &Terminal) -> anyhow::Result<()> {
    if arguments.output.is_none() && !arguments.json && !arguments.csv {
        bail!(
            "the map is an HTML file: name it with --output map.html, or print the places with --json or --csv"
        );
    }
    let snapshot = model::open_reader(&arguments.index)?.snapshot();
    if snapshot.is_empty() {
        bail!("the index {} is empty: there is nothing to lay out", arguments.index.display());
    }
    let started = Instant::now();
    let options = LayoutOptions { neighbors: arguments.neighbors.get(), epochs: None, seed: arguments.seed };
    let map = terminal.with_bar("laying out", |progress| CorpusMap::of(&snapshot, &options, progress))?;
    let took = started.elapsed().as_secs_f32();
    let title = title(arguments);
    let mut bytes = 0;
    write_whole(arguments.output.as_deref(), &mut |output| {
        let mut counting = Counting { output, bytes: 0 };
        match (arguments.json, arguments.csv) {
            (true, _) => write_json(&mut counting, &map)?,
            (_, true) => write_csv(&mut counting, &map)?,
            _ => map.write_html(&title, &mut counting)?,
        }
        bytes = counting.bytes;
        Ok(())
    })?;
    terminal.note(format_args!(
        "{} in {} laid out in {took:.1} s, {:.1} MB: {:.3} of the {KEPT_OF} nearest of a document are among its {KEPT_OF} \
         nearest on the map",
        counted(map.len(), "document"),
        counted(map.regions.finest().len(), "region"),
        bytes as f64 / 1e6,
        map.kept,
    ));
    Ok(())
}

/// The name of the index: that of its folder.
fn title(arguments: &MapArguments) -> String {
    let whole = std::fs::canonicalize(&arguments.index).unwrap_or_else(|_| arguments.index.clone());
    let name = whole.file_name().map_or("index".into(), |name| name.to_string_lossy().into_owned());
    format!("{name}: a map")
}

/// A JSON line a document.
fn write_json(output: &mut dyn Write, map: &CorpusMap) -> anyhow::Result<()> {
    for (row, id) in map.ids.iter().enumerate() {
        let ([x, y], region) = (map.places[row], map.regions.of_row[row]);
        let words = &region_of(map, row).words;
        writeln!(output, "{}", json!({ "id": id, "x": x, "y": y, "region": region, "words": words }))?;
    }
    Ok(())
}

fn write_csv(output: &mut dyn Write, map: &CorpusMap) -> anyhow::Result<()> {
    let mut rows = csv::Writer::from_writer(output);
    rows.write_record(["id", "x", "y", "region", "words"])?;
    for (row, id) in map.ids.iter().enumerate() {
        let ([x, y], region) = (map.places[row], map.regions.of_row[row]);
        let words = region_of(map, row).words.join(" ");
        rows.write_record([id.as_str(), &x.to_string(), &y.to_string(), &region.to_string(), &words])?;
    }
    rows.flush().context("cannot write the last rows")
}

fn region_of(map: &CorpusMap, row: usize) -> &Region {
    &map.regions.regions[map.regions.of_row[row] as usize]
}

/// Counts what is written.
struct Counting<'a> {
    output: &'a mut dyn Write,
    bytes: u64,
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.output.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.output.flush()
    }
}
