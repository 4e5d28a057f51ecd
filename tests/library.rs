//! The library as a program uses it: an index with its model, by the few verbs.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::ops::ControlFlow;

use akin::{
    AskOptions, Document, Error, Filter, Phase, ReaderOptions, Reload, SearchOptions, Searcher, SemanticIndex,
};
use akin_fixtures::Folder;
use akin_fixtures::files::fixture;

fn tiny_model() -> String {
    fixture("models/tiny-bert").to_str().unwrap().to_owned()
}

fn documents(range: std::ops::Range<usize>) -> Vec<Document> {
    let document = |n: usize| {
        let mut document =
            Document { id: n.to_string(), text: format!("sentence number {n}"), ..Document::default() };
        document.metadata.insert("n".into(), n.into());
        document
    };
    range.map(document).collect()
}

#[test]
fn documents_are_added_found_deleted_and_still_so_when_opened_again() {
    fn is_send_and_sync<T: Send + Sync>(_: &T) {}
    let folder = Folder::new();
    let path = folder.path("index");
    let mut index = SemanticIndex::open_or_create(&path, &tiny_model()).unwrap();
    is_send_and_sync(&index);
    is_send_and_sync(index.searcher());
    assert_eq!(index.add(&documents(0..20)).unwrap().added, 20);
    assert_eq!(index.add(&documents(10..30)).unwrap().added, 10);
    let answer = index.search("sentence number 7", 3).unwrap();
    assert_eq!((answer.hits.len(), answer.hits[0].id.as_str()), (3, "7"));
    assert_eq!(index.delete(&["7", "unknown"]).unwrap(), [true, false]);
    index.optimize(&|_, _| ControlFlow::Continue(())).unwrap();
    assert_eq!(index.compact(&|_, _| ControlFlow::Continue(())).unwrap().documents, 29);
    drop(index);
    let index = SemanticIndex::open(&path).unwrap();
    assert_ne!(index.search("sentence number 7", 1).unwrap().hits[0].id, "7");
}

#[test]
fn a_searcher_reads_beside_the_writer_and_follows_it() {
    let folder = Folder::new();
    let path = folder.path("index");
    let mut index = SemanticIndex::open_or_create(&path, &tiny_model()).unwrap();
    index.add(&documents(0..5)).unwrap();
    let reading = ReaderOptions { reload: Reload::OnChange, ..ReaderOptions::default() };
    let searcher = Searcher::open(&path, None, &akin::EncoderOptions::default(), reading).unwrap();
    let pinned = searcher.snapshot();
    let selection = searcher.select(&pinned, &Filter::parse("n >= 3").unwrap()).unwrap();
    index.add(&documents(5..9)).unwrap();
    assert_eq!((pinned.len(), searcher.snapshot().len()), (5, 9));
    // What was selected of one commit is searched in that commit, and in no other.
    let options = SearchOptions { among: Some(selection), ..SearchOptions::default() }.into();
    assert_eq!(searcher.ask_of(&pinned, "sentence", &options).unwrap().hits.len(), 2);
    let stale = searcher.ask("sentence", &options).unwrap_err();
    assert!(matches!(stale, Error::Index(akin::index::Error::Stale(_))), "{stale}");
}

#[test]
fn a_run_that_is_stopped_leaves_its_last_commit() {
    let folder = Folder::new();
    let path = folder.path("index");
    let corpus = folder.path("corpus.txt");
    let lines: Vec<String> = (0..3000).map(|n| format!("line number {n}")).collect();
    std::fs::write(&corpus, lines.join("\n")).unwrap();
    let mut index = SemanticIndex::open_or_create(&path, &tiny_model()).unwrap();
    let mut committed = 0;
    let stopped = index.add_files(std::slice::from_ref(&corpus), &Default::default(), &mut |progress| {
        committed = progress.committed;
        if progress.phase == Phase::Encoding && committed > 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(
        matches!(stopped, Err(Error::Queries(_) | Error::Index(akin::index::Error::Cancelled))),
        "{stopped:?}"
    );
    assert!(committed > 0 && committed < 3000);
    assert_eq!(index.searcher().reader().len(), committed);
    let report = index.add_files(&[corpus], &Default::default(), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((report.added, report.unchanged), (3000 - committed, committed));
}

#[test]
fn a_searcher_refuses_an_index_of_another_model_that_took_the_place_of_its_own() {
    let folder = Folder::new();
    let path = folder.path("index");
    SemanticIndex::open_or_create(&path, &tiny_model()).unwrap().add(&documents(0..5)).unwrap();
    let reading = ReaderOptions { reload: Reload::OnChange, ..ReaderOptions::default() };
    let searcher = Searcher::open(&path, None, &akin::EncoderOptions::default(), reading).unwrap();
    assert_eq!(searcher.ask("sentence", &AskOptions::default()).unwrap().hits.len(), 5);
    std::fs::remove_dir_all(&path).unwrap();
    let other = fixture("models/tiny-tuned").to_str().unwrap().to_owned();
    SemanticIndex::open_or_create(&path, &other).unwrap().add(&documents(0..5)).unwrap();
    let refused = searcher.ask("sentence", &AskOptions::default()).unwrap_err();
    assert!(matches!(refused, Error::Index(akin::index::Error::OtherModel { .. })), "{refused}");
}
