//! Bounds-checked little-endian reads that know where they are.

use crate::FormatsError;

/// A position in the first bytes of a file. Nothing is allocated before the bytes for it are known to exist.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    /// Of the whole file, of which `bytes` is the beginning.
    file_bytes: u64,
    at: usize,
    file: &'a str,
    ran_out: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], file_bytes: u64, file: &'a str) -> Self {
        Self { bytes, file_bytes, at: 0, file, ran_out: false }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Whether a read failed that would not have, had more of the file been at hand.
    pub(super) fn ran_out(&self) -> bool {
        self.ran_out
    }

    /// Bytes of the whole file.
    pub(super) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Bytes from here to the end of the file.
    fn remaining(&self) -> u64 {
        self.file_bytes - self.at as u64
    }

    pub(super) fn error(&self, message: impl Into<String>) -> FormatsError {
        self.error_at(self.at as u64, message)
    }

    /// An error about something that was read before.
    pub(super) fn error_at(&self, offset: u64, message: impl Into<String>) -> FormatsError {
        FormatsError::Binary { file: self.file.to_owned(), offset, message: message.into() }
    }

    pub(super) fn take(&mut self, length: usize, what: &str) -> Result<&'a [u8], FormatsError> {
        if length > self.bytes.len() - self.at {
            let left = self.remaining();
            self.ran_out = length as u64 <= left;
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
        let most = self.remaining() / smallest as u64;
        match usize::try_from(count) {
            Ok(length) if count <= most => Ok(length),
            _ => Err(self
                .error(format!("{what} is {count}, but the rest of the file has room for {most} at most"))),
        }
    }
}
