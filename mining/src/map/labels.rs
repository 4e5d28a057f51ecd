//! Names for regions: the words that are frequent in a region and rare elsewhere.
//!
//! A word scores by its share of the documents of a region, times the logarithm of how much larger that is than its share of
//! all, times its rarity (IDF), times how far it keeps to few of the finest regions: a form of class-based TF-IDF (Grootendorst
//! 2022) in which a word that is equally frequent everywhere has no weight, in whatever language, and one like `the` or
//! `she` has little even where it is somewhat more frequent. No list of stop words is needed.

use std::collections::HashMap;

use akin_index::each_word;
use rayon::prelude::*;

use super::regions::Regions;

/// Words of a label, at most.
const WORDS: usize = 3;
/// Bytes of a text that are read.
const READ: usize = 2048;
/// Characters of a word, at most: a longer one names nothing.
const LONGEST: usize = 30;

/// Fills in the words of each region. `text` gives the text of a row.
pub fn label<'a>(regions: &mut Regions, text: &(dyn Fn(usize) -> &'a str + Sync)) {
    let first = regions.finest().start;
    let counts = Counts::of(regions, first, text);
    let weights = counts.weights();
    let mut by_region = counts.by_finest;
    // What the finest regions count, their parents count too.
    let mut all: Vec<HashMap<u32, u32>> = vec![HashMap::new(); first];
    all.append(&mut by_region);
    for region in (0..all.len()).rev() {
        if let Some(parent) = regions.regions[region].parent {
            let own = std::mem::take(&mut all[region]);
            own.iter().for_each(|(word, count)| *all[parent].entry(*word).or_default() += count);
            all[region] = own;
        }
    }
    let rows = regions.of_row.len();
    for (region, counted) in all.iter().enumerate() {
        let ranked =
            ranked(counted, regions.regions[region].rows, rows, &counts.totals, &weights, &counts.words);
        let mut taken = Vec::new();
        let mut above = regions.regions[region].parent;
        while let Some(parent) = above {
            taken.extend(regions.regions[parent].words.iter().cloned());
            above = regions.regions[parent].parent;
        }
        regions.regions[region].words = chosen(&ranked, &taken);
    }
}

/// How many documents have each word, in each of the finest regions and in all.
struct Counts {
    words: Vec<String>,
    totals: Vec<u32>,
    by_finest: Vec<HashMap<u32, u32>>,
}

impl Counts {
    fn of<'a>(regions: &Regions, first: usize, text: &(dyn Fn(usize) -> &'a str + Sync)) -> Self {
        let mut counts = Self {
            words: Vec::new(),
            totals: Vec::new(),
            by_finest: vec![HashMap::new(); regions.regions.len() - first],
        };
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let rows: Vec<usize> = (0..regions.of_row.len()).collect();
        for part in rows.chunks(1 << 14) {
            // Cutting texts into words takes most of the time.
            let words: Vec<Vec<String>> = part.par_iter().map(|row| words_of(text(*row))).collect();
            for (row, words) in part.iter().zip(words) {
                let region = &mut counts.by_finest[regions.of_row[*row] as usize - first];
                for word in words {
                    let number = *numbers.entry(word).or_insert_with_key(|word| {
                        counts.words.push(word.clone());
                        counts.totals.push(0);
                        (counts.words.len() - 1) as u32
                    });
                    counts.totals[number as usize] += 1;
                    *region.entry(number).or_default() += 1;
                }
            }
        }
        counts
    }

    /// How far each word keeps to few of the finest regions: one less the entropy of its distribution over them, as a share of
    /// the greatest there is.
    fn weights(&self) -> Vec<f64> {
        let most = (self.by_finest.len() as f64).ln();
        let mut entropy = vec![0f64; self.words.len()];
        for (word, count) in self.by_finest.iter().flatten() {
            let share = f64::from(*count) / f64::from(self.totals[*word as usize]);
            entropy[*word as usize] -= share * share.ln();
        }
        // Of a single region there is no distribution.
        entropy.iter().map(|entropy| if most > 0.0 { 1.0 - entropy / most } else { 1.0 }).collect()
    }
}

/// The different words of a text that may name something.
fn words_of(text: &str) -> Vec<String> {
    let mut end = READ.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut words = Vec::new();
    each_word(&text[..end], &mut |word| {
        let length = word.chars().count();
        let is_word = word.chars().any(char::is_alphabetic) && !word.contains('_');
        if (2..=LONGEST).contains(&length) && is_word {
            words.push(word.to_lowercase());
        }
    });
    words.sort_unstable();
    words.dedup();
    words
}

/// The words of a region, best first.
fn ranked<'a>(
    counts: &HashMap<u32, u32>,
    region_rows: usize,
    rows: usize,
    totals: &[u32],
    weights: &[f64],
    words: &'a [String],
) -> Vec<&'a str> {
    // A word of a single document says nothing of a region that has many.
    let least = if region_rows < 5 { 1 } else { 2 };
    let mut scored: Vec<(f64, &str)> = counts
        .iter()
        .filter(|(_, count)| **count >= least)
        .map(|(word, count)| {
            let share = f64::from(*count) / region_rows as f64;
            let elsewhere = f64::from(totals[*word as usize]) / rows as f64;
            // Of a single region there is no elsewhere.
            let contrast = if region_rows == rows { 1.0 } else { (share / elsewhere).ln() };
            (share * contrast * -elsewhere.ln() * weights[*word as usize], words[*word as usize].as_str())
        })
        .collect();
    scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scored.retain(|(score, _)| *score > 0.0);
    scored.truncate(32);
    scored.into_iter().map(|(_, word)| word).collect()
}

/// The first words that do not repeat each other, nor what the regions around say.
fn chosen(ranked: &[&str], taken: &[String]) -> Vec<String> {
    let mut chosen: Vec<String> = Vec::new();
    for word in ranked {
        let repeats = |other: &String| is_form_of(word, other);
        if !chosen.iter().any(repeats) && !taken.iter().any(repeats) {
            chosen.push((*word).to_owned());
        }
        if chosen.len() == WORDS {
            break;
        }
    }
    if chosen.is_empty() {
        chosen.extend(ranked.first().map(|word| (*word).to_owned()));
    }
    chosen
}

/// Whether two words are forms of one, as far as their beginnings tell: `bird` and `birds`, `music` and `musical`.
fn is_form_of(one: &str, other: &str) -> bool {
    let shared = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let (short, long) =
        (one.chars().count().min(other.chars().count()), one.chars().count().max(other.chars().count()));
    one == other || (shared >= 4 && shared + 1 >= short && long <= shared + 4)
}

#[cfg(test)]
mod tests {
    use super::super::regions::regions;
    use super::*;

    fn labelled(texts: &[String], places: &[[f32; 2]]) -> Regions {
        let mut regions = regions(places, 1);
        label(&mut regions, &|row| &texts[row]);
        regions
    }

    #[test]
    fn a_region_is_named_by_what_is_frequent_there_and_rare_elsewhere() {
        let kinds = ["the bird has a feather", "the ship has a sail", "die 鳥類 の ship"];
        let texts: Vec<String> = (0..300).map(|row| kinds[row % 3].to_owned()).collect();
        let places: Vec<[f32; 2]> =
            (0..300).map(|row| [(row % 3) as f32 * 50.0, row as f32 * 1e-3]).collect();
        let regions = labelled(&texts, &places);
        for (row, words) in [(0, ["bird", "feather"]), (1, ["sail", "the"]), (2, ["die", "鳥類"])] {
            let coarsest = regions.coarsest(regions.of_row[row] as usize);
            let found = &regions.regions[coarsest].words;
            assert!(found.contains(&words[0].to_owned()), "{row}: {found:?}");
        }
        let of_first = &regions.regions[regions.coarsest(regions.of_row[0] as usize)].words;
        assert_eq!(&of_first[..2], ["bird", "feather"]);
    }

    #[test]
    fn a_word_that_is_in_many_regions_names_none_even_where_it_is_somewhat_more_frequent() {
        // All documents of the first region speak of her, a quarter of those of the others, and a tenth of its documents of
        // an owl.
        let text = |row: usize| {
            let (place, n) = (row % 8, row / 8);
            let she = place == 0 || n.is_multiple_of(4);
            let owl = place == 0 && n.is_multiple_of(10);
            format!("word{place}x{n} {} {}", if she { "she" } else { "" }, if owl { "owl" } else { "" })
        };
        let texts: Vec<String> = (0..1600).map(text).collect();
        let places: Vec<[f32; 2]> =
            (0..1600).map(|row| [(row % 8) as f32 * 50.0, (row / 8) as f32 * 1e-2]).collect();
        let regions = labelled(&texts, &places);
        let coarsest = &regions.regions[regions.coarsest(regions.of_row[0] as usize)];
        assert_eq!(coarsest.words[0], "owl", "{:?}", coarsest.words);
    }

    #[test]
    fn forms_of_a_word_and_words_of_the_regions_around_are_not_repeated() {
        assert!(is_form_of("bird", "birds") && is_form_of("music", "musical") && is_form_of("a", "a"));
        assert!(
            !is_form_of("bird", "birch")
                && !is_form_of("car", "cars")
                && !is_form_of("inter", "international")
        );
        let words = chosen(&["bird", "birds", "wing", "sea", "cold"], &["seas".into(), "wing".into()]);
        assert_eq!(words, ["bird", "sea", "cold"]);
        assert_eq!(chosen(&["bird"], &["bird".into()]), ["bird"]);
        assert!(chosen(&[], &[]).is_empty());
    }

    #[test]
    fn texts_without_words_and_long_ones_do_no_harm() {
        assert!(words_of("").is_empty() && words_of("12 - 34 !").is_empty());
        assert!(words_of(&"ä".repeat(5000)).is_empty());
        assert_eq!(words_of("Two two x TWO"), ["two"]);
    }
}
