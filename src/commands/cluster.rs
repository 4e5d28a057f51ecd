//! `akin cluster`: groups the documents of a corpus or an index by topic.

use std::io::Write;

use akin_index::{Cancelled, Document, Embeddings};
use akin_mining::cluster::{
    AGGLOMERATIVE_MAX_SENTENCES, Clustering, Cut, KmeansStep, agglomerative_with, kmeans,
};
use anyhow::bail;
use serde_json::json;

use crate::commands::cli::{ClusterArguments, ClusterMethod};
use crate::commands::compared::{Compared, Source};
use crate::commands::interrupt::{self, Clean};
use crate::commands::output::write_whole;
use crate::commands::terminal::{Style, Terminal, counted, grouped, on_one_line};

/// What is to be done, when it can be.
enum Plan {
    Kmeans(usize),
    Agglomerative(Cut),
}

/// Encodes every text once, unless its vector is stored, and groups the embeddings.
pub fn run(arguments: &ClusterArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let source = Source::open(&arguments.compared)?;
    let plan = plan(arguments, source.len())?;
    let Compared { documents, sentences } = source.read(terminal)?;
    let embeddings = sentences.into_embeddings();
    let clustering = match plan {
        Plan::Kmeans(clusters) => by_kmeans(&embeddings, clusters, arguments.seed, terminal)?,
        Plan::Agglomerative(cut) => {
            terminal.with_bar("joining", |progress| agglomerative_with(&embeddings, cut, progress))?
        }
    };
    let json = arguments.json || arguments.output.is_some();
    write_whole(arguments.output.as_deref(), &mut |output| match json {
        true => write_json(output, &documents, &clustering),
        false => write_blocks(output, &documents, &clustering, arguments.show, terminal),
    })?;
    terminal.note(format_args!(
        "{} in {}, with a mean similarity to their centers of {:.3}",
        counted(documents.len(), "document"),
        counted(clustering.members.len(), "cluster"),
        clustering.mean_score()
    ));
    Ok(())
}

/// Tells of each round. How many there will be is not known: the bar is of the work of a round.
fn by_kmeans(
    embeddings: &Embeddings,
    clusters: usize,
    seed: u64,
    terminal: &Terminal,
) -> Result<Clustering, Cancelled> {
    let bar = terminal.count_bar(Some(clusters as u64), "centers");
    let _clean = Clean::begin();
    let outcome = kmeans(embeddings, clusters, seed, &mut |step| {
        match step {
            KmeansStep::Drawn { centers, .. } | KmeansStep::Compared { centers, .. } => {
                bar.set_position(centers as u64);
            }
            KmeansStep::Round { number, mean } => bar.suspend(|| {
                terminal.step(format_args!("round {number}: mean similarity {mean:.5}"));
            }),
        }
        interrupt::flow()
    });
    bar.finish_and_clear();
    outcome
}

fn plan(arguments: &ClusterArguments, documents: usize) -> anyhow::Result<Plan> {
    let clusters = arguments.clusters.map(std::num::NonZeroUsize::get);
    if let Some(clusters) = clusters.filter(|clusters| *clusters > documents) {
        bail!("--clusters {clusters} of {}: ask for at most as many", counted(documents, "document"));
    }
    match (arguments.method, clusters, arguments.threshold) {
        (ClusterMethod::Kmeans, Some(clusters), None) => Ok(Plan::Kmeans(clusters)),
        (ClusterMethod::Kmeans, None, None) => bail!("--method kmeans must know how many: add --clusters K"),
        (ClusterMethod::Kmeans, _, Some(_)) => {
            bail!("--threshold is for --method agglomerative: add that, or say --clusters K instead")
        }
        (ClusterMethod::Agglomerative, ..) if documents > AGGLOMERATIVE_MAX_SENTENCES => bail!(
            "--method agglomerative takes at most {} documents, and these are {}: use --method kmeans, or a \
             part of them",
            grouped(AGGLOMERATIVE_MAX_SENTENCES),
            grouped(documents)
        ),
        (ClusterMethod::Agglomerative, Some(clusters), None) => {
            Ok(Plan::Agglomerative(Cut::Clusters(clusters)))
        }
        (ClusterMethod::Agglomerative, None, Some(least)) if (-1.0..=1.0).contains(&least) => {
            Ok(Plan::Agglomerative(Cut::Similarity(least)))
        }
        (ClusterMethod::Agglomerative, None, Some(least)) => {
            bail!("--threshold {least} is no cosine similarity: from -1 to 1")
        }
        (ClusterMethod::Agglomerative, ..) => {
            bail!(
                "--method agglomerative must know when to stop: add --clusters K or --threshold S, not both"
            )
        }
    }
}

fn write_json(output: &mut dyn Write, documents: &[Document], clustering: &Clustering) -> anyhow::Result<()> {
    for (row, document) in documents.iter().enumerate() {
        let (cluster, score) = (clustering.cluster[row], clustering.score[row]);
        writeln!(output, "{}", json!({ "id": document.id, "cluster": cluster, "score": score }))?;
    }
    Ok(())
}

/// A block a cluster: its size, and the texts in its middle.
fn write_blocks(
    output: &mut dyn Write,
    documents: &[Document],
    clustering: &Clustering,
    show: usize,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    for (cluster, rows) in clustering.members.iter().enumerate() {
        if cluster > 0 {
            writeln!(output)?;
        }
        let heading = format!("cluster {cluster}: {}", counted(rows.len(), "document"));
        writeln!(output, "{}", terminal.paint(Style::Bold, &heading))?;
        let shown = &rows[..show.min(rows.len())];
        let ids: Vec<String> = shown.iter().map(|row| on_one_line(&documents[*row].id)).collect();
        let width = ids.iter().map(|id| id.chars().count()).max().unwrap_or(0).min(40);
        for (row, id) in shown.iter().zip(ids) {
            let score = terminal.paint(Style::Score, &format!("{:6.3}", clustering.score[*row]));
            let id = terminal.paint(Style::Id, &format!("{id:width$}"));
            writeln!(output, "{score}  {id}  {}", on_one_line(&documents[*row].text))?;
        }
    }
    Ok(())
}
