//! A single group through the network by several threads: what makes one query fast.
//!
//! A query of a dozen tokens costs about as much as reading the weights once, and one core cannot use all of the memory's
//! bandwidth. So the threads share each layer: a thread takes one part, reads the weights of that part, and stores the
//! part's output in a buffer of its own. The calling thread, the *leader*, adds these outputs after each sublayer. It
//! never waits for a thread that has not begun: if no other thread is free, it computes every part itself.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};

use super::layer::{HAS_NORM, Layer, Sublayer};
use super::parts::Scratch;
use super::{CpuBert, Tokens};
use crate::families::NormOrder;
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
    /// `[tokens, hidden]`: the input of a sublayer that begins with a norm, read and written likewise.
    normal: RwLock<AlignedFloats>,
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
        let normal = self.normal.get_mut().expect(UNBROKEN);
        normal.reserve_len(if bert.config.form.order == NormOrder::After { 0 } else { tokens * width });
        bert.embedding.apply(bert.isa, batch, offsets, normal, &mut hidden[..tokens * width]);

        let layers = bert.order.iter().map(|layer| &bert.layers[*layer]);
        let stages: Vec<Stage<'_>> =
            layers.flat_map(|layer| Sublayer::BOTH.map(|sublayer| Stage::new(layer, sublayer))).collect();
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
        let hidden = &mut self.hidden.get_mut().expect(UNBROKEN)[..tokens * width];
        if let Some(norm) = &bert.final_norm {
            norm.apply_in_place(bert.isa, hidden);
        }
        finish(hidden)
    }

    /// The leader: opens one stage after the other, takes parts of it, and adds the outputs of all parts.
    fn lead(&self, work: &Work<'_>) {
        // Whatever happens, those who help must not wait for another stage.
        let _end = EndOfWork(work);
        for (number, stage) in work.stages.iter().enumerate() {
            self.normalize_input(stage, work);
            work.open.store(number + 1, Ordering::Release);
            self.work_on(stage, work);
            let mut patience = Patience::default();
            while stage.done.load(Ordering::Acquire) < stage.parts() {
                assert!(!work.broken.load(Ordering::Acquire), "a thread of the team has panicked");
                patience.wait();
            }
            self.add_outputs(stage, work);
        }
    }

    /// Before a sublayer that begins with a norm.
    fn normalize_input(&self, stage: &Stage<'_>, work: &Work<'_>) {
        if let Some(norm) = &stage.layer.norms(stage.sublayer).before {
            let mut normal = self.normal.write().expect(UNBROKEN);
            let hidden = &self.hidden.read().expect(UNBROKEN)[..work.len()];
            norm.apply(work.bert.isa, hidden, &mut normal[..work.len()]);
        }
    }

    /// After a sublayer: adds the outputs of its parts to its input.
    fn add_outputs(&self, stage: &Stage<'_>, work: &Work<'_>) {
        let isa = work.bert.isa;
        let mut hidden = self.hidden.write().expect(UNBROKEN);
        let hidden = &mut hidden[..work.len()];
        let add = |to: &mut [f32], from: &[f32]| to.iter_mut().zip(from).for_each(|(x, y)| *x += y);
        let after = &stage.layer.norms(stage.sublayer).after;
        if stage.layer.order() == NormOrder::Around
            && let (Some(norm), [first, others @ ..]) = (after, &self.members[..stage.parts()])
        {
            let sum = &mut first.lock().expect(UNBROKEN).sum[..work.len()];
            for member in others {
                add(sum, &member.lock().expect(UNBROKEN).sum[..work.len()]);
            }
            norm.apply_in_place(isa, sum);
            return add(hidden, sum);
        }
        for member in &self.members[..stage.parts()] {
            add(hidden, &member.lock().expect(UNBROKEN).sum[..work.len()]);
        }
        if stage.layer.order() == NormOrder::After {
            after.as_ref().expect(HAS_NORM).apply_in_place(isa, hidden);
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
            let normal = stage.layer.norms(stage.sublayer).before.is_some();
            let hidden = if normal { &self.normal } else { &self.hidden }.read().expect(UNBROKEN);
            let mut member = self.members[part].lock().expect(UNBROKEN);
            member.apply(stage, part, work, &hidden);
            drop((member, hidden));
            stage.done.fetch_add(1, Ordering::Release);
        }
    }
}

const UNBROKEN: &str = "a panic of one thread ends the work of all";

impl Work<'_> {
    /// How many numbers the hidden states are.
    fn len(&self) -> usize {
        (self.offsets[self.offsets.len() - 1] - self.offsets[0]) * self.bert.config.hidden_size
    }
}

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
