//! Who takes part: our precisions and the peers, alike to the rounds.

use std::path::Path;
use std::time::Instant;

use akin_encoder::SentenceEncoder;
use akin_encoder::{EncoderOptions, Precision};
use akin_kernels::cpu::isa;
use anyhow::Context;

use crate::peers::Peers;
use crate::registers::Operands;
use crate::texts::Set;

/// Our encoder with one precision.
pub struct Ours {
    pub precision: &'static str,
    /// What its products multiply.
    pub operands: Operands,
    pub options: EncoderOptions,
    pub encoder: SentenceEncoder,
}

impl Ours {
    /// Every precision that this processor has; f32 first.
    pub fn load_all(model: &Path) -> anyhow::Result<Vec<Self>> {
        let mut precisions =
            vec![("f32", Operands::F32, Precision::F32), ("int8", Operands::U8I8, Precision::Int8)];
        if isa().multiplies_bf16() {
            precisions.push(("bf16", Operands::Bf16, Precision::Bf16));
        }
        let load = |(name, operands, precision)| {
            let options = EncoderOptions { precision, ..Default::default() };
            let encoder = SentenceEncoder::load_with(model, &options)?;
            Ok(Self { precision: name, operands, options, encoder })
        };
        precisions.into_iter().map(load).collect()
    }
}

pub enum Contender<'a> {
    Ours(&'a Ours),
    Peer { name: String, precision: String },
}

impl<'a> Contender<'a> {
    pub fn all(ours: &'a [Ours], peers: Option<&Peers>) -> Vec<Self> {
        let peers = peers.into_iter().flat_map(|peers| &peers.all);
        let peers =
            peers.map(|peer| Self::Peer { name: peer.name.clone(), precision: peer.precision.clone() });
        ours.iter().map(Self::Ours).chain(peers).collect()
    }

    pub fn name(&self) -> String {
        match self {
            Self::Ours(ours) => format!("Akin {}", ours.precision),
            Self::Peer { name, .. } => name.clone(),
        }
    }

    pub fn precision(&self) -> &str {
        match self {
            Self::Ours(ours) => ours.precision,
            Self::Peer { precision, .. } => precision,
        }
    }

    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Ours(_))
    }

    /// Seconds for all texts of a set.
    pub fn encode(&self, peers: &mut Option<Peers>, set: &Set) -> anyhow::Result<f64> {
        match self {
            Self::Ours(ours) => {
                let texts = set.borrowed();
                let start = Instant::now();
                drop(ours.encoder.encode(&texts)?);
                Ok(start.elapsed().as_secs_f64())
            }
            Self::Peer { name, .. } => peers.as_mut().context("a peer")?.encode(name, set),
        }
    }

    /// Seconds for each text of a set, one at a time.
    pub fn latency(&self, peers: &mut Option<Peers>, set: &Set) -> anyhow::Result<Vec<f64>> {
        match self {
            Self::Ours(ours) => {
                let one = |text: &str| {
                    let start = Instant::now();
                    drop(ours.encoder.encode(&[text])?);
                    Ok(start.elapsed().as_secs_f64())
                };
                set.borrowed().into_iter().map(one).collect()
            }
            Self::Peer { name, .. } => peers.as_mut().context("a peer")?.latency(name, set),
        }
    }

    /// The embeddings of a set.
    pub fn vectors(&self, peers: &mut Option<Peers>, set: &Set) -> anyhow::Result<Vec<Vec<f32>>> {
        match self {
            Self::Ours(ours) => {
                Ok(ours.encoder.encode(&set.borrowed())?.embeddings.iter().map(<[f32]>::to_vec).collect())
            }
            Self::Peer { name, .. } => peers.as_mut().context("a peer")?.vectors(name, set),
        }
    }
}
