//! A base that gets the characters of the texts that it is to be trained with.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::collections::BTreeSet;
use std::path::Path;

use akin_encoder::SentenceEncoder;
use akin_fixtures::Folder;
use akin_fixtures::models::tiny;
use akin_trainer::base::BaseModel;

/// A pair in a script that the tiny model knows nothing of, and one that it knows.
const PAIRS: &str = "source\ttranslation\na big dog\tᚠᚢ ᚦ\nthe shop\tthe shop\n";

/// A folder with `pairs.tsv` and, in `model`, the tiny model with the characters of it; and how many pieces that has more.
fn extended(pairs: &str) -> (Folder, usize) {
    let folder = Folder::new();
    folder.write("pairs.tsv", pairs);
    let base = BaseModel::open(&tiny("bert"), None, None).unwrap();
    let added = base.save_with_characters_of(&folder.path("pairs.tsv"), &folder.path("model")).unwrap();
    (folder, added)
}

fn ids(model: &Path, text: &str) -> Vec<u32> {
    BaseModel::open(model, None, None).unwrap().tokenize(&[text]).unwrap().remove(0)
}

#[test]
fn characters_that_the_vocabulary_lacks_become_pieces_that_mean_what_an_unknown_word_means() {
    let (folder, added) = extended(PAIRS);
    let model = folder.path("model");
    assert_eq!(added, 3, "ᚠ and ᚦ at the beginning of a word, ᚢ within one");
    assert_eq!(ids(&tiny("bert"), "ᚠᚢ ᚦ"), ids(&tiny("bert"), "ᚦ ᚠ"));
    let spelled = ids(&model, "ᚠᚢ ᚦ");
    assert_eq!(spelled.iter().collect::<BTreeSet<_>>().len(), 5, "{spelled:?}");
    let [before, after] = [&tiny("bert"), &model].map(|model| SentenceEncoder::load(model).unwrap());
    for text in ["a big dog", "the ᚦ", "ᚦ ᚦ"] {
        let [before, after] = [&before, &after].map(|encoder| encoder.encode(&[text]).unwrap());
        assert_eq!(before.embeddings.row(0), after.embeddings.row(0), "{text}");
    }
    // And nothing is missing the next time.
    let again = BaseModel::open(&model, None, None).unwrap();
    let other = folder.path("again");
    assert_eq!(again.save_with_characters_of(&folder.path("pairs.tsv"), &other).unwrap(), 0);
    assert_eq!(ids(&other, "ᚠᚢ ᚦ"), spelled);
}

#[test]
fn known_texts_add_nothing() {
    assert_eq!(extended("source\ttranslation\na dog\tthe shop\n").1, 0);
}

#[test]
fn a_vocabulary_of_another_kind_is_refused() {
    let (folder, _) = extended(PAIRS);
    let base = BaseModel::open(&tiny("roberta"), None, None).unwrap();
    let to = folder.path("other");
    let error = base.save_with_characters_of(&folder.path("pairs.tsv"), &to).unwrap_err().to_string();
    assert!(error.contains("WordPiece") && !to.exists(), "{error}");
}
