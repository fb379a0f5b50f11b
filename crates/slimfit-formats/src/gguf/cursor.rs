//! Bounds-checked little-endian reads that know where they are.

use crate::FormatsError;

/// A position in a file's bytes. Nothing is allocated before the bytes for it are known to exist.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    file: &'a str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], file: &'a str) -> Self {
        Self { bytes, at: 0, file }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn error(&self, message: impl Into<String>) -> FormatsError {
        FormatsError::Binary { file: self.file.to_owned(), offset: self.at as u64, message: message.into() }
    }

    pub(super) fn take(&mut self, length: usize, what: &str) -> Result<&'a [u8], FormatsError> {
        if length > self.remaining() {
            let left = self.remaining();
            return Err(
                self.error(format!("the file ends within {what}: {length} bytes wanted, {left} left"))
            );
        }
        let taken = &self.bytes[self.at..self.at + length];
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], FormatsError> {
        let taken = self.take(N, what)?;
        Ok(taken.try_into().expect("as many bytes as were asked for"))
    }

    pub(super) fn byte(&mut self, what: &str) -> Result<u8, FormatsError> {
        Ok(self.array::<1>(what)?[0])
    }

    pub(super) fn u16(&mut self, what: &str) -> Result<u16, FormatsError> {
        Ok(u16::from_le_bytes(self.array(what)?))
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, FormatsError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, FormatsError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// A length followed by that many bytes of UTF-8.
    pub(super) fn text(&mut self, what: &str) -> Result<&'a str, FormatsError> {
        let length = self.u64(what)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let bytes = self.take(length, what)?;
        std::str::from_utf8(bytes).map_err(|_| self.error(format!("{what} is not UTF-8")))
    }

    /// A count of entries of at least `smallest` bytes each, so that no false count makes anyone reserve memory.
    pub(super) fn count(&mut self, smallest: usize, what: &str) -> Result<usize, FormatsError> {
        let count = self.u64(what)?;
        let most = self.remaining() / smallest;
        match usize::try_from(count) {
            Ok(count) if count <= most => Ok(count),
            _ => Err(self
                .error(format!("{what} is {count}, but the rest of the file has room for {most} at most"))),
        }
    }
}
