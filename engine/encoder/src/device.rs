//! Where a network computes, as people name it: `cpu`, `cuda`, `cuda:1`, `wgpu`.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// Where a network computes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU, by its number from 0. With the feature `cuda`.
    Cuda(usize),
    /// A GPU that wgpu reaches (by Vulkan, Metal or DirectX 12), by its number from 0: discrete GPUs come first, then integrated
    /// and virtual ones, then a driver that computes on the processor. With the feature `wgpu`.
    Wgpu(usize),
}

impl Device {
    /// The devices that this build reaches on this machine, the processor first.
    pub fn available() -> Vec<Self> {
        #[cfg(feature = "burn")]
        {
            crate::executors::burn::available()
        }
        #[cfg(not(feature = "burn"))]
        {
            vec![Self::Cpu]
        }
    }

    /// Refuses a device whose feature this build lacks.
    pub(crate) fn require_built(self) -> Result<()> {
        let (feature, built) = match self {
            Self::Cpu => return Ok(()),
            Self::Cuda(_) => ("cuda", cfg!(feature = "cuda")),
            Self::Wgpu(_) => ("wgpu", cfg!(feature = "wgpu")),
        };
        if built { Ok(()) } else { Err(Error::DeviceNotBuilt { device: self, feature }) }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Wgpu(number) => write!(f, "wgpu:{number}"),
        }
    }
}

/// Reads `cpu`, `cuda`, `cuda:N`, `wgpu` or `wgpu:N`; without a number it is the first device.
impl FromStr for Device {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (kind, number) = match text.split_once(':') {
            Some((kind, number)) => (kind, number.parse().ok()),
            None => (text, Some(0)),
        };
        match (kind, number) {
            ("cpu", Some(0)) if kind == text => Ok(Self::Cpu),
            ("cuda", Some(number)) => Ok(Self::Cuda(number)),
            ("wgpu", Some(number)) => Ok(Self::Wgpu(number)),
            _ => Err(Error::Invalid(format!(
                "there is no device {text:?}: name cpu, cuda or wgpu, or a GPU by its number as in cuda:1"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_read_as_it_is_written() {
        for (text, device) in [
            ("cpu", Device::Cpu),
            ("cuda", Device::Cuda(0)),
            ("cuda:12", Device::Cuda(12)),
            ("wgpu", Device::Wgpu(0)),
            ("wgpu:1", Device::Wgpu(1)),
        ] {
            assert_eq!(text.parse::<Device>().unwrap(), device);
            assert_eq!(device.to_string().parse::<Device>().unwrap(), device);
        }
    }

    #[test]
    fn what_is_no_device_is_refused_by_its_name() {
        for text in [
            "",
            "gpu",
            "CUDA",
            "cpu:0",
            "cuda:",
            "cuda:-1",
            "cuda:x",
            "wgpu:99999999999999999999",
            "cuda:0:1",
        ] {
            let error = text.parse::<Device>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn the_processor_is_there_and_a_device_of_a_feature_that_is_left_out_is_not() {
        assert_eq!(Device::available()[0], Device::Cpu);
        for (device, built) in
            [(Device::Cuda(0), cfg!(feature = "cuda")), (Device::Wgpu(0), cfg!(feature = "wgpu"))]
        {
            assert_eq!(device.require_built().is_ok(), built);
            assert!(built || !Device::available().contains(&device));
        }
    }
}
