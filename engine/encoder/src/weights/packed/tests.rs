//! What is kept of packed weights, and what it is worth after it was damaged.

use std::io::{Read, Seek, SeekFrom};

use akin_kernels::shared::Shared;

use super::*;

/// A folder with weights and a place for them.
struct Kept {
    folder: tempfile::TempDir,
    weights: TensorFile,
    identity: Identity,
}

/// Longer than a block.
const LONG: usize = BLOCK + 1000;

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tensor =
            safetensors::tensor::TensorView::new(safetensors::Dtype::U8, vec![20 << 20], &[0; 20 << 20]);
        let file = safetensors::serialize([("a", tensor.expect("a tensor"))], None).expect("a file");
        let path = folder.path().join("model.safetensors");
        fs::write(&path, file).expect("a file");
        // Files that were changed a moment ago have no identity yet.
        let old = SystemTime::now() - Duration::from_secs(3600);
        File::options().write(true).open(&path).and_then(|file| file.set_modified(old)).expect("a time");
        let weights = TensorFile::open(folder.path()).expect("weights");
        Self { folder, weights, identity: Identity("file 20\n".into()) }
    }

    fn place(&self, network: &str) -> PackedPlace<'_> {
        let path = self.folder.path();
        let place = Place::in_folder(path.join("cache"), &path.join("model"));
        let isa = Isa::named("portable").expect("every processor has it");
        PackedPlace::at(place, &self.weights, &self.identity, isa, Precision::Int8, network)
    }

    /// Writes two sections; what `write` of the place does, without looking at the times of files.
    fn write(&self) -> PackedPlace<'_> {
        let place = self.place("network");
        let long: Vec<u8> = (0..LONG).map(|i| (i % 251) as u8).collect();
        let sections = [vec![&long[..]], vec![&[1u8, 2, 3, 4][..], &[5; 64]]];
        place.place.write(|file| write_sections(file, &place.key, &sections)).expect("written");
        place
    }
}

fn sections(file: &PackedFile) -> Vec<SharedReader> {
    file.sections().collect()
}

#[test]
fn what_was_kept_is_found_again() {
    let kept = Kept::new();
    let file = kept.write().open().expect("it is there");
    let [long, short] = &mut sections(&file)[..] else { panic!("two sections") };
    let words: Shared<u32> = long.take(LONG / 4).expect("whole");
    let bytes: &[u8] = bytemuck::cast_slice(&words);
    assert!(bytes.iter().enumerate().all(|(i, byte)| *byte == (i % 251) as u8));
    assert!(long.is_empty());
    let one: Shared<u32> = short.take(1).expect("a word");
    assert_eq!(bytemuck::cast_slice::<u32, u8>(&one), [1, 2, 3, 4]);
    let next: Shared<u32> = short.take(16).expect("a line");
    assert!(next.iter().all(|word| *word == 0x0505_0505) && short.is_empty());
}

#[test]
fn a_file_is_written_as_the_number_of_its_format_says() {
    assert_eq!(FORMAT, "akin packed 1\n", "then the text below is that of another format");
    let mut file = tempfile::tempfile().expect("a file");
    write_sections(&mut file, "akin packed 1\nkey\n", &[vec![b"one", b"two"], vec![&[7; 65]]])
        .expect("written");
    let mut written = Vec::new();
    file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut written)).expect("a file");
    let (sections, lines) = written.split_at(256);
    let padded = |bytes: &[u8], length: usize| [bytes, &vec![0; length - bytes.len()]].concat();
    assert_eq!(sections, [padded(b"one", 64), padded(b"two", 64), padded(&[7; 65], 128)].concat());
    let sum = crc32fast::hash(sections);
    let key = format!("akin packed 1\nkey\nsection 0 128\nsection 128 128\nblock {sum:08x}\n");
    let lines_of_key = format!("{key}seal {}", seal_of(&key));
    assert_eq!(lines, format!("{lines_of_key}{:016x}", lines_of_key.len()).as_bytes());
}

#[test]
fn what_was_kept_of_another_network_or_files_is_not_used() {
    let mut kept = Kept::new();
    kept.write();
    assert!(kept.place("network").open().is_some());
    assert!(kept.place("network of others").open().is_none());
    kept.identity = Identity("file 21\n".into());
    assert!(kept.place("network").open().is_none());
}

#[test]
fn a_file_that_is_damaged_or_cut_is_not_used() {
    let kept = Kept::new();
    let place = kept.write();
    let whole = fs::read(&place.place.file).expect("a file");
    let ends = whole.len() - 600..whole.len();
    for at in (0..whole.len()).step_by(400_009).chain([BLOCK - 1, BLOCK]).chain(ends) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&place.place.file, &damaged).expect("a file");
        assert!(place.open().is_none(), "byte {at}");
    }
    for length in [0, 1, 15, 16, 600, BLOCK, whole.len() - 1] {
        fs::write(&place.place.file, &whole[..length]).expect("a file");
        assert!(place.open().is_none(), "{length} bytes");
    }
    fs::write(&place.place.file, [&whole[..], &whole[..]].concat()).expect("a file");
    assert!(place.open().is_none(), "one after another");
    kept.write();
    assert!(place.open().is_some(), "written anew");
}

#[test]
fn the_files_that_were_not_used_for_the_longest_time_are_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    for (name, days) in [("new", 0), ("old", 3), ("oldest", 4), ("kept", 9)] {
        fs::write(path(name), [0; 100]).expect("a file");
        let used = SystemTime::now() - days * DAY;
        File::options().write(true).open(path(name)).and_then(|f| f.set_modified(used)).expect("a time");
    }
    trim(folder.path(), &path("kept"), 400).expect("nothing to do");
    assert!(path("oldest").exists());
    trim(folder.path(), &path("kept"), 250).expect("trimmed");
    let left = ["new", "old", "oldest", "kept"].map(|name| path(name).exists());
    assert_eq!(left, [true, false, false, true]);
}

#[test]
fn weights_that_were_changed_meanwhile_are_not_kept() {
    let kept = Kept::new();
    // The identity is not that of the file.
    let place = kept.place("network");
    place.write(&[vec![&[0; 64][..]]]);
    assert!(!place.place.folder.exists());
}
