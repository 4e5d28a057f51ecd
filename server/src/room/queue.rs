//! The queue of an engine room: bounded by tokens, fair to short requests and to long ones.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use akin_encoder::{Embeddings, Role};
use tokio::sync::oneshot;

use super::Texts;
use crate::error::{ApiError, Kind};
use crate::metrics::Metrics;
use crate::patience::Waiting;

/// Tokens that are encoded in one call: some 400 short sentences, a quarter of a second on two cores at worst.
const ROUND: usize = 8192;

/// A request with more tokens than this is long. It is encoded in parts, a round each, beside short ones.
const SHORT: usize = 2048;

/// The part of a round that is kept for long requests while there are any.
const KEPT: usize = ROUND / 2;

/// A request for embeddings.
pub struct Job {
    role: Option<Role>,
    texts: Texts,
    waiting: Waiting,
    reply: oneshot::Sender<Result<Embeddings, ApiError>>,
    /// When it began to wait.
    since: Instant,
    /// Those of the first texts.
    done: Option<Embeddings>,
}

impl Job {
    /// The texts of a request, and where its embeddings go.
    pub fn new(
        role: Option<Role>,
        texts: Texts,
        waiting: Waiting,
        reply: oneshot::Sender<Result<Embeddings, ApiError>>,
    ) -> Self {
        Self { role, texts, waiting, reply, since: Instant::now(), done: None }
    }

    fn is_gone(&self) -> bool {
        self.waiting.is_gone() || self.reply.is_closed()
    }

    /// How many of its texts are encoded.
    fn next(&self) -> usize {
        self.done.as_ref().map_or(0, Embeddings::rows)
    }

    /// The tokens of the rest.
    fn left(&self) -> usize {
        self.texts.tokens[self.next()..].iter().sum()
    }

    /// How many more of its texts have so many tokens together; one at least.
    fn fitting(&self, tokens: usize) -> usize {
        let mut sum = 0;
        let rest = &self.texts.tokens[self.next()..];
        let fits = rest.iter().take_while(|of_text| {
            sum += **of_text;
            sum <= tokens
        });
        fits.count().max(1).min(rest.len())
    }
}

/// What waits to be encoded.
pub struct Queue {
    lanes: Mutex<Lanes>,
    filled: Condvar,
    most: usize,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Lanes {
    short: VecDeque<Job>,
    long: VecDeque<Job>,
    /// Those of all that wait.
    tokens: usize,
    /// Whether the role of the next round is that of a long request.
    long_chooses: bool,
    closed: bool,
}

/// A part of a job that is encoded in this round: its first text is that after those that are done.
struct Part {
    job: Job,
    texts: usize,
    is_long: bool,
}

impl Queue {
    /// A queue in which so many tokens may wait.
    pub fn new(most: usize, metrics: Arc<Metrics>) -> Self {
        Self { lanes: Mutex::default(), filled: Condvar::new(), most, metrics }
    }

    /// Puts a job at the end. One that is larger than the whole queue is taken where nothing else waits.
    pub fn push(&self, job: Job) -> Result<(), ApiError> {
        let tokens = job.left();
        if job.texts.texts.is_empty() {
            return Err(ApiError::invalid("there is no text to encode"));
        }
        let mut lanes = self.lock();
        if lanes.tokens > 0 && lanes.tokens + tokens > self.most {
            lanes.drop_gone();
        }
        if lanes.closed {
            return Err(super::dropped());
        }
        if lanes.tokens > 0 && lanes.tokens + tokens > self.most {
            return Err(ApiError::new(
                Kind::Busy,
                "too many texts wait to be encoded: ask again in a second",
            ));
        }
        lanes.tokens += tokens;
        if tokens > SHORT {
            lanes.long.push_back(job)
        } else {
            lanes.short.push_back(job)
        }
        self.metrics.waiting(lanes.tokens);
        self.filled.notify_one();
        Ok(())
    }

    /// Ends [`serve`](Self::serve).
    pub fn close(&self) {
        let mut lanes = self.lock();
        lanes.closed = true;
        lanes.short.clear();
        lanes.long.clear();
        self.filled.notify_all();
    }

    /// Waits for jobs, and has a round of them encoded. Tells whether there will be more.
    pub fn serve(&self, encode: impl Fn(Option<Role>, &[&str]) -> Result<Embeddings, ApiError>) -> bool {
        let Some((role, parts)) = self.round() else { return false };
        let began = Instant::now();
        for part in parts.iter().filter(|part| part.job.done.is_none()) {
            self.metrics.queued(part.job.since.elapsed());
            if let Some(trace) = part.job.waiting.trace() {
                trace.stage("queue", part.job.since, began);
            }
        }
        let texts: Vec<&str> = parts
            .iter()
            .flat_map(|part| part.job.texts.texts[part.job.next()..][..part.texts].iter().map(String::as_str))
            .collect();
        let encoded = encode(role, &texts);
        let (mut at, ended) = (0, Instant::now());
        for part in parts {
            if let Some(trace) = part.job.waiting.trace() {
                trace.stage("encode", began, ended);
            }
            let rows = at..at + part.texts;
            at = rows.end;
            match &encoded {
                Ok(embeddings) => self.deliver(part, embeddings, rows),
                // Nobody hears it where the client is gone.
                Err(error) => drop(part.job.reply.send(Err(error.clone()))),
            }
        }
        true
    }

    /// The jobs of the next round, all of one role; none when the queue is closed.
    fn round(&self) -> Option<(Option<Role>, Vec<Part>)> {
        let mut lanes = self.lock();
        loop {
            lanes.drop_gone();
            if lanes.closed {
                return None;
            }
            if let Some(round) = lanes.take_round() {
                self.metrics.waiting(lanes.tokens);
                return Some(round);
            }
            lanes = self.filled.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives a job its embeddings. One that is not done goes to the end of its lane, so that long ones take turns.
    fn deliver(&self, part: Part, embeddings: &Embeddings, rows: std::ops::Range<usize>) {
        let Part { mut job, is_long, .. } = part;
        let mut done = job.done.take().unwrap_or_else(|| Embeddings::empty(embeddings.dimension()));
        rows.for_each(|row| done.push(embeddings.row(row)));
        if done.rows() == job.texts.texts.len() {
            drop(job.reply.send(Ok(done)));
            return;
        }
        job.done = Some(done);
        let mut lanes = self.lock();
        lanes.tokens += job.left();
        if !lanes.closed {
            if is_long { lanes.long.push_back(job) } else { lanes.short.push_front(job) }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    /// Forgets jobs that nobody waits for.
    fn drop_gone(&mut self) {
        self.short.retain(|job| !job.is_gone());
        self.long.retain(|job| !job.is_gone());
        self.tokens = self.short.iter().chain(&self.long).map(Job::left).sum();
    }

    /// Takes the jobs that are encoded together: short ones in the order in which they came, and a part of a long one.
    fn take_round(&mut self) -> Option<(Option<Role>, Vec<Part>)> {
        let (short, long) = (self.short.front(), self.long.front());
        // They take turns where both wait, so that no role waits for another for ever.
        let first = if self.long_chooses { long.or(short) } else { short.or(long) }?;
        let role = first.role;
        self.long_chooses = !self.long_chooses;
        let has_long = long.is_some_and(|job| job.role == role);
        let room = if has_long { ROUND - KEPT } else { ROUND };
        let (mut parts, mut taken) = (Vec::new(), 0);
        while let Some(job) =
            self.short.pop_front_if(|job| job.role == role && (taken == 0 || taken + job.left() <= room))
        {
            taken += job.left();
            parts.push(Part { texts: job.texts.texts.len() - job.next(), job, is_long: false });
        }
        if has_long && let Some(job) = self.long.pop_front() {
            let texts = job.fitting(ROUND.saturating_sub(taken));
            parts.push(Part { texts, job, is_long: true });
        }
        self.tokens = self.short.iter().chain(&self.long).map(Job::left).sum();
        Some((role, parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patience::Patience;

    type Answer = oneshot::Receiver<Result<Embeddings, ApiError>>;

    fn queue(most: usize) -> Queue {
        Queue::new(most, Arc::new(Metrics::new()))
    }

    /// A request of so many texts of so many tokens each, and where its answer comes.
    fn job(name: &str, texts: usize, tokens: usize) -> (Job, Patience, Answer) {
        let patience = Patience::default();
        let (reply, answer) = oneshot::channel();
        let texts = Texts {
            texts: (0..texts).map(|at| format!("{name}{at}")).collect(),
            tokens: vec![tokens; texts],
            truncated: vec![false; texts],
        };
        (Job::new(None, texts, patience.waiting(), reply), patience, answer)
    }

    /// Serves a round, and tells which texts were in it. A text's embedding is its number.
    fn serve(queue: &Queue) -> Vec<String> {
        let seen = Mutex::new(Vec::new());
        assert!(queue.serve(|_, texts| {
            *seen.lock().unwrap() = texts.iter().map(|text| (*text).to_owned()).collect();
            let number = |text: &&str| text[1..].parse::<f32>().unwrap();
            Ok(Embeddings::from_values(1, texts.iter().map(number).collect()))
        }));
        seen.into_inner().unwrap()
    }

    #[test]
    fn short_requests_share_a_round_and_each_gets_its_own() {
        let queue = queue(100_000);
        let (a, _a, mut to_a) = job("a", 2, 10);
        let (b, _b, mut to_b) = job("b", 3, 10);
        queue.push(a).unwrap();
        queue.push(b).unwrap();
        assert_eq!(serve(&queue), ["a0", "a1", "b0", "b1", "b2"]);
        assert_eq!(to_a.try_recv().unwrap().unwrap().as_slice(), [0.0, 1.0]);
        assert_eq!(to_b.try_recv().unwrap().unwrap().as_slice(), [0.0, 1.0, 2.0]);
    }

    #[test]
    fn a_short_request_does_not_wait_for_a_long_one_nor_a_long_one_for_ever() {
        let queue = queue(1_000_000);
        let (long, _long, mut to_long) = job("l", 100, 250);
        queue.push(long).unwrap();
        let mut rounds = 0;
        let answer = loop {
            let (short, _short, mut to_short) = job("s", 1, 250);
            queue.push(short).unwrap();
            let texts = serve(&queue);
            assert_eq!(texts[0], "s0");
            assert!(to_short.try_recv().unwrap().is_ok());
            assert!(texts.len() > 1 && texts.len() * 250 <= ROUND, "{}", texts.len());
            rounds += 1;
            if let Ok(answer) = to_long.try_recv() {
                break answer.unwrap();
            }
        };
        assert_eq!(rounds, 4);
        assert_eq!(answer.as_slice(), (0..100).map(|n| n as f32).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_too_much_is_refused_and_the_gone_make_room() {
        let queue = queue(1000);
        let (a, patience, _to_a) = job("a", 1, 700);
        queue.push(a).unwrap();
        let (b, _b, _to_b) = job("b", 1, 400);
        assert_eq!(queue.push(b).unwrap_err().kind, Kind::Busy);
        drop(patience);
        let (c, _c, _to_c) = job("c", 1, 400);
        queue.push(c).unwrap();
        assert_eq!(serve(&queue), ["c0"]);
    }

    #[test]
    fn a_request_larger_than_the_queue_is_taken_alone() {
        let queue = queue(1000);
        let (a, _a, _to_a) = job("a", 10, 700);
        queue.push(a).unwrap();
        assert_eq!(serve(&queue).len(), 10);
    }

    #[test]
    fn a_closed_queue_ends_its_thread() {
        let queue = queue(1000);
        queue.close();
        assert!(!queue.serve(|_, _| unreachable!()));
        let (a, _a, _to_a) = job("a", 1, 1);
        assert_eq!(queue.push(a).unwrap_err().kind, Kind::Unavailable);
    }
}
