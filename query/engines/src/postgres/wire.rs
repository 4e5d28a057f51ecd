//! Values as PostgreSQL sends them in binary.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use half::f16;
use half::slice::HalfFloatSliceExt;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

type Fault = Box<dyn Error + Sync + Send>;

/// The least number that 16 bits do not have: it is as near to what would follow their greatest, 65,504, as to that.
pub(super) const BEYOND: f32 = 65_520.0;

/// A vector of pgvector's type `halfvec`: numbers of 16 bits.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HalfVector(pub(super) Vec<f16>);

impl HalfVector {
    pub(super) fn of(vector: &[f32]) -> Self {
        Self(halves(vector))
    }

    /// Its numbers.
    pub(super) fn numbers(&self) -> Vec<f32> {
        self.0.iter().map(|value| value.to_f32()).collect()
    }
}

fn halves(vector: &[f32]) -> Vec<f16> {
    let mut numbers = vec![f16::ZERO; vector.len()];
    numbers.convert_from_f32_slice(vector);
    numbers
}

/// Adds a vector as pgvector's `halfvec` to bytes.
pub(super) fn put_halves(vector: &[f32], bytes: &mut Vec<u8>) {
    put_numbers(&halves(vector), bytes);
}

/// The number of its numbers, which are at most [`DIMENSION_LIMIT`](super::schema::DIMENSION_LIMIT), a word of zeros, and they.
fn put_numbers(numbers: &[f16], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&(numbers.len() as u16).to_be_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend(numbers.iter().flat_map(|number| number.to_bits().to_be_bytes()));
}

fn is_halfvec(ty: &Type) -> bool {
    ty.name() == "halfvec"
}

impl ToSql for HalfVector {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
        let mut bytes = Vec::with_capacity(4 + 2 * self.0.len());
        put_numbers(&self.0, &mut bytes);
        out.put_slice(&bytes);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        is_halfvec(ty)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for HalfVector {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Fault> {
        let (head, values) = raw.split_at_checked(4).ok_or("a halfvec has a head of four bytes")?;
        let count = usize::from(u16::from_be_bytes([head[0], head[1]]));
        let (values, rest) = values.as_chunks::<2>();
        if values.len() != count || !rest.is_empty() {
            return Err("a halfvec has another length than it says".into());
        }
        Ok(Self(values.iter().map(|value| f16::from_bits(u16::from_be_bytes(*value))).collect()))
    }

    fn accepts(ty: &Type) -> bool {
        is_halfvec(ty)
    }
}

#[cfg(test)]
mod tests {
    use postgres::types::Kind;

    use super::*;

    #[test]
    fn a_vector_comes_back_from_its_bytes_and_no_other_bytes_are_one() {
        let ty = Type::new("halfvec".into(), 1, Kind::Simple, "public".into());
        let vector = HalfVector::of(&[0.5, -1.0, 0.1]);
        let mut bytes = BytesMut::new();
        vector.to_sql(&ty, &mut bytes).unwrap();
        assert_eq!(&bytes[..6], [0, 3, 0, 0, 0x38, 0x00]);
        assert_eq!(HalfVector::from_sql(&ty, &bytes).unwrap(), vector);
        for short in [0, 3, bytes.len() - 1] {
            assert!(HalfVector::from_sql(&ty, &bytes[..short]).is_err());
        }
        assert!(HalfVector::of(&[BEYOND.next_down()]).numbers()[0] == 65_504.0);
        assert!(HalfVector::of(&[BEYOND]).numbers()[0].is_infinite());
    }
}
