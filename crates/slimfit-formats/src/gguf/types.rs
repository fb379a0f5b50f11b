//! The tensor types of GGUF: how many values a block has and how many bytes.

use slimfit_quantity::NumberFormat;

/// A tensor type by its number in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GgufType {
    /// The number in the file.
    pub id: u32,
    /// The name, as its tools print it, in lower case.
    pub name: &'static str,
    /// Values per block.
    pub block_values: u64,
    /// Bytes per block.
    pub block_bytes: u64,
}

// The formats that only ever hold intermediate values (q8_1, q8_k) are not stored in files.
const TYPES: [(u32, &str, u64, u64); 30] = [
    (0, "f32", 1, 4),
    (1, "f16", 1, 2),
    (2, "q4_0", 32, 18),
    (3, "q4_1", 32, 20),
    (6, "q5_0", 32, 22),
    (7, "q5_1", 32, 24),
    (8, "q8_0", 32, 34),
    (10, "q2_k", 256, 84),
    (11, "q3_k", 256, 110),
    (12, "q4_k", 256, 144),
    (13, "q5_k", 256, 176),
    (14, "q6_k", 256, 210),
    (16, "iq2_xxs", 256, 66),
    (17, "iq2_xs", 256, 74),
    (18, "iq3_xxs", 256, 98),
    (19, "iq1_s", 256, 50),
    (20, "iq4_nl", 32, 18),
    (21, "iq3_s", 256, 110),
    (22, "iq2_s", 256, 82),
    (23, "iq4_xs", 256, 136),
    (24, "i8", 1, 1),
    (25, "i16", 1, 2),
    (26, "i32", 1, 4),
    (27, "i64", 1, 8),
    (28, "f64", 1, 8),
    (29, "iq1_m", 256, 56),
    (30, "bf16", 1, 2),
    (34, "tq1_0", 256, 54),
    (35, "tq2_0", 256, 66),
    (39, "mxfp4", 32, 17),
];

impl GgufType {
    /// The type of this number, where it is known.
    pub fn from_id(id: u32) -> Option<Self> {
        let row = TYPES.iter().find(|row| row.0 == id)?;
        Some(Self { id, name: row.1, block_values: row.2, block_bytes: row.3 })
    }

    /// The type of this name, where it is known.
    pub fn named(name: &str) -> Option<Self> {
        let row = TYPES.iter().find(|row| row.1 == name)?;
        Some(Self { id: row.0, name: row.1, block_values: row.2, block_bytes: row.3 })
    }

    /// The same as a format that slimfit computes in, where it is one.
    pub fn number_format(self) -> Option<NumberFormat> {
        NumberFormat::ALL.into_iter().find(|format| format.name() == self.name)
    }

    /// The number of a format in the file.
    pub fn of(format: NumberFormat) -> Self {
        let row = TYPES.iter().find(|row| row.1 == format.name()).expect("every format is a GGUF type");
        Self { id: row.0, name: row.1, block_values: row.2, block_bytes: row.3 }
    }
}
