//! The functions that a Dense module ends with.

use std::path::Path;

use serde_json::Value;

use crate::Result;
use crate::files::refuse;
use crate::settings::shortened;

/// A function of one number, as PyTorch defines it with no options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    Identity,
    Tanh,
    Relu,
    Gelu,
    Sigmoid,
    Silu,
}

impl Activation {
    /// By the path of its class in Python; that which sentence-transformers takes where there is none.
    pub(super) fn read(file: &Path, class: Option<&Value>) -> Result<Self> {
        let Some(class) = class else { return Ok(Self::Tanh) };
        let name = class.as_str().unwrap_or_default();
        if !name.starts_with("torch.") && class.is_string() {
            tracing::warn!(
                "{}: activation_function is {}, a function outside of PyTorch: tanh takes its place, as in \
                 sentence-transformers",
                file.display(),
                shortened(class)
            );
            return Ok(Self::Tanh);
        }
        match name.rsplit('.').next().unwrap_or_default() {
            "Identity" => Ok(Self::Identity),
            "Tanh" => Ok(Self::Tanh),
            "ReLU" => Ok(Self::Relu),
            "GELU" => Ok(Self::Gelu),
            "Sigmoid" => Ok(Self::Sigmoid),
            "SiLU" => Ok(Self::Silu),
            _ => Err(refuse(
                file,
                format!(
                    "activation_function is {}, and Akin applies Identity, Tanh, ReLU, GELU, Sigmoid and SiLU of torch.nn",
                    shortened(class)
                ),
            )),
        }
    }

    pub(super) fn apply(self, x: f32) -> f32 {
        match self {
            Self::Identity => x,
            Self::Tanh => x.tanh(),
            Self::Relu if x < 0.0 => 0.0,
            Self::Relu => x,
            Self::Gelu => {
                let x = f64::from(x);
                (x * 0.5 * (1.0 + akin_kernels::vecmath::erf_reference(x * std::f64::consts::FRAC_1_SQRT_2)))
                    as f32
            }
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::Silu => x / (1.0 + (-x).exp()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_function_is_that_of_pytorch() {
        // torch.nn.X()(torch.tensor([-1.5, 0.5])), to seven digits.
        for (class, expected) in [
            ("torch.nn.modules.linear.Identity", [-1.5, 0.5]),
            ("torch.nn.modules.activation.Tanh", [-0.905_148_3, 0.462_117_2]),
            ("torch.nn.modules.activation.ReLU", [0.0, 0.5]),
            ("torch.nn.modules.activation.GELU", [-0.100_210_8, 0.345_731_2]),
            ("torch.nn.modules.activation.Sigmoid", [0.182_425_5, 0.622_459_3]),
            ("torch.nn.modules.activation.SiLU", [-0.273_638_3, 0.311_229_7]),
        ] {
            let activation = Activation::read(Path::new("config.json"), Some(&class.into())).unwrap();
            for (x, expected) in [-1.5, 0.5].into_iter().zip(expected) {
                assert!((activation.apply(x) - expected).abs() < 2e-7, "{class}: {}", activation.apply(x));
            }
        }
    }

    #[test]
    fn a_function_of_pytorch_that_is_not_known_is_refused_and_any_other_is_tanh() {
        let read = |class: Value| Activation::read(Path::new("2_Dense/config.json"), Some(&class));
        assert_eq!(read("my.module.Swish".into()).unwrap(), Activation::Tanh);
        for class in [Value::from("torch.nn.modules.activation.Softmin"), Value::from(3)] {
            let error = read(class).unwrap_err().to_string();
            assert!(error.contains("activation_function") && error.contains("2_Dense"), "{error}");
        }
    }
}
