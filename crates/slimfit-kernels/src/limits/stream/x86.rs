//! Copies and triads in 256-bit and 512-bit vectors: the same loops over two vector types.

macro_rules! streams {
    ($module:ident, $tier:literal, $lanes:literal,
     $load:ident, $store:ident, $set:ident, $fma:ident) => {
        pub(super) mod $module {
            #![doc = concat!("Vectors of ", stringify!($lanes), " words.")]

            use std::arch::x86_64::*;

            #[target_feature(enable = $tier)]
            pub(in crate::limits::stream) fn copy(to: &mut [f64], from: &[f64]) {
                const STEP: usize = 4 * $lanes;
                let (to_turns, to_rest) = to.as_chunks_mut::<STEP>();
                let (from_turns, from_rest) = from.as_chunks::<STEP>();
                for (to, from) in to_turns.iter_mut().zip(from_turns) {
                    for vector in 0..4 {
                        // SAFETY: a turn holds 4 vectors.
                        let words = unsafe { $load(from.as_ptr().add(vector * $lanes)) };
                        // SAFETY: as above.
                        unsafe { $store(to.as_mut_ptr().add(vector * $lanes), words) };
                    }
                }
                for (to, from) in to_rest.iter_mut().zip(from_rest) {
                    *to = *from;
                }
            }

            #[target_feature(enable = $tier)]
            pub(in crate::limits::stream) fn triad(to: &mut [f64], b: &[f64], c: &[f64], s: f64) {
                const STEP: usize = 4 * $lanes;
                let factor = $set(s);
                let (to_turns, to_rest) = to.as_chunks_mut::<STEP>();
                let ((b_turns, b_rest), (c_turns, c_rest)) = (b.as_chunks::<STEP>(), c.as_chunks::<STEP>());
                for ((to, b), c) in to_turns.iter_mut().zip(b_turns).zip(c_turns) {
                    for vector in 0..4 {
                        // SAFETY: a turn holds 4 vectors.
                        let left = unsafe { $load(b.as_ptr().add(vector * $lanes)) };
                        // SAFETY: as above.
                        let right = unsafe { $load(c.as_ptr().add(vector * $lanes)) };
                        // SAFETY: as above.
                        unsafe { $store(to.as_mut_ptr().add(vector * $lanes), $fma(factor, right, left)) };
                    }
                }
                for ((to, b), c) in to_rest.iter_mut().zip(b_rest).zip(c_rest) {
                    *to = s.mul_add(*c, *b);
                }
            }
        }
    };
}

streams!(avx2, "avx2,fma", 4, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_set1_pd, _mm256_fmadd_pd);
streams!(avx512, "avx512f,avx2,fma", 8, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_set1_pd, _mm512_fmadd_pd);
