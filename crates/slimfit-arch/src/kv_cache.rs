//! The size of the KV cache: what every executed layer keeps of every token.

use crate::tally::Tally;
use crate::{Architecture, ArchitectureError};
use slimfit_quantity::NumberFormat;

impl Architecture {
    /// Key and value numbers that one token adds over all layers, a looped layer once for each pass.
    ///
    /// # Panics
    /// When the count overflows 64 bits, which [`Architecture::validate`] refuses.
    pub fn kv_values_per_token(&self) -> u64 {
        self.kv_tally().total().expect("a validated architecture has a KV cache within 64 bits")
    }

    /// Bytes that one token adds to the cache while no window is full.
    ///
    /// # Errors
    /// [`ArchitectureError::PartialBlock`] when a head is no whole number of blocks,
    /// [`ArchitectureError::Overflow`] past 64 bits.
    pub fn kv_bytes_per_token(&self, kv: NumberFormat) -> Result<u64, ArchitectureError> {
        self.kv_cache_bytes(kv, 1)
    }

    /// Bytes of a cache that holds `context` tokens; a layer with a window never holds more than its window.
    ///
    /// # Errors
    /// [`ArchitectureError::PartialBlock`] when a head is no whole number of blocks,
    /// [`ArchitectureError::Overflow`] past 64 bits.
    pub fn kv_cache_bytes(&self, kv: NumberFormat, context: u64) -> Result<u64, ArchitectureError> {
        let mut bytes = Tally::new();
        let mut partial = None;
        self.each_executed_run(|times, run| {
            let attention = &run.attention;
            let held = attention.window.unwrap_or(context).min(context);
            let mut each = Tally::new();
            match kv.bytes_for(attention.head_size) {
                Ok(head) => each.add([2, attention.kv_heads, head, held]),
                Err(_) => partial = Some(attention.head_size),
            }
            bytes.add_tally(times, each);
        });
        if let Some(columns) = partial {
            let (tensor, block) = ("kv_cache".to_owned(), kv.block_values());
            return Err(ArchitectureError::PartialBlock { tensor, columns, format: kv, block });
        }
        bytes.total().ok_or(ArchitectureError::Overflow { what: "the bytes of its KV cache" })
    }

    pub(crate) fn kv_tally(&self) -> Tally {
        let mut values = Tally::new();
        self.each_executed_run(|times, run| {
            values.add([times, 2, run.attention.kv_heads, run.attention.head_size]);
        });
        values
    }
}
