//! The map of a served index: made in the background when somebody first asks for it, once for each commit.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use akin_index::{Progress, Snapshot};
use akin_mining::map::LayoutOptions;
use axum::body::Bytes;

use super::CorpusMap;

/// Documents of a map, at most. Making it takes their vectors into memory.
pub const MOST_DOCUMENTS: usize = 300_000;

/// Maps are made one at a time, whatever the number of indexes.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Keeps the map of one index.
#[derive(Default)]
pub struct MapCache(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Parts of a thousand that are done.
    done: AtomicU32,
    /// Set when nobody needs the map any more.
    gone: AtomicBool,
}

#[derive(Default)]
struct State {
    /// The newest map as JSON, and its commit.
    made: Option<(u64, Bytes)>,
    /// The commit whose map is being made.
    making: Option<u64>,
    /// The commit whose map could not be made, and why.
    failed: Option<(u64, String)>,
}

/// What there is of a map.
#[derive(Debug, Clone, PartialEq)]
pub enum MapState {
    /// The map as JSON. It may show an earlier commit while that of the newest one is made.
    Made(Bytes),
    /// The share that is done.
    Making(f32),
    /// Why there is none.
    Failed(String),
    /// There are more documents than this.
    TooMany(usize),
}

impl MapCache {
    /// The map of a snapshot; begins to make it where nobody did.
    pub fn get(&self, snapshot: &Arc<Snapshot>) -> MapState {
        if snapshot.len() > MOST_DOCUMENTS {
            return MapState::TooMany(MOST_DOCUMENTS);
        }
        let generation = snapshot.generation();
        let mut state = lock(&self.0.state);
        let is_made = state.made.as_ref().is_some_and(|(of, _)| *of == generation);
        let is_failed = state.failed.as_ref().filter(|(of, _)| *of == generation);
        if let Some((_, reason)) = is_failed {
            return MapState::Failed(reason.clone());
        }
        if !is_made && state.making.is_none() {
            state.making = Some(generation);
            self.0.done.store(0, Ordering::Relaxed);
            let (shared, snapshot) = (Arc::clone(&self.0), Arc::clone(snapshot));
            let made = std::thread::Builder::new().name("map".into()).spawn(move || make(&shared, &snapshot));
            if let Err(error) = made {
                state.making = None;
                return MapState::Failed(error.to_string());
            }
        }
        match &state.made {
            Some((_, map)) => MapState::Made(map.clone()),
            None => MapState::Making(self.0.done.load(Ordering::Relaxed) as f32 / 1000.0),
        }
    }
}

impl Drop for MapCache {
    fn drop(&mut self) {
        self.0.gone.store(true, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a map on half of the processors, so that queries find the others free.
fn make(shared: &Shared, snapshot: &Snapshot) {
    let turn = lock(&ONE_AT_A_TIME);
    let progress = |done: usize, total: usize| {
        shared.done.store((1000 * done).checked_div(total).unwrap_or(0) as u32, Ordering::Relaxed);
        match shared.gone.load(Ordering::Relaxed) {
            true => std::ops::ControlFlow::Break(()),
            false => std::ops::ControlFlow::Continue(()),
        }
    };
    let work = || on_half_the_processors(|| map_of(snapshot, &progress));
    let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    let made = made.unwrap_or_else(|_| Err("something broke in here".into()));
    drop(turn);
    let mut state = lock(&shared.state);
    state.making = None;
    match made {
        Ok(map) => state.made = Some((snapshot.generation(), map)),
        Err(reason) => state.failed = Some((snapshot.generation(), reason)),
    }
}

fn map_of(snapshot: &Snapshot, progress: Progress<'_>) -> Result<Bytes, String> {
    let map =
        CorpusMap::of(snapshot, &LayoutOptions::default(), progress).map_err(|error| error.to_string())?;
    Ok(map.to_json_with_ids().to_string().into())
}

/// Does long work on half of the processors, so that queries have the others.
pub fn on_half_the_processors<T: Send, E: Send + From<String>>(
    work: impl FnOnce() -> Result<T, E> + Send,
) -> Result<T, E> {
    let threads = std::thread::available_parallelism().map_or(1, |all| all.get().div_ceil(2));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|error| error.to_string())?.install(work)
}
