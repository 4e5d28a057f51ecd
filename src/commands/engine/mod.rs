//! Commands whose INDEX is the address of an engine: `postgres://USER@HOST:PORT/DATABASE/TABLE` or
//! `milvus://HOST:PORT/COLLECTION`.
//!
//! Each does what its namesake does with a folder. What an engine does not do is refused by its option.

mod ask;
mod index;

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

use akin_encoder::{EncoderOptions, SentenceEncoder};
use akin_engines::{Address, Engine, Error};
use akin_index::Embeddings;
use akin_query::json::{engine_stat, passage_size};
use anyhow::{Context, bail};

pub use self::ask::{batch, query};
pub use self::index::index;
use crate::commands::cli::{DeleteArguments, ExportArguments, StatArguments};
use crate::commands::corpus::write_line;
use crate::commands::interrupt;
use crate::commands::model;
use crate::commands::output::write_whole;
use crate::commands::terminal::{Terminal, bytes, counted, grouped};
use crate::commands::vectors::VectorsOutput;

/// Addresses that people try and that name no engine.
const UNKNOWN: [&str; 4] = ["http://", "https://", "gs://", "az://"];

/// The address that a path is, if it is one.
pub fn address(path: &Path) -> anyhow::Result<Option<Address>> {
    let Some(text) = path.to_str() else { return Ok(None) };
    if let Some(scheme) = UNKNOWN.iter().find(|scheme| text.starts_with(**scheme)) {
        bail!(
            "{scheme} is no engine that this release knows: name a folder, postgres://USER@HOST:PORT/DATABASE/TABLE, milvus://HOST:PORT/COLLECTION, or s3://BUCKET/PREFIX"
        );
    }
    Ok(if Address::is_one(text) { Some(Address::parse(text)?) } else { None })
}

/// A text without the passwords of addresses in it.
pub fn without_passwords(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str("://");
        let server = part.split(['/', ' ']).next().unwrap_or_default();
        match server.rsplit_once('@').map(|(login, _)| login) {
            Some(login) => {
                shown.push_str(login.split(':').next().unwrap_or_default());
                shown.push_str(&part[login.len()..]);
            }
            None => shown.push_str(part),
        }
    }
    shown
}

/// `akin delete`.
pub fn delete(arguments: &DeleteArguments, address: Address, terminal: &Terminal) -> anyhow::Result<()> {
    let mut engine = address.open()?;
    let mut ids: Vec<&str> = arguments.ids.iter().map(String::as_str).collect();
    ids.sort_unstable();
    ids.dedup();
    let existed = engine.delete(&ids)?;
    for (id, _) in ids.iter().zip(&existed).filter(|(_, existed)| !**existed) {
        terminal.note(format_args!("not there: {id}"));
    }
    let deleted = existed.iter().filter(|existed| **existed).count();
    let left = engine.figures()?.documents;
    terminal.note(format_args!("deleted {}, {} left", counted(deleted, "document"), grouped(left)));
    Ok(())
}

/// `akin stat`.
pub fn stat(arguments: &StatArguments, address: Address) -> anyhow::Result<()> {
    let mut engine = address.open()?;
    let mut output = BufWriter::new(io::stdout().lock());
    let written = if arguments.json {
        let line = engine_stat(&mut *engine)?;
        writeln!(output, "{line}")
    } else {
        let figures = engine.figures()?;
        let (model, text_config) = (engine.model(), engine.text_config());
        let chosen: Vec<String> =
            engine.chosen().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let lines = [
            ("engine", engine.place()),
            ("documents", grouped(figures.documents)),
            (
                "passages",
                format!("{} (--passages {})", grouped(figures.passages), passage_size(model.passages)),
            ),
            ("graph", if figures.has_graph { "yes" } else { "no, a query is compared with all" }.into()),
            ("words", text_config.unwrap_or("none").into()),
            ("options", chosen.join(" ")),
            ("dimension", grouped(model.dimension)),
            ("similarity", model.similarity.name().into()),
            ("model", model.location.clone()),
            ("fingerprint", model.fingerprint.clone()),
            (
                "on disk",
                if figures.bytes > 0 { bytes(figures.bytes) } else { "the server does not tell".into() },
            ),
        ];
        lines.iter().try_for_each(|(name, figure)| writeln!(output, "{name:11}  {figure}"))
    };
    written.and_then(|()| output.flush()).context("cannot write to stdout")
}

/// `akin export`.
pub fn export(arguments: &ExportArguments, address: Address, terminal: &Terminal) -> anyhow::Result<()> {
    if arguments.id_field == arguments.text_field {
        bail!("--id-field and --text-field are both {:?}: a document has both", arguments.id_field);
    }
    let mut engine = address.open()?;
    let figures = engine.figures()?;
    if arguments.vectors.is_some() && figures.passages > figures.documents {
        bail!(
            "documents of {} have several passages, whose vectors are not exported from there: export --documents alone",
            engine.place()
        );
    }
    let bar = terminal.documents_bar(figures.documents);
    if let Some(path) = &arguments.vectors {
        let mut output = VectorsOutput::create(path, engine.model().dimension)?;
        let dimension = engine.model().dimension;
        engine.each(&mut |stored| {
            interrupted()?;
            let mut rows = Embeddings::empty(dimension);
            stored.vectors.iter().for_each(|vector| rows.push(vector));
            bar.inc(1);
            output.write(&rows).map_err(|error| Error::Shown(format!("{error:#}")))
        })?;
        output.finish()?;
    }
    bar.set_position(0);
    if let Some(path) = &arguments.documents {
        let (id_field, text_field) = (&arguments.id_field, &arguments.text_field);
        write_whole(Some(path), &mut |output| {
            let each = engine.each(&mut |stored| {
                interrupted()?;
                bar.inc(1);
                write_line(output, stored.document, id_field, text_field)
                    .map_err(|error| Error::Shown(format!("{error:#}")))
            });
            Ok(each?)
        })?;
    }
    bar.finish_and_clear();
    terminal.note(format_args!("{} exported", counted(figures.documents, "document")));
    Ok(())
}

/// The model named, else that of the table, with the prompts and dimensions of the table.
fn encoder_of(
    engine: &dyn Engine,
    named: Option<&str>,
    options: &EncoderOptions,
) -> anyhow::Result<SentenceEncoder> {
    let of_table = engine.model();
    let encoder = match named {
        Some(name) => model::load(name, options)?,
        None => model::load(&of_table.location, options).map_err(model::moved)?,
    };
    if encoder.fingerprint() != of_table.fingerprint {
        bail!(
            "{} was built with the model {}, and this is another: use that model, or name another place",
            engine.place(),
            of_table.location
        );
    }
    Ok(model::adopt(encoder, of_table)?)
}

fn interrupted() -> Result<(), Error> {
    match interrupt::flow() {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(akin_index::Error::Cancelled.into()),
    }
}

/// Refuses what an engine does not do.
fn refuse(options: &[(&str, bool, &str)]) -> anyhow::Result<()> {
    for (option, is_given, instead) in options {
        if *is_given {
            bail!("{option}: this is for folders alone: {instead}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_shown_to_nobody() {
        let said =
            without_passwords("cannot open postgres://me:se@cret@host:1/d/t: see https://example.org/a@b:c");
        assert_eq!(said, "cannot open postgres://me@host:1/d/t: see https://example.org/a@b:c");
        assert_eq!(without_passwords("nothing"), "nothing");
    }
}
