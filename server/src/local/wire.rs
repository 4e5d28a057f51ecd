//! What is asked and answered over the socket, and how it is written.
//!
//! A request is the length of its JSON (u32, little-endian) and the JSON. The answer begins with [`HEARD`] at once. Then come
//! [`ANSWERED`], a length (u64, little-endian) and so many bytes, or [`REFUSED`].

use std::path::Path;

use akin_encoder::{Device, EncoderOptions, Executor, Precision, Prompts};
use akin_index::SearchOptions;
use akin_index::storage::{Folder, Storage};
use akin_query::{Answer, AskOptions, Highlight, Mode};
use serde::{Deserialize, Serialize};

/// Changes with the form of requests and answers.
const PROTOCOL: u32 = 1;

/// The most bytes of a request.
pub const LARGEST_REQUEST: usize = 1 << 20;

/// The most bytes of an answer that a program takes.
pub const LARGEST_ANSWER: u64 = 1 << 30;

/// The request was read, and is being answered.
pub const HEARD: u8 = b'+';
/// The answer follows.
pub const ANSWERED: u8 = b'=';
/// The program must answer itself.
pub const REFUSED: u8 = b'-';

/// What must be the same in both processes for their answers to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    protocol: u32,
    version: String,
    /// The instruction set: kernels differ in the last bits.
    processor: String,
    /// Whether several threads share a query, which adds in another order.
    several_threads: bool,
    /// In what numbers, and where if that is not the processor.
    precision: String,
}

impl Surroundings {
    /// Those of this process, which computes in a precision on a device and so many threads.
    pub fn new(precision: Precision, device: Device, threads: usize) -> Self {
        Self {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            processor: akin_kernels::cpu::isa().name().to_owned(),
            several_threads: threads > 1,
            precision: match device {
                Device::Cpu => format!("{precision:?}"),
                device => format!("{precision:?} on {device}"),
            },
        }
    }

    /// Those that are left where no model is asked, so that its precision does not count.
    fn without_precision(&self) -> Self {
        Self { precision: String::new(), ..self.clone() }
    }

    /// Whether both processes compute alike.
    pub fn equal(&self, other: &Self, with_model: bool) -> bool {
        match with_model {
            true => self == other,
            false => self.without_precision() == other.without_precision(),
        }
    }
}

/// Whether a server computes with these options as it does without any but a precision and a device.
pub fn is_plain(options: &EncoderOptions) -> bool {
    let EncoderOptions { device: _, executor, precision: _, prompts, dimensions } = options;
    matches!(executor, Executor::Cpu) && *prompts == Prompts::default() && dimensions.is_none()
}

/// A request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// Of the process that asks.
    pub surroundings: Surroundings,
    /// The manifest that it sees in the folder: the server must see the same one.
    pub manifest: [u64; 4],
    /// What to look for; blank where examples say it.
    pub text: String,
    /// `semantic`, `keyword` or `hybrid`.
    pub mode: Option<String>,
    /// An expression about metadata.
    pub filter: Option<String>,
    /// Whether the JSON line is wanted, and not what [`Shown`] has.
    pub json: bool,
    /// Whether highlights are wanted.
    pub highlights: bool,
    k: usize,
    ef: Option<usize>,
    exact: bool,
    offset: usize,
    /// The bits of a float: not all that a float can be is a number of JSON.
    min_score: Option<u32>,
    diverse: bool,
    per_document: usize,
    facets: Vec<String>,
    like: Vec<String>,
    unlike: Vec<String>,
}

impl Ask {
    /// A request for the index at `path`; none where there is no manifest.
    pub fn new(
        path: &Path,
        surroundings: Surroundings,
        text: &str,
        mode: Option<Mode>,
        options: &AskOptions,
    ) -> Option<Self> {
        let AskOptions { search, offset, min_score, diverse, per_document, facets, like, unlike } = options;
        Some(Self {
            surroundings,
            manifest: manifest(path)?,
            text: text.to_owned(),
            mode: mode.map(|mode| name_of(mode).to_owned()),
            filter: None,
            json: false,
            highlights: false,
            k: search.k,
            ef: search.ef,
            exact: search.exact,
            offset: *offset,
            min_score: min_score.map(f32::to_bits),
            diverse: *diverse,
            per_document: *per_document,
            facets: facets.clone(),
            like: like.clone(),
            unlike: unlike.clone(),
        })
    }

    /// The mode that was named, if one was; `None` if there is no mode of that name.
    pub fn mode(&self) -> Option<Option<Mode>> {
        let Some(name) = &self.mode else { return Some(None) };
        let modes = [Mode::Semantic, Mode::Keyword, Mode::Hybrid];
        modes.into_iter().find(|mode| name_of(*mode) == name).map(Some)
    }

    /// What is asked beside the text.
    pub fn options(&self) -> AskOptions {
        AskOptions {
            search: SearchOptions { k: self.k, ef: self.ef, exact: self.exact, among: None },
            offset: self.offset,
            min_score: self.min_score.map(f32::from_bits),
            diverse: self.diverse,
            per_document: self.per_document,
            facets: self.facets.clone(),
            like: self.like.clone(),
            unlike: self.unlike.clone(),
        }
    }
}

fn name_of(mode: Mode) -> &'static str {
    match mode {
        Mode::Semantic => "semantic",
        Mode::Keyword => "keyword",
        Mode::Hybrid => "hybrid",
    }
}

/// What tells one manifest from another.
pub fn manifest(path: &Path) -> Option<[u64; 4]> {
    Folder::new(path).manifest_stamp().ok().map(|stamp| stamp.0)
}

/// An answer that is shown to people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// The hits.
    pub answer: Answer,
    /// What to show of each, where that was asked for.
    pub highlights: Vec<Highlight>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_arrives_as_it_was_asked() {
        let folder = akin_fixtures::Folder::new();
        folder.write("manifest", "anything");
        let options = AskOptions {
            search: SearchOptions { k: 3, ef: Some(7), exact: true, among: None },
            offset: 2,
            min_score: Some(0.1),
            diverse: true,
            per_document: 4,
            facets: vec!["a".into()],
            like: vec!["b".into()],
            unlike: vec!["c".into()],
        };
        let here = Surroundings::new(Precision::F32, Device::Cpu, 2);
        for mode in [None, Some(Mode::Semantic), Some(Mode::Keyword), Some(Mode::Hybrid)] {
            let ask = Ask::new(folder.root(), here.clone(), "text", mode, &options).unwrap();
            let sent = serde_json::to_string(&ask).unwrap();
            let got: Ask = serde_json::from_str(&sent).unwrap();
            assert_eq!((got.options(), got.mode()), (options.clone(), Some(mode)));
            assert_eq!(got, ask);
        }
        assert_eq!(Ask::new(&folder.path("none"), here, "text", None, &options), None);
    }

    #[test]
    fn processes_that_compute_otherwise_are_told_apart() {
        let here = Surroundings::new(Precision::F32, Device::Cpu, 2);
        assert!(here.equal(&Surroundings::new(Precision::F32, Device::Cpu, 8), true));
        for other in [
            Surroundings::new(Precision::F32, Device::Cpu, 1),
            Surroundings { version: "0.0.1".into(), ..here.clone() },
            Surroundings { protocol: 0, ..here.clone() },
            Surroundings { processor: "abacus".into(), ..here.clone() },
        ] {
            assert!(!here.equal(&other, true) && !here.equal(&other, false), "{other:?}");
        }
        let int8 = Surroundings::new(Precision::Int8, Device::Cpu, 2);
        let gpu = Surroundings::new(Precision::F32, Device::Cuda(1), 2);
        for other in [int8, gpu] {
            assert!(!here.equal(&other, true) && here.equal(&other, false), "{other:?}");
        }
    }
}
