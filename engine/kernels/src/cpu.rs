//! Which instruction set the kernels use, found once per process.

use std::sync::LazyLock;

/// The instruction sets that the kernels are compiled for, from the least to the widest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// What every processor of the architecture has.
    Portable,
    /// NEON of 64-bit ARM: 4 floats.
    Neon,
    /// NEON with its dot product: products of bytes besides.
    NeonDot,
    /// AVX2 and FMA: 8 floats.
    Avx2,
    /// AVX2 with AVX-VNNI: products of bytes besides.
    AvxVnni,
    /// AVX-512 F, BW, DQ and VL, with AVX2 and FMA: 16 floats.
    Avx512,
    /// AVX-512 with VNNI: products of bytes besides.
    Avx512Vnni,
    /// AVX-512 with VNNI and BF16: products of bf16 besides.
    Avx512Bf16,
    /// AVX-512 with VNNI and BF16, and AMX: products of tiles of bytes and of bf16 besides.
    Amx,
}

impl Isa {
    /// Every instruction set that is known, whether this processor has it or not.
    pub const ALL: [Isa; 9] = [
        Isa::Portable,
        Isa::Neon,
        Isa::NeonDot,
        Isa::Avx2,
        Isa::AvxVnni,
        Isa::Avx512,
        Isa::Avx512Vnni,
        Isa::Avx512Bf16,
        Isa::Amx,
    ];

    /// Whether this processor, under this system, runs it. `AKIN_CPU` has no say here.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            Isa::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot => std::arch::is_aarch64_feature_detected!("dotprod"),
            #[cfg(not(target_arch = "aarch64"))]
            Isa::NeonDot => false,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => Isa::Avx2.is_available() && is_x86_feature_detected!("avxvnni"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                Isa::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => Isa::Avx512.is_available() && is_x86_feature_detected!("avx512vnni"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Bf16 => Isa::Avx512Vnni.is_available() && is_x86_feature_detected!("avx512bf16"),
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => Isa::Avx512Bf16.is_available() && super::amx::is_available(),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::AvxVnni | Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16 | Isa::Amx => false,
        }
    }

    /// Whether it multiplies bf16; elsewhere bf16 is widened and multiplied as f32, which gains nothing.
    pub fn multiplies_bf16(self) -> bool {
        matches!(self, Isa::Avx512Bf16 | Isa::Amx)
    }

    /// What `AKIN_CPU` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Neon => "neon",
            Isa::NeonDot => "neondot",
            Isa::Avx2 => "avx2",
            Isa::AvxVnni => "avxvnni",
            Isa::Avx512 => "avx512",
            Isa::Avx512Vnni => "avx512vnni",
            Isa::Avx512Bf16 => "avx512bf16",
            Isa::Amx => "amx",
        }
    }

    /// The instruction sets of this processor, the least first: what a test of a kernel runs through.
    pub fn available() -> impl DoubleEndedIterator<Item = Isa> {
        Self::ALL.into_iter().filter(|isa| isa.is_available())
    }

    /// The one that `AKIN_CPU` names, in any case.
    fn from_name(name: &str) -> Option<Isa> {
        Self::ALL.into_iter().find(|isa| isa.name().eq_ignore_ascii_case(name))
    }
}

/// The widest instruction set of this processor, but none above the one that the environment variable
/// `AKIN_CPU` names (see [`Isa::name`]). Always available.
#[inline]
pub fn isa() -> Isa {
    static CHOSEN: LazyLock<Isa> = LazyLock::new(|| {
        let asked = std::env::var("AKIN_CPU").ok();
        let limit = asked.as_deref().map(|name| {
            Isa::from_name(name).unwrap_or_else(|| {
                let names = Isa::ALL.map(Isa::name).join(", ");
                tracing::warn!("AKIN_CPU is one of {names}, not {name:?}: it is ignored");
                Isa::Amx
            })
        });
        widest_up_to(limit.unwrap_or(Isa::Amx))
    });
    *CHOSEN
}

fn widest_up_to(limit: Isa) -> Isa {
    Isa::available().rfind(|isa| *isa <= limit).unwrap_or(Isa::Portable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_instruction_set_is_one_this_processor_has() {
        assert!(isa().is_available());
    }

    #[test]
    fn no_wider_instruction_set_than_the_limit_is_chosen() {
        assert_eq!(widest_up_to(Isa::Portable), Isa::Portable);
        for limit in Isa::ALL {
            assert!(widest_up_to(limit) <= limit);
            assert!(widest_up_to(limit).is_available());
        }
    }

    #[test]
    fn names_are_read_in_any_case_and_others_are_not_guessed() {
        assert_eq!(Isa::from_name("AVX2"), Some(Isa::Avx2));
        assert_eq!(Isa::from_name("portable"), Some(Isa::Portable));
        assert_eq!(Isa::from_name("avx"), None);
    }
}
