//! Manifests of this release and of earlier ones, and bytes that are none.

use super::*;
use crate::{PassageSize, Similarity};
use proptest::prelude::*;

fn manifest() -> Manifest {
    let model = ModelIdentity::new("f".repeat(64), "m", 4);
    let mut manifest = Manifest::begin(&model);
    manifest.next_segment = 3;
    manifest.segments = vec![SegmentRecord {
        id: 2,
        documents: 5,
        passages: 7,
        length: 1000,
        checksum: 9,
        edges: Some(3),
        deleted: Some(DeletedRecord { generation: 1, documents: 1, passages: 2, length: 60, checksum: 4 }),
        origin: None,
    }];
    manifest
}

#[test]
fn a_manifest_comes_back_from_its_bytes() {
    let manifest = manifest();
    assert_eq!(Manifest::from_bytes(&manifest.to_bytes()), Ok(manifest.clone()));
    assert_eq!(manifest.live(), 4);
}

/// The record of `manifest()` with index `[7; 16]`, as a release before the later fields wrote it.
fn earlier_record() -> Vec<u8> {
    let mut record = vec![7; 16];
    record.extend([1, 64]);
    record.extend([b'f'; 64]);
    record.extend([1, b'm', 4, 0, 3, 1]);
    record.extend([2, 5, 7, 251, 0xe8, 0x03, 9, 1, 3, 1, 1, 1, 2, 60, 4]);
    record
}

#[test]
fn a_manifest_of_before_the_prompts_is_read_and_written_as_it_was() {
    let expected = Manifest { index: IndexId([7; 16]), ..manifest() };
    assert_eq!(decode(&earlier_record()), Ok(expected.clone()));
    assert_eq!(encode(&expected), earlier_record());
}

#[test]
fn prompts_and_similarity_follow_the_record() {
    let mut prompted = Manifest { index: IndexId([7; 16]), ..manifest() };
    prompted.model.query_prompt = Some("q: ".into());
    prompted.model.similarity = Similarity::Dot;
    let record = encode(&prompted);
    assert_eq!(record, [&earlier_record()[..], &[1, 3, b'q', b':', b' ', 0, 1]].concat());
    assert_eq!(decode(&record), Ok(prompted));
    let unknown = [&earlier_record()[..], &[0, 0, 9]].concat();
    assert!(decode::<Manifest>(&unknown).unwrap_err().contains("similarity"));
    let without_any = [&record[..], &[5, 0, 0, 0, 0, 7, 0]].concat();
    assert!(decode::<Manifest>(&without_any).unwrap_err().contains("lists no segment"));
}

#[test]
fn segments_of_other_indexes_follow_with_where_they_are_from() {
    let mut adopted = Manifest { index: IndexId([7; 16]), ..manifest() };
    adopted.segments[0].origin = Some(Origin { index: IndexId([9; 16]), segment: 1 });
    let record = encode(&adopted);
    let later = [&[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2][..], &[9; 16], &[1]].concat();
    assert_eq!(record, [&earlier_record()[..], &later].concat());
    assert_eq!(decode(&record), Ok(adopted.clone()));
    adopted.trust = Some(TrustRecord { trust: 0.5, passages: 3 });
    assert_eq!(decode(&encode(&adopted)), Ok(adopted.clone()));
    let longer = [&record[..], &[0]].concat();
    assert!(decode::<Manifest>(&longer).unwrap_err().contains("1 bytes too many"));
    adopted.segments[0].origin = Some(Origin { index: IndexId([9; 16]), segment: 2 });
    assert!(decode::<Manifest>(&encode(&adopted)).unwrap_err().contains("the same id there"));
    let of_another = [&record[..record.len() - 18], &[1][..], &[9; 16], &[2]].concat();
    assert!(decode::<Manifest>(&of_another).unwrap_err().contains("which it does not have"));
}

#[test]
fn the_trust_follows_the_size_of_passages() {
    let mut trusted = Manifest { index: IndexId([7; 16]), ..manifest() };
    trusted.trust = Some(TrustRecord { trust: 0.5, passages: 7 });
    let record = encode(&trusted);
    assert_eq!(record, [&earlier_record()[..], &[0, 0, 0, 0, 0, 0, 0, 0x3f, 7]].concat());
    assert_eq!(decode(&record), Ok(trusted.clone()));
    for trust in [f32::NAN, -1.5, 1.01] {
        trusted.trust = Some(TrustRecord { trust, passages: 7 });
        let read = Manifest::from_bytes(&trusted.to_bytes());
        assert!(matches!(read, Err(Unreadable::Damaged(why)) if why.contains("trust")), "{trust}");
    }
}

#[test]
fn the_size_of_passages_follows_the_similarity() {
    let mut cut = Manifest { index: IndexId([7; 16]), ..manifest() };
    for (passages, bytes) in [
        (PassageSize::Tokens(100), vec![0, 0, 0, 100]),
        (PassageSize::Window, vec![0, 0, 0, 252, 255, 255, 255, 255]),
    ] {
        cut.model.passages = passages;
        let record = encode(&cut);
        assert_eq!(record, [&earlier_record()[..], &bytes].concat());
        assert_eq!(decode(&record), Ok(cut.clone()));
    }
}

#[test]
fn each_byte_of_a_manifest_is_checked() {
    let mut manifest = manifest();
    manifest.model.document_prompt = Some(String::new());
    let bytes = manifest.to_bytes();
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        assert!(Manifest::from_bytes(&bytes).is_err(), "byte {at}");
        assert!(Manifest::from_bytes(&bytes[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let refuse = |change: &dyn Fn(&mut Manifest)| {
        let mut changed = manifest();
        change(&mut changed);
        assert!(matches!(Manifest::from_bytes(&changed.to_bytes()), Err(Unreadable::Damaged(_))));
    };
    refuse(&|m| m.segments.push(m.segments[0].clone()));
    refuse(&|m| m.segments[0].id = 3);
    refuse(&|m| m.segments[0].passages = 1 << 63);
    refuse(&|m| m.segments[0].documents = 8);
    refuse(&|m| m.segments[0].deleted.as_mut().unwrap().passages = 8);
    refuse(&|m| m.model.dimension = 1 << 40);
    refuse(&|m| m.generation = u64::MAX);
    refuse(&|m| m.next_segment = u64::MAX);
    refuse(&|m| m.segments[0].documents = 1 << 63);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode::<Manifest>(&bytes);
        let crc = crc32fast::hash(&bytes);
        let mut file = MAGIC.to_vec();
        for word in [FORMAT, bytes.len() as u32, crc] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.append(&mut bytes);
        let _ = Manifest::from_bytes(&file);
    }
}
