//! burn's devices: the processor, by its backend Flex, and GPUs.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::Device as BurnDevice;
#[cfg(feature = "wgpu")]
use burn::tensor::DeviceKind;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use burn::tensor::DeviceType;

use crate::{Device, Error, Result};

/// The devices that this build reaches on this machine, the processor first.
pub(crate) fn available() -> Vec<Device> {
    let count = |kind| of_kind(kind).len();
    let gpus = (0..count(Device::Cuda(0))).map(Device::Cuda);
    let others = (0..count(Device::Wgpu(0))).map(Device::Wgpu);
    std::iter::once(Device::Cpu).chain(gpus).chain(others).collect()
}

/// Finds a device.
///
/// # Errors
/// [`Error::DeviceNotBuilt`] for one whose feature is left out, [`Error::Device`] for one that is not there.
pub(super) fn open(device: Device) -> Result<BurnDevice> {
    device.require_built()?;
    let found = of_kind(device);
    let count = found.len();
    let (Device::Cuda(number) | Device::Wgpu(number)) = device else {
        // Never burn's default, which is a GPU as soon as a feature of one is compiled in.
        return Ok(BurnDevice::flex());
    };
    let missing = || {
        let reason = match count {
            0 => "is not here: no driver of this machine tells of such a device".to_owned(),
            1 => "is not here: the only one of its kind has the number 0".to_owned(),
            count => format!("is not here: those of its kind have the numbers 0 to {}", count - 1),
        };
        Error::Device { device, reason }
    };
    let opened = found.into_iter().nth(number).ok_or_else(missing)?;
    warn_of_software(device, &opened);
    Ok(opened)
}

/// The GPUs of the kind of `device`, in the order of their numbers. Asking burn for one that is not there would panic later.
fn of_kind(device: Device) -> Vec<BurnDevice> {
    match device {
        Device::Cpu => Vec::new(),
        #[cfg(feature = "cuda")]
        Device::Cuda(_) => BurnDevice::enumerate(DeviceType::Cuda).into_vec(),
        #[cfg(not(feature = "cuda"))]
        Device::Cuda(_) => Vec::new(),
        #[cfg(feature = "wgpu")]
        Device::Wgpu(_) => best_first(&BurnDevice::enumerate(DeviceType::Wgpu)),
        #[cfg(not(feature = "wgpu"))]
        Device::Wgpu(_) => Vec::new(),
    }
}

/// Discrete GPUs first, then integrated and virtual ones, then the processor, and at last what is none of them.
#[cfg(feature = "wgpu")]
fn best_first(found: &[BurnDevice]) -> Vec<BurnDevice> {
    let kinds: [fn(usize) -> DeviceKind; 4] =
        [DeviceKind::DiscreteGpu, DeviceKind::IntegratedGpu, DeviceKind::VirtualGpu, |_| DeviceKind::Cpu];
    let named = kinds.iter().flat_map(|kind| (0..found.len()).map(|number| BurnDevice::wgpu(kind(number))));
    let mut ordered: Vec<BurnDevice> = Vec::new();
    for device in named.filter(|device| found.contains(device)).chain(found.iter().cloned()) {
        if !ordered.contains(&device) {
            ordered.push(device);
        }
    }
    ordered
}

/// Says that a device is no GPU. Our own kernels are faster than such a driver.
fn warn_of_software(device: Device, opened: &BurnDevice) {
    #[cfg(feature = "wgpu")]
    if *opened == BurnDevice::wgpu(DeviceKind::Cpu) {
        tracing::warn!("{device} is a driver that computes on the processor, slower than the device cpu");
    }
    #[cfg(not(feature = "wgpu"))]
    let _ = (device, opened);
}

/// Makes an error of a panic on a GPU: burn panics where the driver fails or memory is short.
pub(super) fn caught<T>(device: Device, work: impl FnOnce() -> Result<T>) -> Result<T> {
    if device == Device::Cpu {
        return work();
    }
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it does not say why");
        Err(Error::Device { device, reason: format!("failed: {}", first_line(said)) })
    })
}

/// The first line of what a driver says: an error is one sentence.
pub(super) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_on_a_gpu_is_an_error_that_names_the_device() {
        let fails = || -> Result<()> { panic!("out of memory\nand more") };
        let error = caught(Device::Cuda(1), fails).unwrap_err().to_string();
        assert!(error.contains("cuda:1") && error.ends_with("out of memory"), "{error}");
        assert_eq!(caught(Device::Cuda(1), || Ok(3)).unwrap(), 3);
    }

    #[test]
    fn burn_computes_on_the_processor_where_no_gpu_is_named() {
        assert_eq!(open(Device::Cpu).unwrap(), BurnDevice::flex());
    }

    #[test]
    fn a_device_that_is_not_there_is_an_error() {
        for device in [Device::Cuda(1000), Device::Wgpu(1000)] {
            let error = open(device).unwrap_err();
            match device.require_built() {
                Ok(()) => assert!(matches!(error, Error::Device { .. }), "{error:?}"),
                Err(_) => assert!(matches!(error, Error::DeviceNotBuilt { .. }), "{error:?}"),
            }
            assert!(error.to_string().contains(&device.to_string()), "{error}");
        }
    }
}
