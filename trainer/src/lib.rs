//! Training and evaluation of sentence encoders: Sentence-BERT (Reimers & Gurevych 2019) from end to end.
//!
//! Training, in the order that data passes: [`table`], [`sentence_pairs`] and [`anchors`] read files of sentences,
//! [`examples`] tokenises them, with what a [`teacher`] says of them where there is one; [`base`] is the model that training
//! begins with, whose [`vocabulary`] may get the characters of the texts; [`network`] is the encoder under an [`objective`]
//! (section 3 of the paper, and what came after it), perhaps with adapters ([`lora`]), whose layers [`autodiff`] computes
//! with their gradients; [`losses`] are functions of embeddings; [`training`] runs the steps with [`gradients`],
//! [`optimizer`] and [`schedule`], evaluates on a [`dev`] set in between, and keeps [`checkpoint`]s and the loss [`curve`].
//!
//! Evaluation, of whatever is an [`embedder`]: [`sts`] compares similarities with people's scores (sections 4.1 and 4.2),
//! [`cross_validation`] trains and tests on one set in turn (4.3), [`triplets`] asks which of two sentences is closer
//! (4.4), [`senteval`] puts a [`logistic`] regression on frozen embeddings (5), [`ablation`] varies pooling and
//! concatenation (6), [`efficiency`] counts sentences a second (7), and [`retrieval`] looks for relevant documents;
//! [`significance`] says how sure its figures are.
//! [`words`] are the paper's simplest baseline; [`correlation`] and [`similarity`] hold the figures that comparisons are
//! stated in.

pub mod ablation;
pub mod anchors;
pub mod autodiff;
pub mod base;
pub mod checkpoint;
pub mod correlation;
pub mod cross_validation;
pub mod curve;
pub mod dev;
mod dropout;
pub mod efficiency;
pub mod embedder;
pub mod encoder;
pub mod error;
pub mod example;
pub mod examples;
pub mod gradients;
mod heads;
mod initialize;
pub mod logistic;
pub mod lora;
pub mod losses;
mod named_weights;
pub mod network;
pub mod objective;
pub mod optimizer;
pub mod random;
mod ranking;
pub mod retrieval;
mod saving;
pub mod schedule;
mod score_head;
pub mod sentence_pairs;
pub mod senteval;
pub mod significance;
pub mod similarity;
pub mod sts;
pub mod table;
pub mod teacher;
pub mod training;
pub mod triplets;
pub mod vocabulary;
pub mod words;

pub use error::{Error, Result};
