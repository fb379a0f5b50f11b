//! Streams in 256-bit and 512-bit vectors: the same loops over two vector types.

macro_rules! streams {
    ($module:ident, $tier:literal, $vector:ty, $lanes:literal, $integer:ty,
     $load:ident, $store:ident, $set:ident, $fma:ident,
     $load_integer:ident, $store_integer:ident, $xor:ident, $zero:ident) => {
        pub(super) mod $module {
            #![doc = concat!("Vectors of ", stringify!($lanes), " words.")]

            use crate::limits::stream::{BLOCK, part_words, xor_bits};
            use std::arch::x86_64::*;

            /// Vectors loaded per turn of the loop, over all streams.
            const UNDER_WAY: usize = 8;

            #[target_feature(enable = $tier)]
            pub(in crate::limits::stream) fn read<const S: usize>(buffer: &[f64]) -> u64 {
                let part = part_words::<S>(buffer.len());
                let parts: [&[f64]; S] = std::array::from_fn(|stream| &buffer[stream * part..][..part]);
                let mut sums = [$zero(); UNDER_WAY];
                let step = UNDER_WAY / S * $lanes;
                for start in (0..part).step_by(step) {
                    for stream in 0..S {
                        for vector in 0..UNDER_WAY / S {
                            // SAFETY: `part` is a multiple of `BLOCK`, which `step` divides, so a turn that starts
                            // below `part` ends at or below it.
                            let words = unsafe {
                                $load_integer(parts[stream].as_ptr().add(start + vector * $lanes).cast())
                            };
                            let sum = &mut sums[stream * (UNDER_WAY / S) + vector];
                            *sum = $xor(*sum, words);
                        }
                    }
                }
                const { assert!(BLOCK.is_multiple_of(UNDER_WAY * $lanes)) };
                let all = sums.into_iter().fold($zero(), |all, sum| $xor(all, sum));
                let mut lanes = [0_u64; $lanes];
                // SAFETY: `lanes` is exactly as large as the vector.
                unsafe { $store_integer(lanes.as_mut_ptr().cast(), all) };
                lanes.into_iter().fold(xor_bits(&buffer[S * part..]), |bits, lane| bits ^ lane)
            }

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

streams!(
    avx2,
    "avx2,fma",
    __m256d,
    4,
    __m256i,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_set1_pd,
    _mm256_fmadd_pd,
    _mm256_loadu_si256,
    _mm256_storeu_si256,
    _mm256_xor_si256,
    _mm256_setzero_si256
);
streams!(
    avx512,
    "avx512f,avx2,fma",
    __m512d,
    8,
    __m512i,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    _mm512_set1_pd,
    _mm512_fmadd_pd,
    _mm512_loadu_si512,
    _mm512_storeu_si512,
    _mm512_xor_si512,
    _mm512_setzero_si512
);
