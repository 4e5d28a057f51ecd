//! The files that the tensors of a module can be in: one or several files of safetensors, or of PyTorch.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Map, Value};

use super::receipt::Identity;
use super::torch;
use crate::files::{missing, read_json, refuse};
use crate::{Error, Result};

/// Where transformers looks for weights, in this order.
pub(crate) const WEIGHT_FILES: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// The tensors of a module.
pub(crate) struct TensorFile {
    /// The file that was looked for first.
    path: PathBuf,
    /// The files as they are on the disk.
    sources: Vec<Mmap>,
    /// The same files, open.
    files: Vec<File>,
    /// All tensors in the form of safetensors, where the only source is not in that form.
    converted: Option<Vec<u8>>,
}

impl TensorFile {
    /// The file of weights in a folder: the first that is there, or else the usual name.
    pub(crate) fn of_folder(folder: &Path) -> PathBuf {
        let found = WEIGHT_FILES.iter().map(|name| folder.join(name)).find(|path| path.is_file());
        found.unwrap_or_else(|| folder.join(WEIGHT_FILES[0]))
    }

    /// Opens the weights in a folder.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let path = Self::of_folder(folder);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".index.json") {
            return Self::open_shards(path, folder);
        }
        let (opened, source) = map(&path)?;
        let converted = match is_torch(&path) {
            true => Some(serialize(&path, &[(None, torch::read(&source, &path)?)])?),
            false => None,
        };
        let file = Self { path, sources: vec![source], files: vec![opened], converted };
        file.tensors()?;
        Ok(file)
    }

    /// Opens the files that an index names, and joins their tensors.
    fn open_shards(path: PathBuf, folder: &Path) -> Result<Self> {
        let shards = read_index(&path)?;
        let opened = shards.keys().map(|name| map(&folder.join(name))).collect::<Result<Vec<_>>>()?;
        let (files, sources): (Vec<File>, Vec<Mmap>) = opened.into_iter().unzip();
        let mut parts = Vec::with_capacity(shards.len());
        for ((name, tensors), source) in shards.iter().zip(&sources) {
            let path = folder.join(name);
            let views = match is_torch(&path) {
                true => torch::read(source, &path)?,
                false => {
                    let views = parse(source, &path)?.tensors().into_iter();
                    views.map(|(name, view)| (name, torch::Tensor::from(view))).collect()
                }
            };
            parts.push((Some(tensors), views));
        }
        let converted = Some(serialize(&path, &parts)?);
        Ok(Self { path, sources, files, converted })
    }

    /// The file, for an error to name.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of each file.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &[u8]> {
        self.sources.iter().map(|source| &source[..])
    }

    /// What the files are, apart from their content.
    pub(super) fn identity(&self) -> Option<Identity> {
        let metadata: Vec<_> = self.files.iter().map(File::metadata).collect::<std::io::Result<_>>().ok()?;
        Identity::of(&metadata)
    }

    /// The tensors by name.
    pub(crate) fn tensors(&self) -> Result<SafeTensors<'_>> {
        let bytes = match (&self.converted, self.sources.as_slice()) {
            (Some(converted), _) => converted,
            (None, [source]) => &source[..],
            (None, _) => &[],
        };
        parse(bytes, &self.path)
    }
}

fn is_torch(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "bin")
}

/// The files that a file of weights names, if it is an index of others; else none.
pub(crate) fn shards(path: &Path) -> Result<Vec<String>> {
    match path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".index.json")) {
        true => Ok(read_index(path)?.into_keys().collect()),
        false => Ok(Vec::new()),
    }
}

/// The tensors in each of the files that an index names.
fn read_index(path: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    let index: Map<String, Value> = read_json(path)?;
    let Some(Value::Object(places)) = index.get("weight_map") else {
        return Err(refuse(path, "it has no weight_map, which says which tensor is in which file"));
    };
    let mut shards: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (tensor, file) in places {
        let name = file.as_str().filter(|name| !name.is_empty() && !name.contains(['/', '\\']));
        let Some(name) = name.filter(|name| *name != "..") else {
            let found: String = file.to_string().chars().take(80).collect();
            return Err(refuse(
                path,
                format!("weight_map puts {tensor} into {found}, which is no file beside it"),
            ));
        };
        shards.entry(name.to_owned()).or_default().push(tensor.clone());
    }
    Ok(shards)
}

/// The tensors that are named of a file, or all.
type Part<'a> = (Option<&'a Vec<String>>, BTreeMap<String, torch::Tensor<'a>>);

/// One file of safetensors with the tensors of all parts.
fn serialize(path: &Path, parts: &[Part<'_>]) -> Result<Vec<u8>> {
    let mut views = BTreeMap::new();
    for (named, tensors) in parts {
        let kept = |name: &String| named.is_none_or(|named| named.contains(name));
        for (name, tensor) in tensors.iter().filter(|(name, _)| kept(name)) {
            let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.data)
                .map_err(|error| refuse(path, format!("the tensor {name} cannot be read: {error}")))?;
            views.insert(name.as_str(), view);
        }
        if let Some(absent) = named.and_then(|named| named.iter().find(|name| !tensors.contains_key(*name))) {
            return Err(refuse(
                path,
                format!("weight_map names the tensor {absent}, which its file does not have"),
            ));
        }
    }
    safetensors::serialize(views, None)
        .map_err(|error| refuse(path, format!("its tensors cannot be read: {error}")))
}

/// Maps a file: start-up copies nothing that it does not use.
fn map(path: &Path) -> Result<(File, Mmap)> {
    let io = |source| Error::Io { action: "read", path: path.into(), source };
    let file = File::open(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => missing(path),
        _ => io(source),
    })?;
    if file.metadata().map_err(io)?.len() == 0 {
        return Err(refuse(path, "the file is empty: fetch it again"));
    }
    let mapping = map_open(&file).map_err(io)?;
    Ok((file, mapping))
}

/// Maps an open file.
#[allow(unsafe_code)]
pub(super) fn map_open(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the mapping is private to this process and only read. That of a file of weights lasts while the model
    // loads; one of packed weights longer, but nobody writes to these: they are replaced. A program that shortens a file
    // that is mapped would stop this one, as it would with any mapping.
    unsafe { Mmap::map(file) }
}

fn parse<'a>(file: &'a [u8], path: &Path) -> Result<SafeTensors<'a>> {
    SafeTensors::deserialize(file).map_err(|error| {
        refuse(path, format!("truncated or corrupt ({} bytes, {error}): fetch the file again", file.len()))
    })
}
