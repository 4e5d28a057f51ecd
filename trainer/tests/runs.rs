//! Whole runs on the tiny model: repeated, killed and resumed, diverged, refused.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use akin_encoder::{CrossEncoder, EncoderOptions, Executor, Precision, SentenceEncoder};
use akin_fixtures::families::networks;
use akin_fixtures::models::tiny;
use akin_fixtures::similarity::greatest_difference;
use akin_fixtures::{Folder, on_threads};
use akin_trainer::Error;
use akin_trainer::base::BaseModel;
use akin_trainer::dev::{DevSet, cross_encoder_scores};
use akin_trainer::examples::{TrainingSet, read_dev_set, read_taught_set, read_training_set};
use akin_trainer::lora::{Adapted, LoraSettings};
use akin_trainer::network::Network;
use akin_trainer::objective::{Concatenation, Objective};
use akin_trainer::sentence_pairs::ScoredPair;
use akin_trainer::teacher::Teacher;
use akin_trainer::training::{Event, Run, TrainingReport, TrainingSettings, device};
use safetensors::SafeTensors;
use serde_json::json;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A base, examples, and a folder for what becomes of them.
struct Workshop {
    base: BaseModel,
    set: TrainingSet,
    dev: DevSet,
    settings: TrainingSettings,
    folder: Folder,
}

impl Workshop {
    fn new(objective: Objective) -> Self {
        let base = BaseModel::open(&tiny("bert"), None, None).unwrap();
        let file = match objective {
            Objective::Triplet | Objective::Ranking => "triplets.tsv",
            Objective::Margin => "ranked.tsv",
            _ => "pairs.tsv",
        };
        let file = path("reference").join(file);
        let set = match objective {
            Objective::Distillation => {
                let teacher = Teacher::open(&tiny("roberta")).unwrap();
                read_taught_set(&file, &base, objective, Some(&teacher), &mut |_, _| {}).unwrap()
            }
            _ => read_training_set(&file, &base, objective, 5.0).unwrap(),
        };
        let dev = read_dev_set(&file, &base, &set.labels).unwrap();
        let settings =
            TrainingSettings { learning_rate: 1e-3, epochs: 2, ..TrainingSettings::new(objective) };
        Self { base, set, dev, settings, folder: Folder::new() }
    }

    fn output(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    fn run(
        &self,
        output: &str,
        resume: bool,
        observer: &mut dyn FnMut(Event),
    ) -> Result<TrainingReport, Error> {
        self.prepared(output)?.go(resume, observer)
    }

    fn prepared(&self, output: &str) -> Result<Run<'_>, Error> {
        let device = device();
        let bert = self.base.network(&device).unwrap();
        let labels = self.set.labels.len();
        let seed = self.settings.seed;
        let mut network = Network::new(bert, &self.base, self.settings.objective, labels, seed, &device)?;
        if let Some(lora) = &self.settings.lora {
            network = network.with_adapters(lora, seed);
        }
        Ok(Run {
            base: &self.base,
            network,
            settings: self.settings.clone(),
            set: &self.set,
            dev: Some(&self.dev),
            output: self.output(output),
            identity: json!({ "train": "pairs.tsv" }),
        })
    }

    fn weights(&self, output: &str) -> Vec<u8> {
        std::fs::read(self.output(output).join("model.safetensors")).unwrap()
    }
}

/// On one thread.
fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    on_threads(1, work)
}

#[test]
fn a_run_repeats_bit_for_bit_on_one_thread_and_another_seed_is_another_run() {
    alone(|| {
        let mut workshop = Workshop::new(Objective::Regression);
        workshop.run("one", false, &mut |_| {}).unwrap();
        workshop.run("two", false, &mut |_| {}).unwrap();
        assert!(workshop.weights("one") == workshop.weights("two"));
        let curve = |name: &str| std::fs::read(workshop.output(name).join("loss.csv")).unwrap();
        assert!(curve("one") == curve("two"));
        workshop.settings.seed = 43;
        workshop.run("three", false, &mut |_| {}).unwrap();
        assert!(workshop.weights("one") != workshop.weights("three"));
    });
}

#[test]
fn a_killed_run_goes_on_to_the_same_model() {
    check_killed(Workshop::new(Objective::Classification(Concatenation::UVDifference)), |_| {});
}

#[test]
fn a_killed_run_of_another_family_goes_on_to_the_same_model() {
    let (networks, _) = networks();
    let model = networks.iter().find(|network| network.name == "deberta-v3").unwrap().model("mean");
    let mut workshop = Workshop::new(Objective::Regression);
    workshop.base = BaseModel::open(model.path(), None, Some(48)).unwrap();
    check_killed(workshop, |_| {});
}

#[test]
fn a_run_that_an_earlier_release_began_goes_on_to_the_same_model() {
    check_killed(Workshop::new(Objective::Regression), |state| {
        let path = state.join("network.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let older = |name: &str| name.replacen("encoder.Bert.", "bert.", 1);
        let tensors: Vec<_> = tensors.iter().map(|(name, view)| (older(name), view)).collect();
        assert!(tensors.iter().any(|(name, _)| name == "bert.layers.0.attention.query.weight"));
        let metadata = Some([("format".to_owned(), "burn".to_owned())].into());
        std::fs::write(&path, safetensors::serialize(tensors, metadata).unwrap()).unwrap();
    });
}

#[test]
fn a_killed_run_of_adapters_goes_on_to_the_same_model() {
    let mut workshop = Workshop::new(Objective::Ranking);
    workshop.settings.lora = Some(LoraSettings { rank: 2, alpha: 4.0, on: Adapted::All });
    workshop.settings.cached = Some(7);
    check_killed(workshop, |_| {});
}

#[track_caller]
fn check_killed(mut workshop: Workshop, change: impl Fn(&Path) + Sync) {
    alone(|| {
        workshop.settings.evaluate_every = Some(3);
        workshop.run("whole", false, &mut |_| {}).unwrap();
        let killed = catch_unwind(AssertUnwindSafe(|| {
            workshop.run("killed", false, &mut |event| {
                assert!(!matches!(event, Event::Step { step: 5, .. }), "the power fails");
            })
        }));
        assert!(killed.is_err());
        let refused = workshop.run("killed", false, &mut |_| {}).unwrap_err().to_string();
        assert!(refused.contains("an unfinished run"), "{refused}");
        change(&workshop.output("killed").join("checkpoints/step-3"));
        let mut resumed_after = None;
        let report = workshop
            .run("killed", true, &mut |event| {
                if let Event::Resumed { steps } = event {
                    resumed_after = Some(steps);
                }
            })
            .unwrap();
        assert_eq!((resumed_after, report.steps_here), (Some(3), report.steps - 3));
        assert!(workshop.weights("whole") == workshop.weights("killed"));
        for name in ["loss.csv", "loss.svg", "training.json"] {
            let read = |run: &str| std::fs::read(workshop.output(run).join(name)).unwrap();
            assert!(read("whole") == read("killed"), "{name}");
        }
        assert!(!workshop.output("killed").join("checkpoints").exists());
    });
}

#[test]
fn a_run_that_was_stopped_goes_on_after_its_last_step_to_the_same_model() {
    alone(|| {
        let mut workshop = Workshop::new(Objective::Regression);
        workshop.settings.evaluate_every = Some(3);
        workshop.run("whole", false, &mut |_| {}).unwrap();
        let stopped = workshop.prepared("stopped").unwrap().go_with(false, &mut |event| match event {
            Event::Step { step: 2, .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        assert!(matches!(stopped, Err(Error::Cancelled { step: 2 })), "{stopped:?}");
        let mut resumed_after = None;
        let note = &mut |event| {
            if let Event::Resumed { steps } = event {
                resumed_after = Some(steps);
            }
        };
        workshop.run("stopped", true, note).unwrap();
        assert_eq!(resumed_after, Some(2));
        assert!(workshop.weights("whole") == workshop.weights("stopped"));
    });
}

#[test]
fn adapters_change_what_they_are_on_and_nothing_else() {
    let mut workshop = Workshop::new(Objective::Ranking);
    workshop.settings.lora = Some(LoraSettings { rank: 2, alpha: 4.0, on: Adapted::QueryValue });
    workshop.run("model", false, &mut |_| {}).unwrap();
    let read = |path: PathBuf| std::fs::read(path).unwrap();
    let (before, after) = (read(tiny("bert").join("model.safetensors")), workshop.weights("model"));
    let [before, after] = [&before, &after].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
    let mut changed = 0;
    for (name, tensor) in after.tensors() {
        let is_adapted = name.ends_with("self.query.weight") || name.ends_with("self.value.weight");
        assert_eq!(tensor.data() != before.tensor(&name).unwrap().data(), is_adapted, "{name}");
        changed += usize::from(is_adapted);
    }
    assert_eq!(changed, 2 * workshop.base.layers());
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let refused = |objective, change: fn(&mut TrainingSettings)| {
        let mut workshop = Workshop::new(objective);
        change(&mut workshop.settings);
        let refused = workshop.run("model", false, &mut |_| {}).unwrap_err().to_string();
        assert!(!workshop.output("model").exists());
        refused
    };
    let error = refused(Objective::Ranking, |settings| settings.dimensions = vec![32, 33]);
    assert!(error.contains("cannot be cut to 33"), "{error}");
    let error = refused(Objective::CrossEncoder, |settings| settings.dimensions = vec![16]);
    assert!(error.contains("one dimension"), "{error}");
    let error = refused(Objective::CrossEncoder, |settings| settings.cached = Some(4));
    assert!(error.contains("none to cache"), "{error}");
}

#[test]
fn a_run_does_not_go_on_with_other_settings() {
    let mut workshop = Workshop::new(Objective::Regression);
    workshop.settings.evaluate_every = Some(1);
    let killed = catch_unwind(AssertUnwindSafe(|| {
        workshop.run("run", false, &mut |event| {
            assert!(!matches!(event, Event::Step { step: 2, .. }), "the power fails");
        })
    }));
    assert!(killed.is_err());
    workshop.settings.learning_rate = 2e-3;
    let refused = workshop.run("run", true, &mut |_| {}).unwrap_err().to_string();
    assert!(refused.contains("learning_rate was 0.001 and is 0.002"), "{refused}");
}

#[test]
fn every_objective_lowers_its_loss_and_writes_a_model() {
    for objective in [
        Objective::Regression,
        Objective::Classification(Concatenation::UVDifferenceProduct),
        Objective::Triplet,
        Objective::CrossEncoder,
        Objective::Ranking,
        Objective::Cosent,
        Objective::Distillation,
        Objective::Margin,
    ] {
        let mut workshop = Workshop::new(objective);
        workshop.settings.epochs = if objective == Objective::Ranking { 25 } else { 8 };
        let mut losses = Vec::new();
        let report = workshop.run("model", false, &mut |event| {
            if let Event::Step { loss, .. } = event {
                losses.push(loss);
            }
        });
        let report = report.unwrap();
        assert_eq!(losses.len(), report.steps);
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let (first, last) = (mean(&losses[..4]), mean(&losses[losses.len() - 4..]));
        // Of a cross-encoder's loss most is the entropy of the scores, which stays.
        assert!(last < first - 0.01, "{objective:?}: {first} to {last}");
        let output = workshop.output("model");
        for name in ["model.safetensors", "config.json", "tokenizer.json", "loss.csv", "loss.svg"] {
            assert!(output.join(name).is_file(), "{objective:?}: {name}");
        }
        if objective != Objective::CrossEncoder {
            let encoders = [Executor::Burn, Executor::Cpu].map(|executor| {
                SentenceEncoder::load_with(&output, &EncoderOptions { executor, ..EncoderOptions::default() })
                    .unwrap()
            });
            let texts = ["The shop opens at nine.", "ok"];
            let [burn, cpu] = encoders.map(|encoder| encoder.encode(&texts).unwrap().embeddings);
            assert!(greatest_difference(burn.as_slice(), cpu.as_slice()) < 1e-4, "{objective:?}");
        }
    }
}

#[test]
fn a_cross_encoder_learns_from_labels_and_scores_what_it_writes() {
    for name in ["bert", "roberta"] {
        let mut workshop = Workshop::new(Objective::CrossEncoder);
        workshop.base = BaseModel::open(&tiny(name), None, Some(40)).unwrap();
        let rows = std::fs::read_to_string(path("reference/pairs.tsv")).unwrap();
        let rows: Vec<Vec<&str>> = rows.lines().skip(1).map(|line| line.split('\t').collect()).collect();
        let label = |row: &Vec<&str>| u8::from(row[0].parse::<f64>().unwrap() >= 2.5);
        let lines = rows.iter().map(|row| format!("{}\t{}\t{}\n", label(row), row[2], row[3]));
        let file = workshop
            .folder
            .write("labels.tsv", format!("label\tsentence1\tsentence2\n{}", lines.collect::<String>()));
        workshop.set = read_training_set(&file, &workshop.base, Objective::CrossEncoder, 5.0).unwrap();
        workshop.dev = read_dev_set(&file, &workshop.base, &[]).unwrap();
        workshop.settings.epochs = 25;
        let mut losses = Vec::new();
        let report = workshop.run("model", false, &mut |event| {
            if let Event::Step { loss, .. } = event {
                losses.push(loss);
            }
        });
        assert!(report.unwrap().best.unwrap().0 > 0.3);
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let (first, last) = (mean(&losses[..4]), mean(&losses[losses.len() - 4..]));
        assert!(last < first - 0.03, "{name}: {first} to {last}");

        let output = workshop.output("model");
        let encoder = CrossEncoder::load(&output, Precision::F32).unwrap();
        assert_eq!(encoder.max_tokens(), 40);
        // Both sides of the last pairs are longer than the model reads.
        let long = rows.iter().map(|row| row[2]).collect::<Vec<_>>().join(" ");
        let mut pairs: Vec<(&str, &str)> = rows.iter().map(|row| (row[2], row[3])).collect();
        pairs.extend([(long.as_str(), rows[0][2]), (rows[0][2], &long), (&long, &long)]);
        let scored: Vec<ScoredPair> = pairs
            .iter()
            .map(|(a, b)| ScoredPair { score: 0.0, sentence1: (*a).into(), sentence2: (*b).into() })
            .collect();
        let base = BaseModel::open(&output, None, None).unwrap();
        let network = Network::open_cross_encoder(&base, &device()).unwrap();
        let logits = cross_encoder_scores(&network, &base, &scored).unwrap();
        for (score, logit) in encoder.score(&pairs).unwrap().iter().zip(&logits) {
            let expected = 1.0 / (1.0 + (-*logit).exp());
            assert!((f64::from(*score) - expected).abs() < 1e-4, "{name}: {score} and not {expected}");
        }
        // Training goes on with the whole head.
        let again =
            Network::new(base.network(&device()).unwrap(), &base, Objective::CrossEncoder, 0, 7, &device());
        let scores = cross_encoder_scores(&again.unwrap(), &base, &scored[..3]).unwrap();
        assert!(scores.iter().zip(&logits).all(|(a, b)| (a - b).abs() < 1e-6), "{name}: another head");
    }
}

#[test]
fn cross_encoders_of_other_families_score_as_training_does() {
    let (networks, _) = networks();
    let rows = std::fs::read_to_string(path("reference/pairs.tsv")).unwrap();
    let rows: Vec<Vec<&str>> = rows.lines().skip(1).take(12).map(|line| line.split('\t').collect()).collect();
    let pairs: Vec<(&str, &str)> = rows.iter().map(|row| (row[2], row[3])).collect();
    let scored =
        |(a, b): &(&str, &str)| ScoredPair { score: 0.0, sentence1: (*a).into(), sentence2: (*b).into() };
    let scored: Vec<ScoredPair> = pairs.iter().map(scored).collect();
    for name in ["distilbert", "electra", "albert", "deberta-v2", "deberta-v3", "modernbert"] {
        let model = networks.iter().find(|network| network.name == name).unwrap().model("mean");
        let base = BaseModel::open(model.path(), None, Some(40)).unwrap();
        let network = base.network(&device()).unwrap();
        let network = Network::new(network, &base, Objective::CrossEncoder, 0, 7, &device()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        network.write(&base, folder.path()).unwrap();
        let written = CrossEncoder::load(folder.path(), Precision::F32).unwrap();
        let logits = cross_encoder_scores(&network, &base, &scored).unwrap();
        for (score, logit) in written.score(&pairs).unwrap().iter().zip(&logits) {
            let expected = 1.0 / (1.0 + (-*logit).exp());
            assert!((f64::from(*score) - expected).abs() < 1e-4, "{name}: {score} and not {expected}");
        }
        // Training goes on with the whole head.
        let base = BaseModel::open(folder.path(), None, Some(40)).unwrap();
        let network = base.network(&device()).unwrap();
        let again = Network::new(network, &base, Objective::CrossEncoder, 0, 8, &device()).unwrap();
        let scores = cross_encoder_scores(&again, &base, &scored).unwrap();
        assert!(scores.iter().zip(&logits).all(|(a, b)| (a - b).abs() < 1e-5), "{name}: another head");
    }
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_model() {
    let mut workshop = Workshop::new(Objective::Regression);
    workshop.settings.evaluate_every = Some(1);
    workshop.settings.learning_rate = 1e30;
    let error = workshop.run("model", false, &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::Diverged { .. }), "{error}");
    let best = workshop.output("model").join("checkpoints/best");
    assert!(error.to_string().contains(best.to_str().unwrap()), "{error}");
    SentenceEncoder::load(&best).unwrap().encode(&["ok"]).unwrap();
}

#[test]
fn a_run_stops_when_its_score_no_longer_rises() {
    let mut workshop = Workshop::new(Objective::Triplet);
    workshop.settings.learning_rate = 1e-12;
    workshop.settings.epochs = 20;
    workshop.settings.evaluate_every = Some(1);
    workshop.settings.patience = Some(2);
    let report = workshop.run("model", false, &mut |_| {}).unwrap();
    assert!(report.stopped_early);
    assert_eq!((report.steps, report.best.unwrap().1), (3, 1));
}

#[test]
fn an_output_that_exists_is_left_alone() {
    let workshop = Workshop::new(Objective::Regression);
    std::fs::create_dir(workshop.output("model")).unwrap();
    let refused = workshop.run("model", false, &mut |_| {}).unwrap_err().to_string();
    assert!(refused.contains("exists"), "{refused}");
    assert_eq!(std::fs::read_dir(workshop.output("model")).unwrap().count(), 0);
}
