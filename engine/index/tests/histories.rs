//! Random histories of an index on a disk that fails and loses power, against a map.
//!
//! What was acknowledged is there, what was deleted is not, a call that failed is there whole or not at all,
//! every open succeeds and everything verifies. `make torture` runs ten thousand histories.

#![allow(clippy::unwrap_used)]

mod faulty;

use std::ops::ControlFlow;
use std::sync::Arc;

use akin_fixtures::Random;
use akin_index::storage::Memory;
use akin_index::{Adoption, DEFAULT_EF, Index, Keep, Merge, Merged, Part, Reader, ReaderOptions, Result};
use faulty::model::{Entry, Model, SEALED, identity, sealed, sealed_id, upsert};
use faulty::{Faulty, Plan};

/// Ids that small histories use.
const KEYS: u64 = 20;

/// A merge between its steps.
enum Merging {
    Due(Merge),
    Run(Merged),
}

struct History {
    random: Random,
    disk: Faulty,
    /// None until it was created, and while it cannot be opened.
    index: Option<Index>,
    merging: Option<Merging>,
    /// What was acknowledged.
    model: Model,
    created: bool,
    is_large: bool,
    log: Vec<String>,
}

impl History {
    fn begin(seed: u64, is_large: bool) -> Self {
        let mut random = Random::new(seed);
        let (disk, model) = match is_large {
            true => (sealed().0.copy(random.bits()), sealed().1.clone()),
            false => (Faulty::new(random.bits()), Model::default()),
        };
        let (merging, log) = (None, Vec::new());
        let mut history =
            Self { random, disk, index: None, merging, model, created: is_large, is_large, log };
        history.open(&history.model.clone());
        history
    }

    fn key(&mut self) -> String {
        match self.is_large && self.random.once_in(2) {
            true => sealed_id(self.random.below(SEALED)),
            false => format!("key {}", self.random.below(KEYS)),
        }
    }

    /// Some operation of the next calls fails, or the power goes at it.
    fn plan(&mut self) {
        let at = self.random.below(30);
        let plan = match self.random.below(20) {
            0..=2 => Plan::Fail(at),
            3 => Plan::FailFrom(at),
            4..=7 => Plan::PowerLoss(at),
            _ => Plan::Sound,
        };
        if plan != Plan::Sound {
            self.log.push(format!("{plan:?}"));
        }
        self.disk.plan(plan);
    }

    fn step(&mut self) {
        self.plan();
        let Some(index) = &mut self.index else { unreachable!("it is open between steps") };
        let go_on = |_, _| ControlFlow::Continue(());
        let mut after = self.model.clone();
        // A merge that is under way goes on more often than not.
        let kind = match self.merging.is_some() && self.random.once_in(2) {
            true => 12,
            false => self.random.below(18),
        };
        let result: Result<()> = match kind {
            0..=5 => {
                let entries = self.entries();
                self.log.push(format!("upsert {}", ids(&entries).join(", ")));
                after = after.with(&entries);
                let added = after.entries.len() - self.model.entries.len();
                let upserted = upsert(self.index.as_mut().unwrap(), &entries);
                upserted.map(|upserted| {
                    assert_eq!((upserted.added, upserted.replaced), (added, entries.len() - added));
                })
            }
            6..=8 => {
                let keys: Vec<String> = match self.is_large && self.random.once_in(3) {
                    // Most of a segment, so that a merge is due.
                    true => {
                        let first = self.random.below(2) * SEALED / 2;
                        (first..first + SEALED / 3).map(sealed_id).collect()
                    }
                    false => (0..1 + self.random.below(4)).map(|_| self.key()).collect(),
                };
                let ids: Vec<&str> = keys.iter().map(String::as_str).collect();
                self.log.push(format!("delete {}: {}", ids.len(), ids[..ids.len().min(4)].join(", ")));
                after = after.without(&ids);
                let gone = self.model.entries.len() - after.entries.len();
                let existed = self.index.as_mut().unwrap().delete(&ids);
                existed.map(|existed| assert_eq!(existed.iter().filter(|was| **was).count(), gone))
            }
            9 if !self.is_large || self.random.once_in(4) => {
                self.log.push("seal".into());
                index.seal(&go_on)
            }
            10 => {
                self.log.push("compact".into());
                // Building a graph of all takes a while.
                match self.is_large && !self.random.once_in(8) {
                    true => Ok(()),
                    false => index.compact(&go_on).map(drop),
                }
            }
            11 => {
                let ef = 1 + self.random.below(300) as usize;
                self.log.push(format!("ef {ef}"));
                after.ef = Some(ef);
                index.set_default_ef(ef)
            }
            12..=13 => {
                let result = self.merge_on();
                let step = match self.merging {
                    None => "taken or none",
                    Some(Merging::Due(_)) => "due",
                    Some(Merging::Run(_)) => "run",
                };
                self.log.push(format!("merge: {step}"));
                result
            }
            16..=17 => self.adopt(&mut after),
            14 if self.random.once_in(2) => {
                self.log.push("lose power".into());
                self.disk.surviving();
                return self.recover(&after);
            }
            _ => {
                self.log.push("reopen".into());
                self.close();
                return self.open(&after);
            }
        };
        match result {
            Ok(()) => self.model = after,
            Err(error) => {
                self.log.push(format!("  {error}"));
                assert_ne!(self.disk.operations(), 0, "{error}");
                self.recover(&after);
            }
        }
        if !self.disk.is_off() {
            self.model.compare(&self.index.as_ref().unwrap().snapshot()).unwrap();
        }
    }

    fn entries(&mut self) -> Vec<Entry> {
        let passages = self.random.once_in(2);
        let mut entries: Vec<Entry> = Vec::new();
        for _ in 0..1 + self.random.below(6) {
            let id = self.key();
            if entries.iter().all(|entry| entry.document.id != id) {
                let passages = passages.then(|| 1 + self.random.below(3));
                entries.push(Entry::random(&id, passages, &mut self.random));
            }
        }
        entries
    }

    /// Adopts an index of some documents in memory, of which some may be deleted.
    fn adopt(&mut self, after: &mut Model) -> Result<()> {
        let entries = self.entries();
        let part = Arc::new(Memory::new());
        let mut writer = Index::open_or_create_in(part.clone(), &identity()).unwrap();
        upsert(&mut writer, &entries).unwrap();
        let dead = self.random.below(entries.len() as u64) as usize;
        writer.delete(&ids(&entries[..dead])).unwrap();
        drop(writer);
        let keep = if self.random.once_in(2) { Keep::First } else { Keep::Last };
        self.log.push(format!("adopt {}, {keep:?}", ids(&entries[dead..]).join(", ")));
        let fresh = |entry: &&Entry| !self.model.entries.contains_key(&entry.document.id);
        let live: Vec<Entry> = match keep {
            Keep::Last => entries[dead..].to_vec(),
            Keep::First => entries[dead..].iter().filter(fresh).cloned().collect(),
        };
        *after = std::mem::take(after).with(&live);
        if !live.is_empty() {
            // That of the part is the default.
            after.ef = after.ef.map(|ef| ef.max(DEFAULT_EF));
        }
        let part = Part::open_in(part)?;
        let how = Adoption { keep, copy: false };
        let adopted = self.index.as_mut().unwrap().adopt(&[part], how, &|_, _| ControlFlow::Continue(()))?;
        assert_eq!(adopted.documents, live.len());
        Ok(())
    }

    /// Takes the next step of a merge.
    fn merge_on(&mut self) -> Result<()> {
        let index = self.index.as_mut().unwrap();
        match self.merging.take() {
            None => self.merging = index.due_merge().map(Merging::Due),
            Some(Merging::Due(merge)) => {
                let merged = merge.run(&|_, _| ControlFlow::Continue(()))?;
                self.merging = Some(Merging::Run(merged));
            }
            Some(Merging::Run(merged)) => match index.take_merged(merged) {
                // Compacting took its sources away.
                Err(akin_index::Error::Stale(_)) => {}
                other => return other,
            },
        }
        Ok(())
    }

    fn close(&mut self) {
        self.merging = None;
        self.index = None;
    }

    /// After a call that failed: it is there whole or not at all.
    fn recover(&mut self, after: &Model) {
        if self.disk.is_off() {
            self.close();
            self.disk = self.disk.surviving();
            return self.open(after);
        }
        self.disk.plan(Plan::Sound);
        let index = self.index.as_mut().unwrap();
        let snapshot = index.snapshot();
        if self.model.compare(&snapshot).is_err() {
            after.compare(&snapshot).unwrap();
            self.model = after.clone();
        }
        // Whether it can be written on: if not, which of the two is there is known when it is opened again.
        let ef = index.snapshot().default_ef();
        if index.set_default_ef(ef).is_err() {
            self.log.push("  reopen".into());
            self.close();
            self.open(after);
        } else if self.model.ef.is_none() {
            self.model.ef = Some(ef);
        }
    }

    /// Opens it, in spite of what the plan lets fail. It holds what was acknowledged, or `after`.
    fn open(&mut self, after: &Model) {
        loop {
            if self.disk.is_off() {
                // It went while the index was closed.
                self.disk = self.disk.surviving();
            }
            let seen = self.read(after);
            match Index::open_or_create_in(Arc::new(self.disk.clone()), &identity()) {
                Ok(index) => {
                    self.created = true;
                    self.disk.plan(Plan::Sound);
                    let snapshot = index.snapshot();
                    if let Err(why) = self.model.compare(&snapshot) {
                        let other = after.compare(&snapshot);
                        other.unwrap_or_else(|other| panic!("before: {why}; after: {other}"));
                        self.model = after.clone();
                    } else if seen {
                        after.compare(&snapshot).unwrap();
                    }
                    snapshot.verify().unwrap();
                    self.model.ask(&snapshot, &mut self.random);
                    self.index = Some(index);
                    return;
                }
                Err(error) => {
                    self.log.push(format!("  open: {error}"));
                    if !self.disk.is_off() {
                        assert_ne!(self.disk.operations(), 0, "{error}");
                        self.disk.plan(Plan::Sound);
                    }
                }
            }
        }
    }

    /// A reader needs no writer to come first. Tells whether it saw `after` and not what was acknowledged.
    fn read(&mut self, after: &Model) -> bool {
        if self.random.once_in(2) {
            return false;
        }
        let plan = self.disk.take_plan();
        let reader = Reader::of(Arc::new(self.disk.clone()), ReaderOptions::default());
        self.disk.plan(plan);
        match reader {
            Ok(reader) => {
                let snapshot = reader.snapshot();
                snapshot.verify().unwrap();
                if self.model.compare(&snapshot).is_ok() {
                    return false;
                }
                after.compare(&snapshot).unwrap();
                true
            }
            Err(error) => {
                assert!(!self.created, "a reader: {error}");
                false
            }
        }
    }
}

fn ids(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.document.id.as_str()).collect()
}

/// Says which history it was when a test fails in it.
struct Tell<'a>(&'a mut History, u64);

impl Drop for Tell<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("history {} (AKIN_HISTORY runs it alone):\n  {}", self.1, self.0.log.join("\n  "));
        }
    }
}

fn run(number: u64) {
    // Every so often one begins with graphs.
    let is_large = number % 25 == 7;
    let mut history = History::begin(number.wrapping_mul(0x1234_5678_9abc_def1), is_large);
    let steps = 4 + history.random.below(20);
    let tell = Tell(&mut history, number);
    for _ in 0..steps {
        tell.0.step();
    }
    let history = &mut *tell.0;
    history.disk.plan(Plan::Sound);
    history.close();
    history.open(&history.model.clone());
}

#[test]
fn what_is_acknowledged_survives_any_failure_and_loss_of_power() {
    if let Some(number) = std::env::var_os("AKIN_HISTORY") {
        return run(number.to_str().unwrap().parse().unwrap());
    }
    let histories = if std::env::var_os("AKIN_TORTURE").is_some() { 10_000 } else { 200 };
    let first = std::env::var("AKIN_FIRST").map_or(0, |first| first.parse().unwrap());
    for number in first..first + histories {
        if number % 1000 == 999 {
            println!("{} histories", number + 1);
        }
        run(number);
    }
}
