//! A single group through the network by several threads: what makes one query fast.
//!
//! A query of a dozen tokens costs about as much as reading the weights once, and one core cannot use all of the memory's
//! bandwidth. So the threads share each layer: a thread takes one part, reads the weights of that part, and stores the
//! part's output in a buffer of its own. The calling thread, the *leader*, adds these outputs after each sublayer. It
//! never waits for a thread that has not begun: if no other thread is free, it computes every part itself.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};

use super::layer::{Layer, Scratch, Sublayer};
use super::{CpuBert, Tokens};
use akin_kernels::aligned::AlignedFloats;
use akin_kernels::gemm::Epilogue;
use akin_kernels::rows::RowBuffer;

/// Turns of waiting before a thread offers its processor to others.
const PATIENCE: usize = 2000;

/// Buffers of a team: allocated once, reused for every query.
#[derive(Default)]
pub(super) struct Team {
    /// `[tokens, hidden]`: read by all threads during a sublayer, written by the leader between two.
    hidden: RwLock<AlignedFloats>,
    members: Vec<Mutex<Member>>,
}

/// Buffers of one part of a sublayer.
#[derive(Default)]
struct Member {
    rows: RowBuffer,
    scratch: Scratch,
    /// `[tokens, hidden]`
    sum: AlignedFloats,
}

/// One sublayer of one layer.
struct Stage<'a> {
    layer: &'a Layer,
    sublayer: Sublayer,
    /// Parts that threads have taken. Threads that find none left count too, so it may exceed the number of parts.
    taken: AtomicUsize,
    done: AtomicUsize,
}

/// One pass of a team through the network.
struct Work<'a> {
    bert: &'a CpuBert,
    offsets: &'a [usize],
    stages: Vec<Stage<'a>>,
    /// How many stages the leader has opened.
    open: AtomicUsize,
    /// Set if a thread panics, so that no thread waits for its part.
    broken: AtomicBool,
}

impl Team {
    /// The hidden states of the sentences between `offsets`, boundaries in `batch`, `[tokens, hidden]`,
    /// handed to `finish`.
    pub fn forward<R>(
        &mut self,
        bert: &CpuBert,
        batch: Tokens<'_>,
        offsets: &[usize],
        finish: impl FnOnce(&[f32]) -> R,
    ) -> R {
        let width = bert.config.hidden_size;
        let tokens = offsets[offsets.len() - 1] - offsets[0];
        let hidden = self.hidden.get_mut().expect(UNBROKEN);
        hidden.reserve_len(tokens * width);
        bert.embedding.apply(bert.isa, batch, offsets, &mut hidden[..tokens * width]);

        let stages: Vec<Stage<'_>> = bert
            .layers
            .iter()
            .flat_map(|layer| Sublayer::BOTH.map(|sublayer| Stage::new(layer, sublayer)))
            .collect();
        let most = stages.iter().map(Stage::parts).max().unwrap_or(0);
        self.members.resize_with(self.members.len().max(most), Mutex::default);
        for member in &mut self.members {
            member.get_mut().expect(UNBROKEN).reserve(bert, tokens);
        }

        let work = Work { bert, offsets, stages, open: AtomicUsize::new(0), broken: AtomicBool::new(false) };
        let team = &*self;
        let others = most.min(rayon::current_num_threads()).saturating_sub(1);
        rayon::in_place_scope(|scope| {
            for _ in 0..others {
                scope.spawn(|_| team.help(&work));
            }
            team.lead(&work);
        });
        finish(&self.hidden.read().expect(UNBROKEN)[..tokens * width])
    }

    /// The leader: opens one stage after the other, takes parts of it, and adds the outputs of all parts.
    fn lead(&self, work: &Work<'_>) {
        // Whatever happens, those who help must not wait for another stage.
        let _end = EndOfWork(work);
        for (number, stage) in work.stages.iter().enumerate() {
            work.open.store(number + 1, Ordering::Release);
            self.work_on(stage, work);
            let mut patience = Patience::default();
            while stage.done.load(Ordering::Acquire) < stage.parts() {
                assert!(!work.broken.load(Ordering::Acquire), "a thread of the team has panicked");
                patience.wait();
            }
            let mut hidden = self.hidden.write().expect(UNBROKEN);
            let width = work.bert.config.hidden_size;
            let tokens = work.offsets[work.offsets.len() - 1] - work.offsets[0];
            let hidden = &mut hidden[..tokens * width];
            for member in &self.members[..stage.parts()] {
                let member = member.lock().expect(UNBROKEN);
                for (x, y) in hidden.iter_mut().zip(&member.sum[..]) {
                    *x += y;
                }
            }
            stage.layer.norm(stage.sublayer).apply_in_place(work.bert.isa, hidden);
        }
    }

    /// A helper: takes parts of every stage that the leader opens, until the last.
    fn help(&self, work: &Work<'_>) {
        let _end = PanicOfHelper(work);
        for (number, stage) in work.stages.iter().enumerate() {
            let mut patience = Patience::default();
            while work.open.load(Ordering::Acquire) <= number {
                patience.wait();
            }
            self.work_on(stage, work);
        }
    }

    /// Takes parts of a stage until all are taken.
    fn work_on(&self, stage: &Stage<'_>, work: &Work<'_>) {
        loop {
            let part = stage.taken.fetch_add(1, Ordering::Relaxed);
            if part >= stage.parts() {
                return;
            }
            let hidden = self.hidden.read().expect(UNBROKEN);
            let mut member = self.members[part].lock().expect(UNBROKEN);
            member.apply(stage, part, work, &hidden);
            drop((member, hidden));
            stage.done.fetch_add(1, Ordering::Release);
        }
    }
}

const UNBROKEN: &str = "a panic of one thread ends the work of all";

impl Member {
    fn reserve(&mut self, bert: &CpuBert, tokens: usize) {
        let width = bert.config.hidden_size;
        self.rows.reserve(bert.isa, bert.precision, tokens, width);
        self.scratch.reserve(bert.isa, bert.precision, tokens, &bert.config);
        self.sum.reserve_len(tokens * width);
    }

    fn apply(&mut self, stage: &Stage<'_>, part: usize, work: &Work<'_>, hidden: &[f32]) {
        let (bert, offsets) = (work.bert, work.offsets);
        let width = bert.config.hidden_size;
        let tokens = offsets[offsets.len() - 1] - offsets[0];
        let (hidden, factors) = (&hidden[..tokens * width], stage.layer.factors(stage.sublayer));
        let input = self.rows.scaled_rows(bert.isa, bert.precision, hidden, width, factors);
        let sum = &mut self.sum[..tokens * width];
        let scratch = &mut self.scratch;
        stage.layer.apply(bert.isa, stage.sublayer, part, input, offsets, scratch, Epilogue::Store, sum);
    }
}

impl<'a> Stage<'a> {
    fn new(layer: &'a Layer, sublayer: Sublayer) -> Self {
        Self { layer, sublayer, taken: AtomicUsize::new(0), done: AtomicUsize::new(0) }
    }

    fn parts(&self) -> usize {
        self.layer.parts(self.sublayer)
    }
}

/// Opens all remaining stages when the leader returns or panics, so that every helper ends.
struct EndOfWork<'a>(&'a Work<'a>);

impl Drop for EndOfWork<'_> {
    fn drop(&mut self) {
        for stage in &self.0.stages {
            stage.taken.store(stage.parts(), Ordering::Relaxed);
        }
        self.0.open.store(self.0.stages.len(), Ordering::Release);
    }
}

/// Tells the leader when a helper panics.
struct PanicOfHelper<'a>(&'a Work<'a>);

impl Drop for PanicOfHelper<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.broken.store(true, Ordering::Release);
        }
    }
}

/// A wait that spins at first and yields the processor later.
#[derive(Default)]
struct Patience(usize);

impl Patience {
    fn wait(&mut self) {
        self.0 += 1;
        if self.0 < PATIENCE {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}
