//! A model in training, step by step.

use super::TrainingSettings;
use super::cached::loss_and_gradients;
use crate::autodiff::{Randomness, SparseGradient, word_embeddings};
use crate::base::BaseModel;
use crate::example::Example;
use crate::gradients::ParameterGradients;
use crate::network::{Conditions, Network};
use crate::optimizer::{AdamW, Memory};
use crate::random::Random;
use crate::schedule::Schedule;
use crate::{Error, Result};

/// A model in training.
pub struct Trainer<'a> {
    pub(super) base: &'a BaseModel,
    pub(super) settings: TrainingSettings,
    network: Option<Network>,
    optimizer: AdamW,
    schedule: Schedule,
    steps: usize,
}

impl<'a> Trainer<'a> {
    /// A trainer of `network` for `steps` steps.
    pub fn new(base: &'a BaseModel, network: Network, settings: TrainingSettings, steps: usize) -> Self {
        Self::resumed(base, network, settings, steps, 0, Vec::new())
    }

    /// One that has taken `taken` of its steps, with the state that the optimizer had then.
    pub fn resumed(
        base: &'a BaseModel,
        network: Network,
        settings: TrainingSettings,
        steps: usize,
        taken: usize,
        memories: Vec<Memory>,
    ) -> Self {
        let schedule = Schedule::new(settings.learning_rate, settings.warmup, steps);
        let optimizer = AdamW::resumed(settings.adamw(), taken as u32, memories);
        Self { base, settings, network: Some(network), optimizer, schedule, steps: taken }
    }

    /// Takes a step on some examples and returns their loss before it.
    ///
    /// # Errors
    /// [`Error::Diverged`] when the loss or its gradient is not a number; the network is then as it was.
    pub fn step(&mut self, examples: &[&Example]) -> Result<f64> {
        let network = self.network.take().expect("a network is there between two steps");
        let randomness = match self.settings.dropout {
            true => self.base.randomness(Random::new(self.settings.seed ^ (self.steps as u64) << 20).bits()),
            false => Randomness::none(),
        };
        let words = SparseGradient::default();
        let conditions = Conditions { randomness, words: Some(&words) };
        let found = self.loss_and_gradients(&network, examples, &conditions);
        let (value, gradients) = match found {
            Ok(found) => found,
            Err(error) => {
                self.network = Some(network);
                return Err(error);
            }
        };
        let moved = match gradients {
            Some(mut gradients) => {
                if !network.is_adapted() {
                    gradients.set_rows(word_embeddings(network.encoder()), words.take());
                }
                let (network, norm) = self.optimizer.step(network, gradients, self.learning_rate());
                self.network = Some(network);
                norm.is_some()
            }
            None => {
                self.network = Some(network);
                false
            }
        };
        if !moved {
            let kept = "nothing was kept".to_owned();
            return Err(Error::Diverged { step: self.steps + 1, loss: f64::from(value), kept });
        }
        self.steps += 1;
        Ok(f64::from(value))
    }

    /// The loss and its gradients; none for a loss that is not a number.
    fn loss_and_gradients(
        &self,
        network: &Network,
        examples: &[&Example],
        conditions: &Conditions<'_>,
    ) -> Result<(f32, Option<ParameterGradients>)> {
        let goal = self.settings.goal();
        if let Some(at_once) = self.settings.cached {
            let found = loss_and_gradients(network, self.base, goal, examples, conditions, at_once)?;
            return Ok((found.0, found.0.is_finite().then_some(found.1)));
        }
        let loss = network.loss(self.base, goal, examples, conditions)?;
        let value: f32 = loss.clone().inner().into_scalar();
        let gradients = value.is_finite().then(|| ParameterGradients::of(network, loss.backward()));
        Ok((value, gradients))
    }

    /// The learning rate of the next step.
    pub fn learning_rate(&self) -> f64 {
        self.schedule.at(self.steps)
    }

    /// The state of the optimizer.
    pub fn memories(&self) -> &[Memory] {
        self.optimizer.memories()
    }

    /// The network as it is, by value.
    pub fn into_network(self) -> Network {
        self.network.expect("a network is there between two steps")
    }

    /// The network as it is.
    pub fn network(&self) -> &Network {
        self.network.as_ref().expect("a network is there between two steps")
    }
}
