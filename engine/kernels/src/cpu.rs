//! Which instruction set the kernels use, found once per process.

use std::sync::LazyLock;

/// An instruction set that this processor has, and this system lets a process use.
///
/// A value is a proof: only detection makes one ([`isa`], [`Isa::available`], [`Isa::named`]), so no safe call
/// reaches instructions that the processor lacks. Greater means wider.
///
/// An instruction set cannot be made up:
///
/// ```compile_fail
/// // There are no variants to name.
/// let isa = akin_kernels::cpu::Isa::Avx512;
/// akin_kernels::gelu::gelu_in_place(isa, &mut [1.0]);
/// ```
///
/// ```compile_fail
/// // The field is private, and so is its type.
/// let isa = akin_kernels::cpu::Isa(Default::default());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Isa(Kind);

/// The instruction sets that the kernels are compiled for, from the least to the widest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// What every processor of the architecture has.
    Portable,
    /// NEON of 64-bit ARM: 4 floats.
    Neon,
    /// NEON with its dot product of bytes.
    NeonDot,
    /// AVX2 and FMA: 8 floats.
    Avx2,
    /// AVX2 with AVX-VNNI: also products of bytes.
    AvxVnni,
    /// AVX-512 F, BW, DQ and VL, with AVX2 and FMA: 16 floats.
    Avx512,
    /// AVX-512 with VNNI: also products of bytes.
    Avx512Vnni,
    /// AVX-512 with VNNI and BF16: also products of bf16.
    Avx512Bf16,
    /// AVX-512 with VNNI, BF16 and AMX: also products of tiles of bytes and of bf16.
    Amx,
}

impl Kind {
    /// Every instruction set that is known, whether this processor has it or not.
    const ALL: [Kind; 9] = [
        Kind::Portable,
        Kind::Neon,
        Kind::NeonDot,
        Kind::Avx2,
        Kind::AvxVnni,
        Kind::Avx512,
        Kind::Avx512Vnni,
        Kind::Avx512Bf16,
        Kind::Amx,
    ];

    /// Whether this processor, under this system, runs it. `AKIN_CPU` has no say here.
    fn is_available(self) -> bool {
        match self {
            Kind::Portable => true,
            Kind::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(target_arch = "aarch64")]
            Kind::NeonDot => std::arch::is_aarch64_feature_detected!("dotprod"),
            #[cfg(not(target_arch = "aarch64"))]
            Kind::NeonDot => false,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Kind::AvxVnni => Kind::Avx2.is_available() && is_x86_feature_detected!("avxvnni"),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => {
                Kind::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni => Kind::Avx512.is_available() && is_x86_feature_detected!("avx512vnni"),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Bf16 => Kind::Avx512Vnni.is_available() && is_x86_feature_detected!("avx512bf16"),
            #[cfg(target_arch = "x86_64")]
            Kind::Amx => Kind::Avx512Bf16.is_available() && super::amx::is_available(),
            #[cfg(not(target_arch = "x86_64"))]
            Kind::Avx2 | Kind::AvxVnni | Kind::Avx512 | Kind::Avx512Vnni | Kind::Avx512Bf16 | Kind::Amx => {
                false
            }
        }
    }

    /// What `AKIN_CPU` calls it.
    fn name(self) -> &'static str {
        match self {
            Kind::Portable => "portable",
            Kind::Neon => "neon",
            Kind::NeonDot => "neondot",
            Kind::Avx2 => "avx2",
            Kind::AvxVnni => "avxvnni",
            Kind::Avx512 => "avx512",
            Kind::Avx512Vnni => "avx512vnni",
            Kind::Avx512Bf16 => "avx512bf16",
            Kind::Amx => "amx",
        }
    }

    /// The one that `AKIN_CPU` names, in any case.
    fn from_name(name: &str) -> Option<Kind> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }
}

impl Isa {
    /// The instruction sets of this processor, the least first: what a test of a kernel runs through. `AKIN_CPU` has no
    /// say here.
    pub fn available() -> impl DoubleEndedIterator<Item = Isa> {
        Kind::ALL.into_iter().filter(|kind| kind.is_available()).map(Isa)
    }

    /// The instruction set of that name (see [`Isa::name`]), in any case, if this processor has it.
    pub fn named(name: &str) -> Option<Isa> {
        Kind::from_name(name).filter(|kind| kind.is_available()).map(Isa)
    }

    /// What `AKIN_CPU` calls it: `portable`, `neon`, `neondot`, `avx2`, `avxvnni`, `avx512`, `avx512vnni`, `avx512bf16`
    /// or `amx`.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Whether it multiplies bf16; elsewhere bf16 is widened and multiplied as f32, which gains nothing.
    pub fn multiplies_bf16(self) -> bool {
        matches!(self.0, Kind::Avx512Bf16 | Kind::Amx)
    }

    /// Which one it is. This processor has it: `Kind` alone is no proof of that.
    #[inline(always)]
    pub(crate) fn kind(self) -> Kind {
        self.0
    }
}

impl std::fmt::Debug for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The widest instruction set of this processor, but none above the one that the environment variable
/// `AKIN_CPU` names (see [`Isa::name`]).
#[inline]
pub fn isa() -> Isa {
    static CHOSEN: LazyLock<Isa> = LazyLock::new(|| {
        let asked = std::env::var("AKIN_CPU").ok();
        let limit = asked.as_deref().map(|name| {
            Kind::from_name(name).unwrap_or_else(|| {
                let names = Kind::ALL.map(Kind::name).join(", ");
                tracing::warn!("AKIN_CPU is one of {names}, not {name:?}: it is ignored");
                Kind::Amx
            })
        });
        widest_up_to(limit.unwrap_or(Kind::Amx))
    });
    *CHOSEN
}

fn widest_up_to(limit: Kind) -> Isa {
    Isa::available().rfind(|isa| isa.0 <= limit).unwrap_or(Isa(Kind::Portable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_instruction_sets_that_this_processor_has_are_handed_out() {
        assert!(isa().0.is_available());
        assert!(Isa::available().all(|isa| isa.0.is_available()));
        for kind in Kind::ALL {
            assert_eq!(Isa::named(kind.name()).is_some(), kind.is_available(), "{kind:?}");
        }
    }

    #[test]
    fn no_wider_instruction_set_than_the_limit_is_chosen() {
        assert_eq!(widest_up_to(Kind::Portable).0, Kind::Portable);
        for limit in Kind::ALL {
            assert!(widest_up_to(limit).0 <= limit);
            assert!(widest_up_to(limit).0.is_available());
        }
    }

    #[test]
    fn names_are_read_in_any_case_and_others_are_not_guessed() {
        assert_eq!(Kind::from_name("AVX2"), Some(Kind::Avx2));
        assert_eq!(Kind::from_name("portable"), Some(Kind::Portable));
        assert_eq!(Kind::from_name("avx"), None);
        assert_eq!(Isa::named("Portable").map(Isa::name), Some("portable"));
        assert_eq!(Isa::named("avx"), None);
    }
}
