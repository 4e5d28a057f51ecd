//! Sets of vectors that graphs find hard: crowds of near-equal vectors beside few others, clusters of unlike size and
//! density, lines, shells. All vectors are of length one, and always the same.

#![allow(dead_code)]

use akin_fixtures::random::{Random, normalize};
use akin_index::Embeddings;

/// A number from 0 to below 1.
fn from_zero(random: &mut Random) -> f32 {
    (random.uniform() + 1.0) / 2.0
}

/// A direction: a normal number in each dimension (Box & Muller 1958), of length one.
fn direction(random: &mut Random, dimension: usize) -> Vec<f32> {
    let normal = |random: &mut Random| {
        (-2.0 * from_zero(random).max(1e-9).ln()).sqrt() * (std::f32::consts::TAU * from_zero(random)).cos()
    };
    normalized((0..dimension).map(|_| normal(random)).collect())
}

/// A vector of length one near `center`: the two differ by `noise`.
fn near(random: &mut Random, center: &[f32], noise: f32) -> Vec<f32> {
    let direction = direction(random, center.len());
    normalized(center.iter().zip(direction).map(|(c, d)| c + noise * d).collect())
}

fn normalized(mut vector: Vec<f32>) -> Vec<f32> {
    normalize(&mut vector);
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
    let center = direction(&mut Random::new(11), dimension);
    Box::new(move |random| near(random, &center, noise))
}

/// One crowd, and `share` of anything else.
fn crowd_and_others(dimension: usize, noise: f32, share: f32) -> Kind {
    let crowd = crowd(dimension, noise);
    Box::new(
        move |random| if from_zero(random) < share { direction(random, dimension) } else { crowd(random) },
    )
}

/// Clusters: cluster n has one in n of the first one's rows, and a radius of its own.
fn clusters(dimension: usize, count: usize) -> Kind {
    let mut random = Random::new(5);
    let centers: Vec<Vec<f32>> = (0..count).map(|_| direction(&mut random, dimension)).collect();
    let total: f32 = (1..=count).map(|n| 1.0 / n as f32).sum();
    Box::new(move |random| {
        let mut left = from_zero(random) * total;
        let mut at = 0;
        while at + 1 < count && left > 1.0 / (at + 1) as f32 {
            left -= 1.0 / (at + 1) as f32;
            at += 1;
        }
        let noise = [0.003, 0.03, 0.3, 1.0][at % 4];
        near(random, &centers[at], noise)
    })
}

/// An arc from one direction to another.
fn line(dimension: usize) -> Kind {
    let mut random = Random::new(3);
    let (from, to) = (direction(&mut random, dimension), direction(&mut random, dimension));
    Box::new(move |random| {
        let at = from_zero(random);
        normalized(from.iter().zip(&to).map(|(a, b)| a * (1.0 - at) + b * at).collect())
    })
}

fn one_hot(dimension: usize) -> Kind {
    Box::new(move |random| {
        let mut vector = vec![0.0; dimension];
        vector[random.below(dimension as u64) as usize] = 1.0;
        // A little of something else, else there would be few different ones.
        near(random, &vector, 0.02)
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
        let kind = random.below(kinds.len() as u64) as usize;
        kinds[kind](random)
    })
}

/// Vectors of a kind with lengths from 0.3 to 3.
fn of_unlike_lengths(kind: Kind) -> Kind {
    Box::new(move |random| {
        // The sum of some uniform numbers is about normal.
        let length = (0.4 * (0..4).map(|_| random.uniform()).sum::<f32>()).exp();
        kind(random).into_iter().map(|value| value * length).collect()
    })
}

/// Sets for the dot product, of `rows` rows of unlike lengths.
pub fn unlike_lengths(rows: usize, queries: usize) -> Vec<Set> {
    let dimension = 48;
    let kinds: Vec<(&str, Kind)> = vec![
        ("clusters", clusters(dimension, 200)),
        ("shell", Box::new(move |random| direction(random, dimension))),
        ("crowd", crowd_and_others(dimension, 0.3, 0.03)),
        ("all of these", everything(dimension)),
    ];
    kinds
        .into_iter()
        .map(|(name, kind)| set(&format!("{name}, unlike lengths"), rows, queries, &of_unlike_lengths(kind)))
        .collect()
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
    kinds.push(("shell".into(), Box::new(move |random| direction(random, dimension))));
    kinds.push(("one-hot".into(), one_hot(dimension)));
    kinds.push(("all of these".into(), everything(dimension)));
    kinds.iter().map(|(name, kind)| set(name, rows, queries, kind)).collect()
}
