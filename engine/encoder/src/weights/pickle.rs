//! A pickle as a tree of values. Nothing is executed: a call is kept as the name of its function and its arguments.
//!
//! Only the opcodes of protocol 2 to 4 that plain values, calls and persistent ids need are known. Any other is an
//! error, which names it. Every value takes a byte of the pickle at least, so a tree is as large as its pickle at most.

use std::collections::HashMap;

/// A value. Others that it holds are named by their number.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// A number that no size is: a float, or an integer of more than eight bytes.
    OtherNumber,
    Text(&'a str),
    Bytes(&'a [u8]),
    Tuple(Vec<usize>),
    List(Vec<usize>),
    Dict(Vec<(usize, usize)>),
    /// A name of a module of Python.
    Global(&'a str, &'a str),
    Call {
        function: usize,
        arguments: usize,
    },
    /// A persistent id: in files of torch, a storage.
    Storage(usize),
}

/// The values of a pickle.
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: usize,
    /// How many bytes it is long.
    pub length: usize,
}

impl<'a> Pickle<'a> {
    /// What the whole is.
    pub(super) fn root(&self) -> &Value<'a> {
        &self.values[self.root]
    }

    /// The value of a number that another value holds.
    pub(super) fn value(&self, number: usize) -> &Value<'a> {
        &self.values[number]
    }

    /// Every value.
    pub(super) fn values(&self) -> impl Iterator<Item = &Value<'a>> {
        self.values.iter()
    }
}

/// Reads the pickle at the beginning of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Pickle<'_>, String> {
    let mut machine = Machine {
        bytes,
        at: 0,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        let at = machine.at;
        let code = machine.byte()?;
        if code == b'.' {
            let root = machine.pop()?;
            return Ok(Pickle { values: machine.values, root, length: machine.at });
        }
        if !machine.step(code)? {
            return Err(format!("its pickle has the opcode {code:#04x} at byte {at}, which no weights need"));
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value<'a>>,
    stack: Vec<usize>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u64, usize>,
}

impl<'a> Machine<'a> {
    /// Follows an opcode; false where it is not known.
    fn step(&mut self, code: u8) -> Result<bool, String> {
        match code {
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            b'q' | b'r' | 0x94 => self.memorize(code)?,
            b'h' | b'j' => self.recall(code)?,
            b'N' => self.push(Value::None),
            0x88 | 0x89 => self.push(Value::Bool(code == 0x88)),
            b'J' | b'K' | b'M' | 0x8a | 0x8b | b'G' => self.number(code)?,
            b'X' | 0x8c | 0x8d | b'U' | b'T' => self.text(code)?,
            b'B' | b'C' | 0x8e => {
                let length = self.length(match code {
                    b'C' => 1,
                    b'B' => 4,
                    _ => 8,
                })?;
                let bytes = self.take(length)?;
                self.push(Value::Bytes(bytes));
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(module, name));
            }
            0x93 => self.global()?,
            b')' | b'}' | b']' | b't' | 0x85..=0x87 => self.collection(code)?,
            b'a' | b'e' => self.append(code)?,
            b's' | b'u' => self.set_items(code)?,
            b'R' | 0x81 => self.call()?,
            // The state of an object: of a dictionary of weights, notes on the versions of its modules.
            b'b' => drop(self.pop()?),
            b'Q' => {
                let id = self.pop()?;
                self.push(Value::Storage(id));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn push(&mut self, value: Value<'a>) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<usize, String> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= bottom {
            return Err("its pickle takes more values than it has: the file is corrupt".into());
        }
        self.stack.pop().ok_or_else(|| "its pickle is empty".to_owned())
    }

    fn pop_mark(&mut self) -> Result<Vec<usize>, String> {
        let from = self.marks.pop().ok_or("its pickle ends a list that never began: the file is corrupt")?;
        Ok(self.stack.split_off(from))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(length);
        let bytes = end
            .and_then(|end| self.bytes.get(self.at..end))
            .ok_or("its pickle is truncated: fetch the file again")?;
        self.at += length;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    /// A number of up to eight bytes, the lowest first.
    fn unsigned(&mut self, bytes: usize) -> Result<u64, String> {
        let mut whole = [0; 8];
        whole[..bytes].copy_from_slice(self.take(bytes)?);
        Ok(u64::from_le_bytes(whole))
    }

    fn length(&mut self, bytes: usize) -> Result<usize, String> {
        usize::try_from(self.unsigned(bytes)?)
            .map_err(|_| "its pickle is truncated: fetch the file again".into())
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or("its pickle is truncated: fetch the file again")?;
        let line = self.take(length)?;
        self.at += 1;
        str::from_utf8(line).map_err(|_| "its pickle names something that is not text".into())
    }

    fn memorize(&mut self, code: u8) -> Result<(), String> {
        let key = match code {
            b'q' => self.unsigned(1)?,
            b'r' => self.unsigned(4)?,
            _ => self.memo.len() as u64,
        };
        let top = *self.stack.last().ok_or("its pickle remembers a value that it does not have")?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, code: u8) -> Result<(), String> {
        let key = self.unsigned(if code == b'h' { 1 } else { 4 })?;
        let value = *self.memo.get(&key).ok_or("its pickle recalls a value that it does not have")?;
        self.stack.push(value);
        Ok(())
    }

    fn number(&mut self, code: u8) -> Result<(), String> {
        let value = match code {
            b'J' => Value::Int(i64::from(self.unsigned(4)? as u32 as i32)),
            b'K' => Value::Int(self.unsigned(1)? as i64),
            b'M' => Value::Int(self.unsigned(2)? as i64),
            b'G' => {
                self.take(8)?;
                Value::OtherNumber
            }
            _ => {
                let length = self.length(if code == 0x8a { 1 } else { 4 })?;
                let bytes = self.take(length)?;
                match bytes.len() {
                    0 => Value::Int(0),
                    1..=8 => {
                        let sign = if bytes[bytes.len() - 1] & 0x80 == 0 { 0 } else { 0xff };
                        let mut whole = [sign; 8];
                        whole[..bytes.len()].copy_from_slice(bytes);
                        Value::Int(i64::from_le_bytes(whole))
                    }
                    _ => Value::OtherNumber,
                }
            }
        };
        self.push(value);
        Ok(())
    }

    fn text(&mut self, code: u8) -> Result<(), String> {
        let length = self.length(match code {
            0x8c | b'U' => 1,
            0x8d => 8,
            _ => 4,
        })?;
        let bytes = self.take(length)?;
        self.push(str::from_utf8(bytes).map_or(Value::Bytes(bytes), Value::Text));
        Ok(())
    }

    fn global(&mut self) -> Result<(), String> {
        let (name, module) = (self.pop()?, self.pop()?);
        let (Value::Text(module), Value::Text(name)) = (&self.values[module], &self.values[name]) else {
            return Err("its pickle names something that is not text".into());
        };
        let value = Value::Global(module, name);
        self.push(value);
        Ok(())
    }

    fn collection(&mut self, code: u8) -> Result<(), String> {
        let value = match code {
            b')' => Value::Tuple(Vec::new()),
            b'}' => Value::Dict(Vec::new()),
            b']' => Value::List(Vec::new()),
            b't' => Value::Tuple(self.pop_mark()?),
            _ => {
                let mut parts = Vec::new();
                for _ in 0..code - 0x84 {
                    parts.push(self.pop()?);
                }
                parts.reverse();
                Value::Tuple(parts)
            }
        };
        self.push(value);
        Ok(())
    }

    fn append(&mut self, code: u8) -> Result<(), String> {
        let added = if code == b'e' { self.pop_mark()? } else { vec![self.pop()?] };
        match self.top()? {
            Value::List(list) => list.extend(added),
            _ => return Err("its pickle appends to something that is no list".into()),
        }
        Ok(())
    }

    fn set_items(&mut self, code: u8) -> Result<(), String> {
        let added = match code {
            b'u' => self.pop_mark()?,
            _ => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
        };
        match self.top()? {
            Value::Dict(entries) => {
                entries.extend(added.as_chunks::<2>().0.iter().map(|[key, value]| (*key, *value)))
            }
            _ => return Err("its pickle sets entries of something that is no dictionary".into()),
        }
        Ok(())
    }

    fn top(&mut self) -> Result<&mut Value<'a>, String> {
        let top = *self.stack.last().ok_or("its pickle changes a value that it does not have")?;
        Ok(&mut self.values[top])
    }

    /// A call is kept as it is written. One of `OrderedDict` makes the dictionary that entries are set of.
    fn call(&mut self) -> Result<(), String> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let value = match self.values[function] {
            Value::Global("collections", "OrderedDict") => Value::Dict(Vec::new()),
            _ => Value::Call { function, arguments },
        };
        self.push(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_read_and_calls_are_kept_unexecuted() {
        // {'a': (1, -2, 300)}, then a call of os.system('x').
        let dict =
            read(b"\x80\x02}q\x00X\x01\x00\x00\x00aK\x01J\xfe\xff\xff\xffM\x2c\x01\x87s.rest").unwrap();
        let Value::Dict(entries) = dict.root() else { panic!("{:?}", dict.root()) };
        assert_eq!(dict.value(entries[0].0), &Value::Text("a"));
        let Value::Tuple(parts) = dict.value(entries[0].1) else { panic!() };
        let numbers: Vec<&Value<'_>> = parts.iter().map(|part| dict.value(*part)).collect();
        assert_eq!(numbers, [&Value::Int(1), &Value::Int(-2), &Value::Int(300)]);
        // What follows the end is not of it.
        assert_eq!(dict.length, 24);
        let call = read(b"\x80\x02cos\nsystem\nX\x01\x00\x00\x00x\x85R.").unwrap();
        let Value::Call { function, .. } = call.root() else { panic!() };
        assert_eq!(call.value(*function), &Value::Global("os", "system"));
    }

    #[test]
    fn what_is_no_pickle_of_weights_is_refused_with_a_reason() {
        for (bytes, word) in [
            (&b""[..], "truncated"),
            (b"\x80\x02", "truncated"),
            (b".", "more values"),
            (b"(0.", "more values"),
            (b"t.", "never began"),
            (b"h\x05.", "recalls"),
            (b"q\x05.", "remembers"),
            (b"X\xff\xff\xff\xffa.", "truncated"),
            (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.", "truncated"),
            (b"cos\nsystem", "truncated"),
            (b"K\x01K\x02a.", "no list"),
            (b"iposix\nsystem\n.", "0x69"),
        ] {
            let error = read(bytes).err().unwrap();
            assert!(error.contains(word), "{bytes:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn no_opcodes_make_it_panic(
            codes in prop::collection::vec(prop::sample::select(b"(01qrhjNJKMGXUTBCc)}]t\x85\x86\x87aesuRbQ.\x01\x00".to_vec()), 0..80)
        ) {
            let _ = read(&codes);
        }
    }
}
