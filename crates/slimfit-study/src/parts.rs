//! Architectures in few bytes: what surrounds the layers, and each layer, is a *part* that points share.
//!
//! A front of hundreds of thousands of points is made of few different layers, put together differently.

use crate::StudyError;
use crate::store::Store;
use rusqlite::params;
use serde::{Serialize, de::DeserializeOwned};
use slimfit_arch::{Architecture, LayerRun};
use std::collections::HashMap;

/// Layers remembered as they are, so that most need no text to be made of them. A point has one or two kinds.
const RECENT: usize = 8;

/// Turns architectures into the numbers of their parts, adding parts that are new.
pub(crate) struct PartWriter<'a> {
    store: &'a Store,
    known: HashMap<String, u64>,
    recent: Vec<(LayerRun, u64)>,
    next: usize,
}

impl<'a> PartWriter<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store, known: HashMap::new(), recent: Vec::new(), next: 0 }
    }

    /// The number of what surrounds the layers, then each run's repeat and the number of its layer, as LEB128.
    pub(crate) fn encode(&mut self, architecture: &Architecture) -> Result<Vec<u8>, StudyError> {
        let mut bytes = Vec::with_capacity(2 + 3 * architecture.layers.len());
        let around = Architecture { layers: Vec::new(), ..architecture.clone() };
        write_number(&mut bytes, self.number_of(&around)?);
        for run in &architecture.layers {
            write_number(&mut bytes, run.repeat);
            write_number(&mut bytes, self.layer(run)?);
        }
        Ok(bytes)
    }

    fn layer(&mut self, run: &LayerRun) -> Result<u64, StudyError> {
        let same = |known: &LayerRun| known.attention == run.attention && known.ffn == run.ffn;
        if let Some((_, number)) = self.recent.iter().find(|(known, _)| same(known)) {
            return Ok(*number);
        }
        let single = LayerRun { repeat: 1, ..run.clone() };
        let number = self.number_of(&single)?;
        if self.recent.len() < RECENT {
            self.recent.push((single, number));
        } else {
            self.recent[self.next] = (single, number);
            self.next = (self.next + 1) % RECENT;
        }
        Ok(number)
    }

    fn number_of<T: Serialize>(&mut self, part: &T) -> Result<u64, StudyError> {
        let json = crate::study::to_json(self.store, "part", part)?;
        if let Some(number) = self.known.get(&json) {
            return Ok(*number);
        }
        let known =
            self.store.first("SELECT id FROM part WHERE json = ?1", params![json], |row| row.get(0))?;
        let number: i64 = match known {
            Some(number) => number,
            None => self.store.insert("INSERT INTO part (json) VALUES (?1)", params![json])?,
        };
        self.known.insert(json, number as u64);
        Ok(number as u64)
    }
}

/// Puts architectures together again.
pub(crate) struct PartReader<'a> {
    store: &'a Store,
    around: HashMap<u64, Architecture>,
    layers: HashMap<u64, LayerRun>,
}

impl<'a> PartReader<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store, around: HashMap::new(), layers: HashMap::new() }
    }

    pub(crate) fn decode(&mut self, mut bytes: &[u8]) -> Result<Architecture, StudyError> {
        let around = self.next(&mut bytes)?;
        let mut architecture = part(self.store, &mut self.around, around)?;
        while !bytes.is_empty() {
            let repeat = self.next(&mut bytes)?;
            let layer = self.next(&mut bytes)?;
            let single = part(self.store, &mut self.layers, layer)?;
            architecture.layers.push(LayerRun { repeat, ..single });
        }
        Ok(architecture)
    }

    fn next(&self, bytes: &mut &[u8]) -> Result<u64, StudyError> {
        read_number(bytes)
            .ok_or_else(|| StudyError::damaged(self.store.file(), "an architecture's parts break off"))
    }
}

fn part<T: DeserializeOwned + Clone>(
    store: &Store,
    known: &mut HashMap<u64, T>,
    number: u64,
) -> Result<T, StudyError> {
    if let Some(part) = known.get(&number) {
        return Ok(part.clone());
    }
    let json: Option<String> =
        store.first("SELECT json FROM part WHERE id = ?1", params![number as i64], |row| row.get(0))?;
    let json = json.ok_or_else(|| StudyError::damaged(store.file(), format!("part {number} is missing")))?;
    let part: T = crate::study::from_json(store, "part", &json)?;
    known.insert(number, part.clone());
    Ok(part)
}

/// Unsigned LEB128: seven bits a byte, the lowest first.
pub(crate) fn write_number(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// The number at the start of `bytes`, which then begin after it.
pub(crate) fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_there_and_back_and_broken_ones_are_noticed() {
        let values = [0, 1, 127, 128, 300, 1 << 35, u64::MAX];
        let mut bytes = Vec::new();
        for value in values {
            write_number(&mut bytes, value);
        }
        let mut rest = bytes.as_slice();
        for value in values {
            assert_eq!(read_number(&mut rest), Some(value));
        }
        assert!(rest.is_empty());
        assert_eq!(read_number(&mut rest), None);
        assert_eq!(read_number(&mut [0x80_u8].as_slice()), None);
    }
}
