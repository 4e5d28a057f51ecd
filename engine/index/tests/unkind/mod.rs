//! Sets of vectors that graphs find hard: crowds of near-equal vectors beside few others, clusters of unlike size and
//! density, lines, shells. All vectors are of length one, and always the same.

#![allow(dead_code)]

use akin_index::Embeddings;

/// Numbers that look random (SplitMix64: Steele et al. 2014).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// A direction: a normal number in each dimension, of length one.
    pub fn direction(&mut self, dimension: usize) -> Vec<f32> {
        let normal = |random: &mut Self| {
            (-2.0 * random.unit().max(1e-9).ln()).sqrt() * (std::f32::consts::TAU * random.unit()).cos()
        };
        normalized((0..dimension).map(|_| normal(self)).collect())
    }

    /// A vector of length one near `center`: the two differ by `noise`.
    pub fn near(&mut self, center: &[f32], noise: f32) -> Vec<f32> {
        let direction = self.direction(center.len());
        normalized(center.iter().zip(direction).map(|(c, d)| c + noise * d).collect())
    }
}

pub fn normalized(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}

/// Rows of a set, and queries that are no rows of it.
pub struct Set {
    pub name: String,
    pub rows: Embeddings,
    pub queries: Embeddings,
}

/// A kind of vectors: one of them each time it is asked.
type Kind = Box<dyn Fn(&mut Random) -> Vec<f32>>;

fn set(name: &str, rows: usize, queries: usize, kind: &Kind) -> Set {
    let mut random = Random::new(rows as u64 + name.len() as u64);
    let mut draw = |count: usize| {
        let vectors: Vec<Vec<f32>> = (0..count).map(|_| kind(&mut random)).collect();
        Embeddings::from_values(vectors[0].len(), vectors.concat())
    };
    Set { name: name.into(), rows: draw(rows), queries: draw(queries) }
}

fn crowd(dimension: usize, noise: f32) -> Kind {
    let center = Random::new(11).direction(dimension);
    Box::new(move |random| random.near(&center, noise))
}

/// One crowd, and `share` of anything else.
fn crowd_and_others(dimension: usize, noise: f32, share: f32) -> Kind {
    let crowd = crowd(dimension, noise);
    Box::new(move |random| if random.unit() < share { random.direction(dimension) } else { crowd(random) })
}

/// Clusters: cluster n has one in n of the first one's rows, and a radius of its own.
fn clusters(dimension: usize, count: usize) -> Kind {
    let mut random = Random::new(5);
    let centers: Vec<Vec<f32>> = (0..count).map(|_| random.direction(dimension)).collect();
    let total: f32 = (1..=count).map(|n| 1.0 / n as f32).sum();
    Box::new(move |random| {
        let mut left = random.unit() * total;
        let mut at = 0;
        while at + 1 < count && left > 1.0 / (at + 1) as f32 {
            left -= 1.0 / (at + 1) as f32;
            at += 1;
        }
        let noise = [0.003, 0.03, 0.3, 1.0][at % 4];
        random.near(&centers[at], noise)
    })
}

/// An arc from one direction to another.
fn line(dimension: usize) -> Kind {
    let mut random = Random::new(3);
    let (from, to) = (random.direction(dimension), random.direction(dimension));
    Box::new(move |random| {
        let at = random.unit();
        normalized(from.iter().zip(&to).map(|(a, b)| a * (1.0 - at) + b * at).collect())
    })
}

fn one_hot(dimension: usize) -> Kind {
    Box::new(move |random| {
        let mut vector = vec![0.0; dimension];
        vector[random.below(dimension)] = 1.0;
        // A little of something else, else there would be few different ones.
        random.near(&vector, 0.02)
    })
}

/// One crowd and one in a hundred others, of `rows` rows.
pub fn crowd_beside_others(rows: usize) -> Set {
    set("crowd beside others", rows, 1, &crowd_and_others(48, 0.1, 0.01))
}

/// A bit of everything, of `rows` rows.
pub fn mixed(rows: usize) -> Set {
    set("all of these", rows, 200, &everything(48))
}

fn everything(dimension: usize) -> Kind {
    let kinds: Vec<Kind> = vec![
        crowd(dimension, 1e-3),
        crowd_and_others(dimension, 0.1, 0.05),
        clusters(dimension, 50),
        line(dimension),
        one_hot(dimension),
    ];
    Box::new(move |random| {
        let kind = random.below(kinds.len());
        kinds[kind](random)
    })
}

/// All sets of `rows` rows.
pub fn all(rows: usize, queries: usize) -> Vec<Set> {
    let dimension = 48;
    let mut kinds: Vec<(String, Kind)> = Vec::new();
    for noise in [1e-4, 1e-3, 1e-2, 1e-1] {
        kinds.push((format!("near-equal {noise}"), crowd(dimension, noise)));
    }
    for share in [0.001, 0.01, 0.03, 0.1] {
        for noise in [0.02, 0.3] {
            let name = format!("crowd {noise}, {} % others", share * 100.0);
            kinds.push((name, crowd_and_others(dimension, noise, share)));
        }
    }
    kinds.push(("clusters of unlike size".into(), clusters(dimension, 200)));
    kinds.push(("line".into(), line(dimension)));
    kinds.push(("shell".into(), Box::new(move |random| random.direction(dimension))));
    kinds.push(("one-hot".into(), one_hot(dimension)));
    kinds.push(("all of these".into(), everything(dimension)));
    kinds.iter().map(|(name, kind)| set(name, rows, queries, kind)).collect()
}
