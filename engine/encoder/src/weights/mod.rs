//! The weights of a model: opened, and every tensor checked before anything computes with it.
//!
//! `file` finds and opens the files, in the forms of safetensors and of PyTorch (`torch`, with `pickle` and
//! `state_dict`). `receipt` remembers what reading all of a file has found, and `packed`
//! keeps the weights in the form that is computed with.

mod file;
mod packed;
mod pickle;
mod place;
mod receipt;
mod state_dict;
mod torch;

use std::path::Path;

use akin_kernels::cpu::Isa;
use akin_kernels::rows::Precision;
use rayon::prelude::*;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

pub(crate) use self::file::TensorFile;
#[cfg(feature = "hub")]
pub(crate) use self::file::{WEIGHT_FILES, shards};
#[cfg(test)]
pub(crate) use self::packed::FORMAT as PACKED_FORMAT;
pub(crate) use self::packed::{PackedFile, PackedPlace};
use self::place::Place;
use self::receipt::{Identity, Receipt};
use crate::Result;
use crate::config::BertConfig;
use crate::families::{BiasForm, Layout};
use crate::files::refuse;
use crate::fingerprint::Fingerprint;
use crate::model_dir::ModelDir;

/// The prefixes that exports put before the names of the network.
const PREFIXES: [&str; 4] = ["", "bert.", "roberta.", "model."];

/// The weights of a model: its files in memory, known to hold every tensor of the network.
pub struct ModelWeights {
    file: TensorFile,
    prefix: &'static str,
    layout: Layout,
    /// The tensors whose values were found to be numbers.
    checked: Vec<String>,
    /// Where a receipt of the files is kept, and what they were before they were read.
    place: Option<(Place, Identity)>,
    receipt: Option<Receipt>,
}

impl ModelWeights {
    /// Opens the weights of `model` and checks names, shapes, types and values.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) with the tensor at fault; [`Error::Io`](crate::Error::Io).
    pub fn open(model: &ModelDir) -> Result<Self> {
        let file = TensorFile::open(&model.transformer)?;
        let path = file.path();
        let tensors = file.tensors()?;
        let known = model.config.architecture.family().prefix;
        let of_file = |prefix: &str| model.config.layout(&|name| has(&tensors, &format!("{prefix}{name}")));
        let mut found = PREFIXES.into_iter().chain([known]).map(|prefix| (prefix, of_file(prefix)));
        let found = found.find(|(prefix, layout)| has(&tensors, &format!("{prefix}{}", layout.words)));
        let Some((prefix, layout)) = found else {
            let words = of_file("").words;
            return Err(refuse(
                path,
                format!(
                    "it has no tensor {words}, with or without a prefix ({known:?}, {:?})",
                    &PREFIXES[1..]
                ),
            ));
        };
        let expected = expected_tensors(&model.config, &layout).into_iter();
        let expected: Vec<(String, Vec<usize>)> =
            expected.map(|(name, shape)| (format!("{prefix}{name}"), shape)).collect();
        let checked: Vec<String> = expected.iter().map(|(name, _)| name.clone()).collect();
        let place = file.identity().and_then(|identity| Some((Place::of(path, "weights")?, identity)));
        let receipt = place.as_ref().and_then(|(place, identity)| Receipt::read(place, identity));
        let receipt = receipt.filter(|receipt| receipt.covers(&checked));
        let check = if receipt.is_some() { check_shape } else { check_tensor };
        expected
            .into_par_iter()
            .map(|(name, shape)| check(&tensors, path, &name, &shape))
            .collect::<Result<()>>()?;
        Ok(Self { file, prefix, layout, checked, place, receipt })
    }

    /// The hash of the files, which a fingerprint begins with.
    pub(crate) fn hashed(&self) -> Fingerprint {
        if let Some(receipt) = &self.receipt {
            return receipt.hashed();
        }
        let hashed = self.file.sources().fold(Fingerprint::default(), Fingerprint::with);
        // Not where they were changed meanwhile.
        if let Some((place, identity)) = &self.place
            && self.file.identity().as_ref() == Some(identity)
        {
            Receipt::write(place, identity, &hashed, &self.checked);
        }
        hashed
    }

    /// Where the weights are kept packed; nowhere for short files and where the user has no cache folder.
    pub(crate) fn packed(
        &self,
        config: &BertConfig,
        isa: Isa,
        precision: Precision,
    ) -> Option<PackedPlace<'_>> {
        let (_, identity) = self.place.as_ref()?;
        let network = format!("{:?} {:?} {config:?}", self.prefix, self.layout);
        PackedPlace::of(&self.file, identity, isa, precision, &network)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The tensors, under the names of the file.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) when the file changed since it was checked.
    pub fn tensors(&self) -> Result<SafeTensors<'_>> {
        self.file.tensors()
    }

    /// Checks a tensor that is not of the network itself, by its whole name.
    pub(crate) fn check(&self, name: &str, shape: &[usize]) -> Result<()> {
        check_tensor(&self.tensors()?, self.path(), name, shape)
    }

    /// Where the weights of each part are, apart from the prefix.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What stands before the names of the network in this file.
    pub fn prefix(&self) -> &'static str {
        self.prefix
    }
}

fn has(tensors: &SafeTensors<'_>, name: &str) -> bool {
    tensors.tensor(name).is_ok()
}

/// Refuses a tensor that is missing, of another shape or type, or holds what is no number.
pub(crate) fn check_tensor(
    tensors: &SafeTensors<'_>,
    path: &Path,
    name: &str,
    shape: &[usize],
) -> Result<()> {
    check_shape(tensors, path, name, shape)?;
    match tensor(tensors, name).ok().and_then(|tensor| finite(&tensor)) {
        Some(false) => Err(refuse(
            path,
            format!("the tensor {name} holds NaN or infinite values: the model is broken, fetch it again"),
        )),
        _ => Ok(()),
    }
}

/// Refuses a tensor that is missing, or of another shape or type.
fn check_shape(tensors: &SafeTensors<'_>, path: &Path, name: &str, shape: &[usize]) -> Result<()> {
    let tensor = tensor(tensors, name)
        .map_err(|_| refuse(path, format!("the tensor {name} is missing, which config.json asks for")))?;
    if tensor.shape() != shape {
        return Err(refuse(
            path,
            format!("the tensor {name} has shape {:?}, and config.json asks for {shape:?}", tensor.shape()),
        ));
    }
    match tensor.dtype() {
        Dtype::F32 | Dtype::F64 | Dtype::F16 | Dtype::BF16 => Ok(()),
        other => Err(refuse(
            path,
            format!("the tensor {name} is {other:?}, and Akin reads F32, F64, F16 and BF16"),
        )),
    }
}

/// The tensor of that name, or of the one that it has in old files.
pub(crate) fn tensor<'a>(
    tensors: &SafeTensors<'a>,
    name: &str,
) -> std::result::Result<TensorView<'a>, safetensors::SafeTensorError> {
    tensors.tensor(name).or_else(|error| tensors.tensor(&old_name(name).ok_or(error)?))
}

/// What checkpoints converted from TensorFlow call the parts of a layer norm.
fn old_name(name: &str) -> Option<String> {
    match name.split_once("LayerNorm.") {
        Some((norm, "weight")) => Some(format!("{norm}LayerNorm.gamma")),
        Some((norm, "bias")) => Some(format!("{norm}LayerNorm.beta")),
        _ => None,
    }
}

/// Whether every value is a number: its exponent is not all ones. Nothing for types that we do not read.
fn finite(tensor: &TensorView<'_>) -> Option<bool> {
    let halves = |exponent: u16| {
        let (pairs, _) = tensor.data().as_chunks::<2>();
        !pairs.iter().fold(false, |seen, pair| seen | (u16::from_le_bytes(*pair) & exponent == exponent))
    };
    match tensor.dtype() {
        Dtype::F32 => {
            let (words, _) = tensor.data().as_chunks::<4>();
            Some(
                !words.iter().fold(false, |seen, word| {
                    seen | (u32::from_le_bytes(*word) & 0x7f80_0000 == 0x7f80_0000)
                }),
            )
        }
        // What is too large for an f32 would be infinite as one.
        Dtype::F64 => {
            let (words, _) = tensor.data().as_chunks::<8>();
            Some(words.iter().all(|word| (f64::from_le_bytes(*word) as f32).is_finite()))
        }
        Dtype::F16 => Some(halves(0x7c00)),
        Dtype::BF16 => Some(halves(0x7f80)),
        _ => None,
    }
}

/// The name and shape of every tensor of the network, linear layers as `[out, in]`.
pub(crate) fn expected_tensors(config: &BertConfig, layout: &Layout) -> Vec<(String, Vec<usize>)> {
    let tables = [config.vocab_size, config.max_position_embeddings, config.type_vocab_size];
    let buckets = match config.form.bias {
        BiasForm::Buckets { count, .. } => count,
        BiasForm::None | BiasForm::Slopes | BiasForm::Disentangled { .. } => 0,
    };
    let bias = [buckets, config.num_attention_heads];
    let relative = [config.form.bias.relative_rows(), config.hidden_size];
    layout.shapes(tables, config.form.embedding_size, bias, relative).into_iter().collect()
}
