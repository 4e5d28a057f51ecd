//! Models for tests: the real one, and tiny ones to break.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use akin_encoder::{DEFAULT_MODEL, hub};
use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tempfile::TempDir;

/// The directory of all-MiniLM-L6-v2.
pub fn minilm() -> PathBuf {
    std::env::var_os("AKIN_MODEL_DIR")
        .map(PathBuf::from)
        .or_else(|| hub::installed(DEFAULT_MODEL))
        .unwrap_or_else(|| panic!("this test needs the model {DEFAULT_MODEL}: run `make model` first"))
}

/// Shape and values of each tensor by name.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A copy of a tiny model, to change.
pub struct Model {
    folder: TempDir,
}

impl Model {
    /// The tiny model of this architecture: `bert` or `roberta`.
    pub fn tiny(architecture: &str) -> Self {
        let folder = TempDir::new().unwrap();
        copy(&super::reference::fixtures().join(format!("models/tiny-{architecture}")), folder.path());
        Self { folder }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().into()
    }

    pub fn without(self, file: &str) -> Self {
        std::fs::remove_file(self.folder.path().join(file)).unwrap();
        self
    }

    pub fn with_file(self, file: &str, content: &str) -> Self {
        std::fs::write(self.folder.path().join(file), content).unwrap();
        self
    }

    pub fn rewrite(&mut self, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.folder.path().join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        change(&mut bytes);
        std::fs::write(path, bytes).unwrap();
    }

    pub fn edited(mut self, file: &str, change: impl FnOnce(&mut serde_json::Value)) -> Self {
        self.rewrite(file, |bytes| {
            let mut json = serde_json::from_slice(bytes).unwrap();
            change(&mut json);
            *bytes = serde_json::to_vec(&json).unwrap();
        });
        self
    }

    /// The same model with another pooling: `mean`, `cls`, `max`, or a mode that Akin does not know.
    pub fn pooled(self, mode: &str) -> Self {
        self.edited("1_Pooling/config.json", |json| {
            let flags = json.as_object_mut().unwrap();
            flags.retain(|name, _| !name.starts_with("pooling_mode"));
            for known in ["mean_tokens", "cls_token", "max_tokens", "lasttoken"] {
                flags.insert(format!("pooling_mode_{known}"), known.starts_with(mode).into());
            }
        })
    }

    /// The same model with its weights in this type.
    pub fn in_type(self, dtype: &str) -> Self {
        self.with_tensors(dtype, |_| {})
    }

    /// The same model with other weights, kept as `f32`, `f16` or `bf16`.
    pub fn with_tensors(mut self, dtype: &str, change: impl FnOnce(&mut Tensors)) -> Self {
        self.rewrite("model.safetensors", |bytes| {
            let mut tensors = read(bytes);
            change(&mut tensors);
            *bytes = write(&tensors, dtype);
        });
        self
    }
}

fn read(bytes: &[u8]) -> Tensors {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let floats = |tensor: &TensorView<'_>| match tensor.dtype() {
        Dtype::F32 => {
            let (words, _) = tensor.data().as_chunks::<4>();
            Some(words.iter().map(|word| f32::from_le_bytes(*word)).collect())
        }
        _ => None,
    };
    file.iter()
        .filter_map(|(name, tensor)| Some((name.into(), (tensor.shape().to_vec(), floats(&tensor)?))))
        .collect()
}

fn write(tensors: &Tensors, dtype: &str) -> Vec<u8> {
    let bytes: Vec<(&String, &[usize], Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| {
            let bytes = match dtype {
                "f32" => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
                "f16" => values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect(),
                _ => values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect(),
            };
            (name, shape.as_slice(), bytes)
        })
        .collect();
    let dtype = match dtype {
        "f32" => Dtype::F32,
        "f16" => Dtype::F16,
        _ => Dtype::BF16,
    };
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| (name, TensorView::new(dtype, shape.to_vec(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
