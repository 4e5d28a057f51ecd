//! An index whose catalogue or manifest is lost or damaged is rebuilt from what is there.

#![allow(clippy::unwrap_used)]

mod faulty;
mod fixture;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use akin_index::{Error, Index, Repaired, RepairedFrom};
use faulty::model::{Model, identity};
use fixture::{Fixture, copy};

fn go_on(_: usize, _: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Changes bytes in the middle of a file.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    let end = bytes.len().min(middle + 64);
    bytes[middle..end].iter_mut().for_each(|byte| *byte ^= 0x55);
    fs::write(path, bytes).unwrap();
}

/// Damages every file of the catalogue, however much of it is used.
fn damage_catalogue(path: &Path) {
    for entry in fs::read_dir(path.join("catalogue")).unwrap() {
        let entry = entry.unwrap().path();
        if entry.is_file() {
            fs::write(&entry, "nothing of a database".repeat(50)).unwrap();
        }
    }
}

/// Repairs, and then the index is whole, can be written on and needs no repair.
fn repaired(path: &Path, model: &Model) -> Repaired {
    let repaired = Index::repair(path).unwrap();
    assert_eq!(repaired.documents, model.entries.len());
    let mut index = Index::open(path).unwrap();
    model.compare(&index.snapshot()).unwrap();
    index.verify().unwrap();
    index.delete(&["100"]).unwrap();
    index.compact(&go_on).unwrap();
    drop(index);
    let index = Index::open(path).unwrap();
    model.clone().without(&["100"]).compare(&index.snapshot()).unwrap();
    index.verify().unwrap();
    repaired
}

#[test]
fn whatever_is_lost_of_catalogue_and_manifest_no_document_is() {
    let fixture = Fixture::new(8);
    let path = fixture.path.with_file_name("copy");
    type Loss = (&'static str, fn(&Path), RepairedFrom);
    let no_catalogue = |path: &Path| fs::remove_dir_all(path.join("catalogue")).unwrap();
    let no_manifest = |path: &Path| fs::remove_file(path.join("manifest")).unwrap();
    let bad_manifest = |path: &Path| damage(&path.join("manifest"));
    let losses: [Loss; 7] = [
        ("catalogue removed", no_catalogue, RepairedFrom::Manifest),
        ("catalogue damaged", damage_catalogue, RepairedFrom::Manifest),
        ("manifest removed", no_manifest, RepairedFrom::Catalogue),
        ("manifest damaged", bad_manifest, RepairedFrom::Catalogue),
        (
            "both removed",
            |path| {
                fs::remove_dir_all(path.join("catalogue")).unwrap();
                fs::remove_file(path.join("manifest")).unwrap();
            },
            RepairedFrom::Segments,
        ),
        (
            "both damaged",
            |path| {
                damage_catalogue(path);
                damage(&path.join("manifest"));
            },
            RepairedFrom::Segments,
        ),
        (
            "manifest damaged and catalogue removed",
            |path| {
                damage(&path.join("manifest"));
                fs::remove_dir_all(path.join("catalogue")).unwrap();
            },
            RepairedFrom::Segments,
        ),
    ];
    for (what, lose, from) in losses {
        println!("{what}");
        copy(&fixture.path, &path);
        lose(&path);
        let mut model = fixture.model.clone();
        if from == RepairedFrom::Segments {
            // Settings are in the manifest alone.
            model.ef = None;
        }
        let repaired = repaired(&path, &model);
        assert_eq!((repaired.from, repaired.lost.len()), (from, 0), "{what}");
    }
}

#[test]
fn an_index_that_lost_manifest_and_catalogue_is_not_begun_anew_over_its_segments() {
    let fixture = Fixture::new(9);
    let path = fixture.path.with_file_name("copy");
    copy(&fixture.path, &path);
    fs::remove_dir_all(path.join("catalogue")).unwrap();
    fs::remove_file(path.join("manifest")).unwrap();
    assert!(matches!(Index::open(&path), Err(Error::NotAnIndex { .. })));
    assert!(matches!(Index::open_or_create(&path, &identity()), Err(Error::Damaged { .. })));
    let model = Model { ef: None, ..fixture.model.clone() };
    repaired(&path, &model);
}

#[test]
fn a_repair_in_the_middle_of_a_merge_brings_back_neither_the_dead_nor_anything_twice() {
    let fixture = Fixture::new(10);
    let (path, copied) = (fixture.path.clone(), fixture.path.with_file_name("copy"));
    let mut index = Index::open(&path).unwrap();
    let dead: Vec<String> = (0..1300).map(|i| i.to_string()).collect();
    let dead: Vec<&str> = dead.iter().map(String::as_str).collect();
    index.delete(&dead).unwrap();
    let lose = |path: &Path| {
        fs::remove_dir_all(path.join("catalogue")).unwrap();
        fs::remove_file(path.join("manifest")).unwrap();
    };
    let model = Model { ef: None, ..fixture.model.clone().without(&dead) };
    let check = |model: &Model| {
        copy(&path, &copied);
        lose(&copied);
        let repaired = repaired(&copied, model);
        assert_eq!((repaired.from, repaired.lost.len()), (RepairedFrom::Segments, 0));
    };
    let merged = index.due_merge().unwrap().run(&go_on).unwrap();
    // The merged segment is there, and nothing was deleted since.
    check(&model);
    index.delete(&["1999"]).unwrap();
    let model = model.without(&["1999"]);
    check(&model);
    index.take_merged(merged).unwrap();
    // Now both are there, and the merged one counts.
    check(&model);
    index.delete(&["1998"]).unwrap();
    let model = model.without(&["1998"]);
    check(&model);
    index.compact(&go_on).unwrap();
    check(&model);
    // A catalogue that is lost amid a merge takes nothing with it.
    let model = Model { ef: Some(60), ..model };
    drop(index);
    copy(&path, &copied);
    fs::remove_dir_all(copied.join("catalogue")).unwrap();
    assert_eq!(repaired(&copied, &model).from, RepairedFrom::Manifest);
}

#[test]
fn a_repair_says_which_files_are_lost_and_keeps_the_rest() {
    let fixture = Fixture::new(12);
    let path = fixture.path.clone();
    fs::remove_dir_all(path.join("catalogue")).unwrap();
    fs::remove_file(path.join("manifest")).unwrap();
    let last = path.join("segments").join(format!("{:016x}.segment", 4));
    assert!(last.exists(), "{:?}", fs::read_dir(path.join("segments")).unwrap().collect::<Vec<_>>());
    let bytes = fs::read(&last).unwrap();
    fs::write(&last, &bytes[..bytes.len() - 9]).unwrap();
    let repaired = Index::repair(&path).unwrap();
    assert_eq!((repaired.from, repaired.lost.len()), (RepairedFrom::Segments, 1));
    let index = Index::open(&path).unwrap();
    index.verify().unwrap();
    assert_eq!(index.len(), repaired.documents);
    assert!(fixture.model.entries.len() - repaired.documents <= 40);
}
