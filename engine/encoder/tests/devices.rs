//! Devices: what they compute is what the processor computes, and one that cannot be had is refused by its name.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use akin_encoder::{Device, EncoderOptions, Error, Precision, SentenceEncoder};
use akin_fixtures::models::ModelCopy;
use akin_fixtures::sentences;
use akin_fixtures::similarity::greatest_difference;
use common::{executors, name};

#[test]
fn many_texts_come_back_in_their_order_from_every_device() {
    // More than a device is given at once, of all lengths, with a prompt that is left out of the pooling.
    let texts: Vec<String> = (0..1300).map(|i| sentences()[i % 40].repeat(1 + i % 3)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let model = ModelCopy::tiny("bert").edited("1_Pooling/config.json", |json| {
        json["include_prompt"] = false.into();
    });
    let encode = |options: &EncoderOptions| {
        let encoder = SentenceEncoder::load_with(model.path(), options).unwrap();
        encoder.encode_after("find: ", &texts).unwrap()
    };
    let all = executors();
    let expected = encode(&all[0]);
    assert!(expected.truncated > 0 && expected.truncated < texts.len());
    for options in &all[1..] {
        let found = encode(options);
        assert_eq!((found.tokens, found.truncated), (expected.tokens, expected.truncated));
        for (row, text) in texts.iter().enumerate() {
            let difference = greatest_difference(found.embeddings.row(row), expected.embeddings.row(row));
            assert!(difference < 1e-5, "{}: {difference} for {text:?}", name(options));
        }
    }
}

#[test]
fn several_threads_may_ask_one_device() {
    let texts = sentences();
    let model = ModelCopy::tiny("roberta");
    for options in executors() {
        let encoder = SentenceEncoder::load_with(model.path(), &options).unwrap();
        let expected = encoder.encode(&[&texts[3]]).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..3 {
                        let found = encoder.encode(&[&texts[3]]).unwrap();
                        let difference =
                            greatest_difference(found.embeddings.row(0), expected.embeddings.row(0));
                        assert!(difference < 1e-6, "{}: {difference}", name(&options));
                    }
                });
            }
        });
    }
}

#[test]
fn a_device_that_cannot_be_had_is_refused_by_its_name() {
    let model = ModelCopy::tiny("bert");
    for (device, feature, built) in [
        (Device::Cuda(99), "cuda", cfg!(feature = "cuda")),
        (Device::Wgpu(99), "wgpu", cfg!(feature = "wgpu")),
    ] {
        let options = EncoderOptions { device, ..Default::default() };
        let error = SentenceEncoder::load_with(model.path(), &options).err().unwrap();
        let sentence = error.to_string();
        assert!(sentence.contains(&device.to_string()) && !sentence.contains('\n'), "{sentence}");
        match built {
            true => assert!(matches!(error, Error::Device { .. }), "{error:?}"),
            false => {
                assert!(matches!(error, Error::DeviceNotBuilt { .. }), "{error:?}");
                assert!(sentence.contains(&format!("`{feature}`")), "{sentence}");
            }
        }
    }
}

#[test]
fn gpus_compute_in_one_precision() {
    let model = ModelCopy::tiny("bert");
    for device in [Device::Cuda(0), Device::Wgpu(0)] {
        let options = EncoderOptions { device, precision: Precision::Int8, ..Default::default() };
        let error = SentenceEncoder::load_with(model.path(), &options).err().unwrap();
        match &error {
            Error::DeviceNotBuilt { .. } => {}
            Error::Precision { reason, .. } => assert!(reason.contains("f32"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}
