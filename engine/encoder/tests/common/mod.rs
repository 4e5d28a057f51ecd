//! What computes a network, for the tests that ask the same of each.

use akin_encoder::{Device, EncoderOptions, Executor};

/// Both executors on the processor, and each GPU that this build reaches on this machine.
pub fn executors() -> Vec<EncoderOptions> {
    let on_processor = [Executor::Cpu, Executor::Burn];
    let on_processor = on_processor.map(|executor| EncoderOptions { executor, ..Default::default() });
    let gpus = Device::available().into_iter().filter(|device| *device != Device::Cpu);
    let on_gpus = gpus.map(|device| EncoderOptions { device, ..Default::default() });
    on_processor.into_iter().chain(on_gpus).collect()
}

/// Which of them it is, for messages.
pub fn name(options: &EncoderOptions) -> String {
    match options.device {
        Device::Cpu => format!("{:?}", options.executor),
        device => device.to_string(),
    }
}
