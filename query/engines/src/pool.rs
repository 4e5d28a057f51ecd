//! Connections to one table or collection that several threads use.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use akin_index::ModelIdentity;

use crate::{Address, Engine, Error, Result};

/// Connections to one table or collection that several threads use, each for one call.
pub struct Pool {
    address: Address,
    place: String,
    model: ModelIdentity,
    most: usize,
    connections: Mutex<Connections>,
    returned: Condvar,
}

/// Connections that nobody uses, and how many there are at all.
struct Connections {
    idle: Vec<Box<dyn Engine>>,
    open: usize,
}

/// A connection that one call uses.
struct Borrowed<'a> {
    of: &'a Pool,
    engine: Option<Box<dyn Engine>>,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let mut connections = self.of.connections();
        match self.engine.take() {
            Some(engine) => connections.idle.push(engine),
            None => connections.open -= 1,
        }
        drop(connections);
        self.of.returned.notify_one();
    }
}

impl Pool {
    /// Begins with a connection to what is at an address. There are `most` at most, and further calls wait for one.
    pub fn new(address: Address, first: Box<dyn Engine>, most: usize) -> Self {
        Self {
            address,
            place: first.place(),
            model: first.model().clone(),
            most,
            connections: Mutex::new(Connections { idle: vec![first], open: 1 }),
            returned: Condvar::new(),
        }
    }

    /// The address, which may have a password.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Names the table with its server in messages, without a password.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The model of its vectors.
    pub fn model(&self) -> &ModelIdentity {
        &self.model
    }

    /// Gives a connection to a call, which gives it back unless it is not to be used again.
    ///
    /// # Errors
    /// What the call reports; what opening a connection reports, and [`Error::OtherModel`] if the table has been made anew for another model.
    pub fn with<T, E: From<Error>>(
        &self,
        call: impl FnOnce(Box<dyn Engine>) -> (Result<T, E>, Option<Box<dyn Engine>>),
    ) -> Result<T, E> {
        let (mut borrowed, engine) = self.borrow()?;
        let (done, engine) = call(engine);
        borrowed.engine = engine;
        done
    }

    fn borrow(&self) -> Result<(Borrowed<'_>, Box<dyn Engine>)> {
        let mut connections = self.connections();
        while connections.idle.is_empty() && connections.open >= self.most {
            connections = self.returned.wait(connections).unwrap_or_else(PoisonError::into_inner);
        }
        let borrowed = Borrowed { of: self, engine: None };
        if let Some(engine) = connections.idle.pop() {
            return Ok((borrowed, engine));
        }
        connections.open += 1;
        drop(connections);
        let engine = self.address.clone().open()?;
        match self.model.difference(engine.model()) {
            Some(what) => Err(Error::OtherModel {
                place: self.place.clone(),
                built_with: Box::new(engine.model().clone()),
                what: format!("it was made anew meanwhile: {what}"),
            }),
            None => Ok((borrowed, engine)),
        }
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
