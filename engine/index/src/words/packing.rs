//! Numbers in few bytes: one after another in as many bytes as each needs, or 128 together in as many bits as the
//! greatest of them needs.

/// Numbers that are packed together.
pub(crate) const BLOCK: usize = 128;

/// Numbers that lie beside each other in a packed block: it is unpacked with instructions on four at once.
const LANES: usize = 4;

/// Bytes of a block of numbers of so many bits.
pub(crate) fn packed_bytes(bits: u8) -> usize {
    usize::from(bits) * BLOCK / 8
}

/// How many bits the greatest of some numbers has.
pub(crate) fn bits_of(numbers: &[u32]) -> u8 {
    (u32::BITS - numbers.iter().fold(0, |all, number| all | number).leading_zeros()) as u8
}

/// Appends a block: number `4 i + lane` is number `i` of its lane, and the lanes' words alternate.
pub(crate) fn pack(numbers: &[u32; BLOCK], bits: u8, out: &mut Vec<u8>) {
    let bits = usize::from(bits);
    let mut words = vec![[0u32; LANES]; bits];
    for (i, row) in numbers.as_chunks::<LANES>().0.iter().enumerate() {
        let (word, shift) = (i * bits / 32, i * bits % 32);
        for lane in 0..LANES {
            if bits > 0 {
                words[word][lane] |= row[lane] << shift;
            }
            if shift + bits > 32 {
                words[word + 1][lane] |= row[lane] >> (32 - shift);
            }
        }
    }
    out.extend(words.iter().flatten().flat_map(|word| word.to_le_bytes()));
}

/// Reads a block of [`packed_bytes`] bytes; false if there are others or more bits than a number has.
pub(crate) fn unpack(bytes: &[u8], bits: u8, out: &mut [u32; BLOCK]) -> bool {
    if bits > 32 || bytes.len() != packed_bytes(bits) {
        return false;
    }
    let (words, _) = bytes.as_chunks::<{ 4 * LANES }>();
    match bits {
        0 => out.fill(0),
        1 => unpack_as::<1>(words, out),
        2 => unpack_as::<2>(words, out),
        3 => unpack_as::<3>(words, out),
        4 => unpack_as::<4>(words, out),
        5 => unpack_as::<5>(words, out),
        6 => unpack_as::<6>(words, out),
        7 => unpack_as::<7>(words, out),
        8 => unpack_as::<8>(words, out),
        9 => unpack_as::<9>(words, out),
        10 => unpack_as::<10>(words, out),
        11 => unpack_as::<11>(words, out),
        12 => unpack_as::<12>(words, out),
        13 => unpack_as::<13>(words, out),
        _ => unpack_any(words, usize::from(bits), out),
    }
    true
}

fn unpack_as<const BITS: usize>(words: &[[u8; 4 * LANES]], out: &mut [u32; BLOCK]) {
    unpack_any(words, BITS, out);
}

#[inline(always)]
fn unpack_any(words: &[[u8; 4 * LANES]], bits: usize, out: &mut [u32; BLOCK]) {
    let mask = u32::MAX >> (32 - bits);
    let word = |at: usize, lane: usize| {
        let bytes = &words[at][4 * lane..4 * lane + 4];
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    };
    for (i, row) in out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let (at, shift) = (i * bits / 32, i * bits % 32);
        for (lane, number) in row.iter_mut().enumerate() {
            *number = word(at, lane) >> shift;
            if shift + bits > 32 {
                *number |= word(at + 1, lane) << (32 - shift);
            }
            *number &= mask;
        }
    }
}

/// Appends a number: seven bits a byte, lowest first, and the eighth where more follow.
pub(crate) fn write_number(mut number: u32, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads a number and moves on, if there is one.
#[inline]
pub(crate) fn read_number(bytes: &mut &[u8]) -> Option<u32> {
    let (mut number, mut shift) = (0u32, 0);
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u32::from(byte & 0x7f);
        if shift == 28 && bits > 0xf {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
        shift += 7;
        if shift > 28 {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_block_comes_back(bits in 0u8..=32, seed in any::<u64>()) {
            let mut state = seed;
            let mut numbers = [0u32; BLOCK];
            for number in &mut numbers {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *number = ((state >> 32) as u32).checked_shr(32 - u32::from(bits)).unwrap_or(0);
            }
            prop_assert!(bits_of(&numbers) <= bits);
            let mut bytes = Vec::new();
            pack(&numbers, bits, &mut bytes);
            prop_assert_eq!(bytes.len(), packed_bytes(bits));
            let mut read = [1; BLOCK];
            prop_assert!(unpack(&bytes, bits, &mut read));
            prop_assert_eq!(read, numbers);
            bytes.push(0);
            prop_assert!(!unpack(&bytes, bits, &mut read));
        }

        #[test]
        fn numbers_come_back(numbers in prop::collection::vec(any::<u32>(), 0..20)) {
            let mut bytes = Vec::new();
            numbers.iter().for_each(|number| write_number(*number, &mut bytes));
            let mut rest = &bytes[..];
            let read: Vec<u32> = std::iter::from_fn(|| read_number(&mut rest)).collect();
            prop_assert_eq!(read, numbers);
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut rest = &bytes[..];
            while read_number(&mut rest).is_some() {}
        }
    }
}
