//! `akin train`: trains a model.

use std::io::{self, Write};
use std::path::Path;

use akin_trainer::anchors::has_margins;
use akin_trainer::base::BaseModel;
use akin_trainer::example::Target;
use akin_trainer::examples::{TrainingSet, read_dev_set, read_taught_set, read_training_set};
use akin_trainer::lora::{Adapted, LoraSettings};
use akin_trainer::network::Network;
use akin_trainer::objective::Objective;
use akin_trainer::teacher::Teacher;
use akin_trainer::training::{self, Event, Run, TrainingReport, TrainingSettings};
use anyhow::{Context, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::commands::cli::{AdaptedName, ObjectiveName, TrainArguments};
use crate::commands::eval::base_directory;
use crate::commands::interrupt::{self, Clean};
use crate::commands::terminal::{Terminal, counted, grouped};

/// Trains, and says how good the model became.
pub fn run(arguments: &TrainArguments, terminal: &Terminal) -> anyhow::Result<()> {
    akin_kernels::memory::keep_freed_memory();
    if arguments.output.exists() && !arguments.resume {
        bail!(
            "{} exists: choose another output, remove it, or go on with its run by --resume",
            arguments.output.display()
        );
    }
    // Files of the base are read until the model is written.
    let (base, _folder) = open_base(arguments, terminal)?;
    let settings = settings(arguments);
    settings.check(base.dimension())?;
    let set = read_set(arguments, &base, settings.objective, terminal)?;
    if settings.objective != Objective::Cosent {
        // CoSENT asks for the order of scores alone.
        note_low_scores(&set, arguments, terminal);
    }
    let dev = arguments.dev.as_deref().map(|path| read_dev_set(path, &base, &set.labels)).transpose()?;
    if !set.labels.is_empty() {
        terminal.step(format_args!("the labels are {}", set.labels.join(", ")));
    }

    let device = training::device();
    let mut bert = match arguments.from_scratch {
        true => base.random_network(arguments.seed, &device)?,
        false => base.network(&device)?,
    };
    if let Some(layers) = arguments.reinitialize {
        bert = base.reinitialized(bert, layers, arguments.seed);
    }
    let mut network =
        Network::new(bert, &base, settings.objective, set.labels.len(), arguments.seed, &device)?;
    if let Some(lora) = &settings.lora {
        network = network.with_adapters(lora, arguments.seed);
    }
    let bar = terminal.documents_bar(0);
    let run = Run {
        base: &base,
        network,
        settings,
        set: &set,
        dev: dev.as_ref(),
        output: arguments.output.clone(),
        identity: identity(arguments, &base, &set),
    };
    let mut dev_score = String::new();
    let mut taken = 0;
    let _clean = Clean::begin();
    let report = run.go_with(arguments.resume, &mut |event| {
        match event {
            Event::Step { step, of, loss } => {
                taken = step;
                bar.set_length(of as u64);
                bar.set_position(step as u64);
                bar.set_message(format!("loss {loss:.4}{dev_score}"));
            }
            Event::Evaluated { step, score, best } => {
                dev_score = format!("  dev {:.2}, best {:.2}", 100.0 * score, 100.0 * best);
                bar.suspend(|| {
                    terminal.note(format_args!("step {}: dev {:.2}", grouped(step), 100.0 * score));
                });
            }
            Event::Resumed { steps } => {
                bar.reset_eta();
                terminal.note(format_args!("going on after step {}", grouped(steps)));
            }
        }
        interrupt::flow()
    });
    bar.finish_and_clear();
    let kept = || {
        let (steps, output) = (counted(taken, "step"), arguments.output.display());
        format!("{steps} of the run are kept in {output}, and --resume goes on with it")
    };
    let report = interrupt::with_kept(report.map_err(Into::into), kept);
    let report = report.with_context(|| format!("cannot train {}", arguments.output.display()))?;
    tell(&report, &arguments.output, arguments.json, terminal).context("cannot write to stdout")
}

/// What distinguishes a run from others with the same settings.
fn identity(arguments: &TrainArguments, base: &BaseModel, set: &TrainingSet) -> Value {
    let mut identity = json!({
        "base": arguments.base,
        "train": arguments.train,
        "dev": arguments.dev,
        "teacher": arguments.teacher,
        "examples": set.examples.len(),
        "max_score": arguments.max_score,
        "max_tokens": arguments.max_tokens,
        "pooling": format!("{:?}", base.pooling()).to_lowercase(),
        "from_scratch": arguments.from_scratch,
        "reinitialize": arguments.reinitialize,
    });
    // Without it the identity is that of earlier releases, whose runs can be resumed.
    if arguments.add_characters {
        identity["add_characters"] = json!(true);
    }
    identity
}

/// Opens the base. With characters to add that is a copy which has them, in a folder that is removed when it is dropped.
fn open_base(
    arguments: &TrainArguments,
    terminal: &Terminal,
) -> anyhow::Result<(BaseModel, Option<TempDir>)> {
    let pooling = arguments.pooling.map(|name| name.pooling());
    let open = |dir: &Path| BaseModel::open(dir, pooling, arguments.max_tokens.map(usize::from));
    let base = open(&base_directory(&arguments.base)?)?;
    if !arguments.add_characters {
        return Ok((base, None));
    }
    let folder = tempfile::tempdir().context("cannot make a folder for the base with more characters")?;
    let copy = folder.path().join("base");
    let added = base.save_with_characters_of(&arguments.train, &copy)?;
    terminal.note(format_args!("{} added to the vocabulary", counted(added, "piece")));
    Ok((open(&copy)?, Some(folder)))
}

/// Reads the examples, with what a teacher says of them where there is one.
fn read_set(
    arguments: &TrainArguments,
    base: &BaseModel,
    objective: Objective,
    terminal: &Terminal,
) -> anyhow::Result<TrainingSet> {
    let is_taught = matches!(objective, Objective::Distillation | Objective::Margin);
    let Some(teacher) = &arguments.teacher else {
        if objective == Objective::Margin && !has_margins(&arguments.train)? {
            bail!(
                "{} has no column margin: --teacher names a model that gives the margins",
                arguments.train.display()
            );
        }
        return Ok(read_training_set(&arguments.train, base, objective, arguments.max_score)?);
    };
    if !is_taught {
        bail!("--teacher is for the objectives distillation and margin: leave it out, or choose one of them");
    }
    let teacher = Teacher::open(&base_directory(teacher)?)?;
    let bar = terminal.documents_bar(0);
    let set = read_taught_set(&arguments.train, base, objective, Some(&teacher), &mut |done, of| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    Ok(set?)
}

/// Tells of scores that were likely given on another scale. Those of 0 to 1 would otherwise have equal sentences trained
/// towards a cosine of 0.2.
fn note_low_scores(set: &TrainingSet, arguments: &TrainArguments, terminal: &Terminal) {
    let scores = set.examples.iter().filter_map(|example| match example.target {
        Target::Score(score) => Some(f64::from(score)),
        _ => None,
    });
    let greatest =
        scores.fold(None, |greatest: Option<f64>, score| Some(greatest.unwrap_or(score).max(score)));
    if let Some(greatest) = greatest.filter(|greatest| *greatest <= 0.5) {
        // Scores are kept as shares of the greatest possible one, in single precision.
        let greatest = (greatest * arguments.max_score * 1e4).round() / 1e4;
        terminal.note(format_args!(
            "no score is above {greatest}, and they are taken as of 0 to {}: --max-score says the greatest possible score",
            arguments.max_score
        ));
    }
}

fn settings(arguments: &TrainArguments) -> TrainingSettings {
    let objective = match arguments.objective {
        ObjectiveName::Regression => Objective::Regression,
        ObjectiveName::Classification => Objective::Classification(arguments.concatenation.concatenation()),
        ObjectiveName::Triplet => Objective::Triplet,
        ObjectiveName::CrossEncoder => Objective::CrossEncoder,
        ObjectiveName::Ranking => Objective::Ranking,
        ObjectiveName::Cosent => Objective::Cosent,
        ObjectiveName::Distillation => Objective::Distillation,
        ObjectiveName::Margin => Objective::Margin,
    };
    let lora = arguments.lora.map(|rank| LoraSettings {
        rank: rank.get(),
        alpha: arguments.lora_alpha.unwrap_or(2.0 * rank.get() as f64),
        on: match arguments.lora_on {
            AdaptedName::QueryValue => Adapted::QueryValue,
            AdaptedName::All => Adapted::All,
        },
    });
    TrainingSettings {
        epochs: arguments.epochs.get(),
        batch_size: arguments.batch_size.get(),
        learning_rate: arguments.learning_rate,
        warmup: arguments.warmup,
        dropout: !arguments.no_dropout,
        seed: arguments.seed,
        evaluate_every: arguments.evaluate_every.map(usize::from),
        patience: arguments.patience.map(usize::from),
        scale: arguments.scale,
        dimensions: arguments.matryoshka.iter().copied().map(usize::from).collect(),
        cached: arguments.cached.map(usize::from),
        lora,
        ..TrainingSettings::new(objective)
    }
}

fn tell(report: &TrainingReport, output: &Path, json: bool, terminal: &Terminal) -> io::Result<()> {
    let rate = (report.steps_here > 0).then(|| report.steps_here as f64 / report.seconds.max(1e-9));
    if json {
        let line = json!({
            "output": output,
            "steps": report.steps,
            "stopped_early": report.stopped_early,
            "dev_score": report.best.map(|(score, _)| 100.0 * score),
            "dev_step": report.best.map(|(_, step)| step),
            "seconds": report.seconds,
            "steps_per_second": rate,
        });
        return writeln!(io::stdout(), "{line}");
    }
    let score = report
        .best
        .map(|(score, step)| format!(", dev {:.2} after step {}", 100.0 * score, grouped(step)))
        .unwrap_or_default();
    let pace = rate.map(|rate| format!(", {rate:.2} a second")).unwrap_or_default();
    let early = if report.stopped_early { ", stopped early" } else { "" };
    terminal.step(format_args!("{:.1} s in steps", report.seconds));
    writeln!(io::stdout(), "{}: {}{pace}{score}{early}", output.display(), counted(report.steps, "step"))
}
