//! The cosines and sines of every position of a text.

use super::RotationTable;

/// Cosines and sines of every position, `(positions, rotated / 2)` each, in one allocation.
#[derive(Debug)]
pub struct Rotation {
    /// Cosines, then sines.
    values: Vec<f32>,
}

impl Rotation {
    /// Of pairs that turn by `frequencies` radians from one position to the next, times `magnitude`. Computed in f64, so that
    /// positions far out are exact to f32.
    pub fn new(frequencies: &[f64], magnitude: f64, positions: usize) -> Self {
        let half = positions * frequencies.len();
        let mut values = vec![0.0; 2 * half];
        let (cosines, sines) = values.split_at_mut(half);
        let pairs = frequencies.len().max(1);
        let rows = cosines.chunks_exact_mut(pairs).zip(sines.chunks_exact_mut(pairs));
        for (position, (cosines, sines)) in rows.enumerate() {
            for ((cosine, sine), frequency) in cosines.iter_mut().zip(sines).zip(frequencies) {
                let (sin, cos) = (position as f64 * frequency).sin_cos();
                *cosine = (magnitude * cos) as f32;
                *sine = (magnitude * sin) as f32;
            }
        }
        Self { values }
    }

    /// What the kernels see of it.
    pub fn table(&self) -> RotationTable<'_> {
        let (cosines, sines) = self.values.split_at(self.values.len() / 2);
        RotationTable { cosines, sines }
    }
}
