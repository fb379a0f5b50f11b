//! OpenBLAS, where the system has it: loaded when asked for, so that nothing depends on it.
#![expect(unsafe_code, reason = "functions of a library that is loaded while the program runs")]

use crate::product::Size;
use libloading::Library;

/// The names under which systems have it.
const NAMES: [&str; 3] = ["libopenblas.so.0", "libopenblas.so", "libopenblas.dylib"];

const ROW_MAJOR: i32 = 101;
const NOT_TRANSPOSED: i32 = 111;
const TRANSPOSED: i32 = 112;

/// `cblas_sgemm`: order, transpositions of A and B, m, n, k, alpha, A, its stride, B, its stride, beta, C, its stride.
type Sgemm = unsafe extern "C" fn(
    i32,
    i32,
    i32,
    i32,
    i32,
    i32,
    f32,
    *const f32,
    i32,
    *const f32,
    i32,
    f32,
    *mut f32,
    i32,
);
/// `cblas_sgemv`: order, transposition, m, n, alpha, A, its stride, x, its step, beta, y, its step.
type Sgemv =
    unsafe extern "C" fn(i32, i32, i32, i32, f32, *const f32, i32, *const f32, i32, f32, *mut f32, i32);
type SetThreads = unsafe extern "C" fn(i32);

/// The library's functions.
pub struct OpenBlas {
    sgemm: Sgemm,
    sgemv: Sgemv,
    set_threads: SetThreads,
    /// Keeps the functions where they are.
    _library: Library,
}

impl OpenBlas {
    /// The library, if this system has it with the functions needed. To be called before a pool is made on this thread:
    /// its own threads take over the processors that this one may use.
    pub fn load() -> Option<Self> {
        NAMES.iter().find_map(|name| {
            // SAFETY: loading it runs its own start-up code, which only starts its threads.
            let library = unsafe { Library::new(*name) }.ok()?;
            // SAFETY: these are the signatures of the C interface to BLAS with 32-bit integers, which a library of this
            // name has.
            unsafe {
                let sgemm = *library.get::<Sgemm>(b"cblas_sgemm\0").ok()?;
                let sgemv = *library.get::<Sgemv>(b"cblas_sgemv\0").ok()?;
                let set_threads = *library.get::<SetThreads>(b"openblas_set_num_threads\0").ok()?;
                Some(Self { sgemm, sgemv, set_threads, _library: library })
            }
        })
    }

    /// Threads of the products after this.
    pub fn set_threads(&self, threads: usize) {
        // SAFETY: any count is right; the library takes at most those it has.
        unsafe { (self.set_threads)(whole(threads)) };
    }

    /// `y = x · Wᵀ` of `(tokens, columns)` and `(rows, columns)`, or, where `turned`, `y = x · W` of
    /// `(tokens, columns)` and `(columns, rows)`. One token is a product with a vector.
    ///
    /// # Panics
    /// When a length is wrong.
    pub fn product(&self, size: Size, turned: bool, x: &[f32], w: &[f32], y: &mut [f32]) {
        let Size { tokens, rows, columns } = size;
        assert_eq!((x.len(), w.len(), y.len()), (tokens * columns, rows * columns, tokens * rows));
        let [m, n, k] = [tokens, rows, columns].map(whole);
        let (matrix, vector) = if turned { ((k, n, n), TRANSPOSED) } else { ((n, k, k), NOT_TRANSPOSED) };
        let transposed = if turned { NOT_TRANSPOSED } else { TRANSPOSED };
        // SAFETY: the lengths, checked above, are those of the sizes given, row-major.
        unsafe {
            if tokens == 1 {
                let (x, w, y) = (x.as_ptr(), w.as_ptr(), y.as_mut_ptr());
                (self.sgemv)(ROW_MAJOR, vector, matrix.0, matrix.1, 1.0, w, matrix.2, x, 1, 0.0, y, 1);
            } else {
                let (x, w, y) = (x.as_ptr(), w.as_ptr(), y.as_mut_ptr());
                (self.sgemm)(
                    ROW_MAJOR,
                    NOT_TRANSPOSED,
                    transposed,
                    m,
                    n,
                    k,
                    1.0,
                    x,
                    k,
                    w,
                    matrix.2,
                    0.0,
                    y,
                    n,
                );
            }
        }
    }
}

fn whole(size: usize) -> i32 {
    i32::try_from(size).expect("sizes of the benchmark are small")
}
