//! The table of characters by which a model of sentencepiece normalises texts.

use tokenizers::NormalizerWrapper;
use tokenizers::normalizers::precompiled::Precompiled;

/// The normalizer of a table; none for an empty one.
pub(super) fn normalizer(table: &[u8]) -> Result<Option<NormalizerWrapper>, String> {
    if table.is_empty() {
        return Ok(None);
    }
    check_table(table)?;
    let table =
        Precompiled::from(table).map_err(|error| format!("its table of characters is broken: {error}"))?;
    Ok(Some(NormalizerWrapper::Precompiled(table)))
}

/// Refuses a table that leads beyond its own end: whoever walks it does not look.
fn check_table(table: &[u8]) -> Result<(), String> {
    let broken = || "its table of characters is broken: fetch the file again".to_owned();
    let (length, rest) = table.split_first_chunk::<4>().ok_or_else(broken)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (trie, texts) = rest.split_at_checked(length).ok_or_else(broken)?;
    let texts = str::from_utf8(texts).map_err(|_| broken())?;
    let (units, odd) = trie.as_chunks::<4>();
    let units: Vec<usize> = units.iter().map(|unit| u32::from_le_bytes(*unit) as usize).collect();
    if units.is_empty() || !odd.is_empty() {
        return Err(broken());
    }
    // A unit with the highest bit is the value of a leaf: no byte leads on from it.
    let leads_on = |(at, unit): &(usize, &usize)| *at == 0 || *unit >> 31 == 0;
    for (at, unit) in units.iter().enumerate().filter(leads_on) {
        let next = at ^ ((unit >> 10) << ((unit & (1 << 9)) >> 6));
        let has_leaf = (unit >> 8) & 1 == 1;
        let leaf = units.get(next).map(|leaf| leaf & ((1 << 31) - 1));
        // The next unit of any byte.
        let is_inside = next | 0xff < units.len();
        if !is_inside || (has_leaf && !leaf.is_some_and(|text| texts.is_char_boundary(text))) {
            return Err(broken());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_leads_beyond_its_end_is_refused() {
        let table = |units: &[u32], texts: &[u8]| {
            let trie: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            [&(trie.len() as u32).to_le_bytes()[..], &trie, texts].concat()
        };
        let mut units = vec![0; 256];
        assert!(check_table(&table(&units, b"x\0")).is_ok());
        units[7] = 400 << 10;
        assert!(check_table(&table(&units, b"x\0")).is_err());
        units[7] = 1 << 8;
        units[7] |= 3;
        assert!(check_table(&table(&units, "é\0".as_bytes())).is_err());
        assert!(check_table(&table(&[], b"")).is_err());
    }
}
