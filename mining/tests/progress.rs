//! Long calls tell how much is done, and can be stopped at any time.

#![allow(clippy::unwrap_used)] // a test that panics has found something

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use akin_fixtures::random::clustered;
use akin_index::{Cancelled, Progress};
use akin_mining::Sentences;
use akin_mining::cluster::{Cut, agglomerative, agglomerative_with};
use akin_mining::duplicates::{near_duplicates, near_duplicates_with};
use akin_mining::map::{LayoutOptions, layout, layout_with};
use akin_mining::pairs::{most_similar, most_similar_with};

/// The call tells how much is done, never less than before and all of it in the end. Stopped at any report it says so.
/// Gives the answer of the call.
fn tells_and_stops<T>(call: &dyn Fn(Progress<'_>) -> Result<T, Cancelled>) -> T {
    let heard = Mutex::new(Vec::new());
    let answer = call(&|done, total| {
        heard.lock().unwrap().push((done, total));
        ControlFlow::Continue(())
    });
    let heard = heard.into_inner().unwrap();
    let (first, last) = (heard[0], heard[heard.len() - 1]);
    assert!(heard.is_sorted() && first.0 == 0 && last.0 == last.1 && last.1 > 0, "{heard:?}");
    assert!(heard.len() > 3, "{heard:?}");
    for until in 0..heard.len() {
        let calls = AtomicUsize::new(0);
        let stopped = call(&|_, _| match calls.fetch_add(1, Ordering::Relaxed) < until {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        });
        assert!(stopped.is_err(), "stopped after {until} of {}", heard.len());
    }
    answer.unwrap()
}

#[test]
fn pairs_duplicates_clusters_and_maps_tell_their_progress_and_can_be_stopped() {
    let embeddings = clustered(1100, 24, 40, 0.1, 3);
    let sentences = Sentences::of(&embeddings);
    let pairs = tells_and_stops(&|progress| most_similar_with(&sentences, 50, 0.5, progress));
    assert_eq!(pairs, most_similar(&sentences, 50, 0.5));
    let groups = tells_and_stops(&|progress| near_duplicates_with(&sentences, 0.8, progress));
    assert_eq!(groups, near_duplicates(&sentences, 0.8));
    let some = clustered(60, 24, 5, 0.1, 3);
    let cut = Cut::Clusters(5);
    let clusters = tells_and_stops(&|progress| agglomerative_with(&some, cut, progress));
    assert_eq!(clusters, agglomerative(&some, cut));
    let options = LayoutOptions { epochs: Some(5), ..LayoutOptions::default() };
    let places = tells_and_stops(&|progress| layout_with(&some, &options, progress));
    assert_eq!(places, layout(&some, &options));
}
