//! The language of an index: which stems its words have.
//!
//! It is told by the share of function words in the first documents, and remembered by each segment.

use std::collections::HashMap;
use std::sync::LazyLock;

use rust_stemmers::{Algorithm, Stemmer};

use super::segmentation::{Piece, each_piece};

/// Words that must be seen before a language is decided on.
const ENOUGH: usize = 200;
/// Words after which an index that is of no language stays so.
const PLENTY: usize = 5000;
/// A text of a language has at least so large a share of its function words.
const SHARE: f64 = 0.12;
/// And at least so many times as many as of any other language.
const LEAD: f64 = 1.3;

/// The language by which words are stemmed. Its number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub(crate) enum Language {
    /// Not decided yet: too few words were seen. Words are not stemmed.
    #[default]
    Undecided = 0,
    /// None that is known, or many. Words are not stemmed.
    Other = 1,
    English = 2,
    German = 3,
    French = 4,
    Spanish = 5,
    Italian = 6,
    Portuguese = 7,
    Dutch = 8,
    Swedish = 9,
    Danish = 10,
    Norwegian = 11,
    Finnish = 12,
    Hungarian = 13,
    Romanian = 14,
    Turkish = 15,
    Russian = 16,
}

/// Frequent words of each language that is told, in small letters.
const FUNCTION_WORDS: [(Language, &str); 15] = [
    (Language::English, "the of and to a in is that for it was on as with by are be this from or an which"),
    (
        Language::German,
        "der die und das den von zu mit sich des auf für ist im dem nicht ein eine als auch es",
    ),
    (Language::French, "le la les de des et du un une est que dans pour qui en sur au par pas plus ne ce"),
    (Language::Spanish, "el la los las de y que en un una es del por con para se no su al como más"),
    (Language::Italian, "il la di che e un una per è del della in non sono con gli le si dei da nel"),
    (Language::Portuguese, "o a os as de e que do da em um uma para com não por se no na dos mais"),
    (Language::Dutch, "de het een en van in is dat op te zijn met voor niet die aan er ook als door"),
    (Language::Swedish, "och att det i en som är på av för med den till inte har ett om de var från"),
    (Language::Danish, "og at det i en som er på af for med den til ikke har et om de var fra"),
    (Language::Norwegian, "og at det i en som er på av for med den til ikke har et om de var fra"),
    (Language::Finnish, "ja on ei se että oli hän mutta ovat myös kun joka ole tai kuin sen jos"),
    (Language::Hungarian, "a az és hogy nem is egy volt meg ez de csak mint már ha vagy még el"),
    (Language::Romanian, "și de la în a cu pe care este un o din nu că se pentru mai au fost sau"),
    (Language::Turkish, "ve bir bu da de için ile çok olarak daha gibi en olan ne var kadar ama"),
    (Language::Russian, "и в не на что с по как это из у за от к о он так его же но для"),
];

/// The languages by their names.
const NAMES: [(&str, Language); 15] = [
    ("english", Language::English),
    ("german", Language::German),
    ("french", Language::French),
    ("spanish", Language::Spanish),
    ("italian", Language::Italian),
    ("portuguese", Language::Portuguese),
    ("dutch", Language::Dutch),
    ("swedish", Language::Swedish),
    ("danish", Language::Danish),
    ("norwegian", Language::Norwegian),
    ("finnish", Language::Finnish),
    ("hungarian", Language::Hungarian),
    ("romanian", Language::Romanian),
    ("turkish", Language::Turkish),
    ("russian", Language::Russian),
];

static LANGUAGES: LazyLock<HashMap<&str, Vec<usize>>> = LazyLock::new(|| {
    let mut languages: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, (_, words)) in FUNCTION_WORDS.iter().enumerate() {
        words.split(' ').for_each(|word| languages.entry(word).or_default().push(at));
    }
    languages
});

impl Language {
    /// The language of a stored number; none that is known for any other.
    pub(crate) fn from_code(code: u8) -> Self {
        let all = FUNCTION_WORDS.iter().map(|(language, _)| *language).chain([Self::Undecided]);
        all.into_iter().find(|language| *language as u8 == code).unwrap_or(Self::Other)
    }

    /// The language of a name in small letters, with its name.
    pub(super) fn named(name: &str) -> Option<(&'static str, Self)> {
        NAMES.into_iter().find(|(known, _)| *known == name)
    }

    /// The names of languages that are known.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().map(|(name, _)| name)
    }

    /// What stems its words.
    pub(super) fn stemmer(self) -> Option<Stemmer> {
        let algorithm = match self {
            Self::Undecided | Self::Other => return None,
            Self::English => Algorithm::English,
            Self::German => Algorithm::German,
            Self::French => Algorithm::French,
            Self::Spanish => Algorithm::Spanish,
            Self::Italian => Algorithm::Italian,
            Self::Portuguese => Algorithm::Portuguese,
            Self::Dutch => Algorithm::Dutch,
            Self::Swedish => Algorithm::Swedish,
            Self::Danish => Algorithm::Danish,
            Self::Norwegian => Algorithm::Norwegian,
            Self::Finnish => Algorithm::Finnish,
            Self::Hungarian => Algorithm::Hungarian,
            Self::Romanian => Algorithm::Romanian,
            Self::Turkish => Algorithm::Turkish,
            Self::Russian => Algorithm::Russian,
        };
        Some(Stemmer::create(algorithm))
    }
}

/// Which languages the words seen so far are of.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    words: usize,
    counts: [usize; FUNCTION_WORDS.len()],
}

impl Evidence {
    /// Counts the words of a text.
    pub(crate) fn see(&mut self, text: &str) {
        each_piece(text, &mut |piece| {
            let Piece::Word(word) = piece else { return };
            self.words += 1;
            let found = LANGUAGES.get(word).or_else(|| LANGUAGES.get(word.to_lowercase().as_str()));
            found.into_iter().flatten().for_each(|at| self.counts[*at] += 1);
        });
    }

    /// Whether more words would not change the decision.
    pub(crate) fn is_plenty(&self) -> bool {
        self.words >= PLENTY
    }

    /// The language, if enough words were seen.
    pub(crate) fn decide(&self) -> Language {
        if self.words < ENOUGH {
            return Language::Undecided;
        }
        let best = (0..self.counts.len()).max_by_key(|at| self.counts[*at]).expect("there are languages");
        let second = (0..self.counts.len()).filter(|at| *at != best).map(|at| self.counts[at]).max();
        let count = self.counts[best] as f64;
        let leads = count >= LEAD * second.unwrap_or(0) as f64;
        match (count >= SHARE * self.words as f64 && leads, self.is_plenty()) {
            (true, _) => FUNCTION_WORDS[best].0,
            (false, true) => Language::Other,
            (false, false) => Language::Undecided,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn language_of(sentence: &str, times: usize) -> Language {
        let mut evidence = Evidence::default();
        (0..times).for_each(|_| evidence.see(sentence));
        evidence.decide()
    }

    #[test]
    fn a_language_is_told_by_its_function_words() {
        let english = "The quick brown fox is in the garden of a house that was built for it.";
        let german = "Der Hund und die Katze sind mit dem Ball auf der Straße, und das ist nicht schön.";
        let french = "Le chat est dans le jardin de la maison et les enfants sont sur une chaise pour lire.";
        let spanish =
            "El gato está en el jardín de la casa y los niños leen un libro con su madre para dormir.";
        let russian = "Он был в доме и не знал, что это так, но он шёл по улице к реке за водой.";
        assert_eq!(language_of(english, 100), Language::English);
        assert_eq!(language_of(german, 100), Language::German);
        assert_eq!(language_of(french, 100), Language::French);
        assert_eq!(language_of(spanish, 100), Language::Spanish);
        assert_eq!(language_of(russian, 100), Language::Russian);
    }

    #[test]
    fn few_words_and_many_languages_decide_nothing() {
        assert_eq!(language_of("the cat", 3), Language::Undecided);
        assert_eq!(language_of("zig zag fnord", 100), Language::Undecided);
        assert_eq!(language_of("zig zag fnord", 2000), Language::Other);
    }

    #[test]
    fn a_language_comes_back_from_its_number() {
        for code in 0..=16 {
            assert_eq!(Language::from_code(code) as u8, code);
        }
        assert_eq!(Language::from_code(200), Language::Other);
    }

    proptest! {
        #[test]
        fn no_word_makes_a_stemmer_panic(word in "\\PC{0,20}|[a-zäöüßéèçñåæøğışöæ']{0,20}|[а-яё]{0,20}") {
            for code in 2..=16 {
                let stemmer = Language::from_code(code).stemmer().expect("the language is known");
                let _ = stemmer.stem(&word.to_lowercase());
            }
        }
    }
}
