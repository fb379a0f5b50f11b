//! An emitted crate, built and loaded.
#![expect(unsafe_code, reason = "functions of a library that is loaded while the program runs")]

use anyhow::{Context, Result, bail, ensure};
use libloading::Library;
use slimfit_arch::Architecture;
use slimfit_emit::card::CardFacts;
use slimfit_emit::kernels::KernelCrate;
use slimfit_kernels::{Isa, Tuning};
use slimfit_plan::Plan;
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

type Open = unsafe extern "C" fn(*const c_char, usize) -> *mut c_void;
type Error = unsafe extern "C" fn() -> *const c_char;
type Seeded = unsafe extern "C" fn(u64, usize) -> *mut c_void;
type DecodeStep = unsafe extern "C" fn(*mut c_void, u32) -> *const f32;
type Prefill = unsafe extern "C" fn(*mut c_void, *const u32, usize) -> *const f32;
type Plain = unsafe extern "C" fn(*mut c_void);

/// The functions of its C interface.
pub struct EmittedLibrary {
    open: Open,
    error: Error,
    seeded: Seeded,
    decode_step: DecodeStep,
    prefill: Prefill,
    reset: Plain,
    close: Plain,
    /// Keeps the functions where they are.
    _library: Library,
}

/// A model of it.
pub struct Opened<'a> {
    library: &'a EmittedLibrary,
    model: *mut c_void,
}

impl EmittedLibrary {
    /// Writes the crate for a plan, builds it and loads it.
    ///
    /// # Errors
    /// It cannot be written, does not build, or lacks a function.
    pub fn build(
        name: &str,
        architecture: &Architecture,
        plan: &Plan,
        tier: Isa,
        tuning: &Tuning,
    ) -> Result<Self> {
        let emitted = KernelCrate {
            name,
            title: name,
            architecture,
            plan,
            tier,
            tuning,
            family: "llama",
            device: "this machine",
            facts: &CardFacts::default(),
            command: "cargo xtask bench emit",
        };
        let crate_name = emitted.crate_name()?;
        let folder = tempfile::tempdir()?;
        for file in emitted.files()? {
            let path = folder.path().join(&file.path);
            std::fs::create_dir_all(path.parent().unwrap_or(folder.path()))?;
            std::fs::write(path, file.text)?;
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the workspace")?;
        // The versions that the workspace has, which are at hand.
        std::fs::copy(root.join("Cargo.lock"), folder.path().join("Cargo.lock"))?;
        eprintln!("building {crate_name} in {} for {} threads", plan.options.weights, plan.options.threads);
        let target = root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
        let target = target.join("emitted-kernels");
        let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--release", "--offline", "--quiet"])
            .current_dir(folder.path())
            .env("CARGO_TARGET_DIR", &target)
            .output()
            .context("cargo cannot be started")?;
        ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let file = format!("{}{crate_name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
        // Under a name of its own: a library that is loaded already would be found again.
        let copy = folder.path().join(format!("{}-{}-{file}", plan.options.weights, plan.options.threads));
        std::fs::copy(target.join("release").join(&file), &copy)?;
        // SAFETY: it was built from what this program wrote, and has no start-up code.
        let library = unsafe { Library::new(&copy) }?;
        let symbol = |function: &str| format!("{crate_name}_{function}\0");
        // SAFETY: these are the signatures that the crate declares.
        unsafe {
            Ok(Self {
                open: *library.get::<Open>(symbol("open").as_bytes())?,
                error: *library.get::<Error>(symbol("error").as_bytes())?,
                seeded: *library.get::<Seeded>(symbol("seeded").as_bytes())?,
                decode_step: *library.get::<DecodeStep>(symbol("decode_step").as_bytes())?,
                prefill: *library.get::<Prefill>(symbol("prefill").as_bytes())?,
                reset: *library.get::<Plain>(symbol("reset").as_bytes())?,
                close: *library.get::<Plain>(symbol("close").as_bytes())?,
                _library: library,
            })
        }
    }

    /// A model with the weights of a GGUF file, or with random ones.
    ///
    /// # Errors
    /// The crate refuses.
    pub fn open(&self, weights: Option<&Path>, threads: usize) -> Result<Opened<'_>> {
        let model = match weights {
            None => {
                // SAFETY: any seed and any count of threads are right.
                unsafe { (self.seeded)(1, threads) }
            }
            Some(path) => {
                let path = CString::new(path.to_string_lossy().as_bytes()).context("a path")?;
                // SAFETY: the path ends in 0.
                unsafe { (self.open)(path.as_ptr(), threads) }
            }
        };
        ensure!(!model.is_null(), "the emitted crate cannot hold its model: {}", self.reason());
        Ok(Opened { library: self, model })
    }

    /// Why the last call of this thread failed.
    fn reason(&self) -> String {
        // SAFETY: the crate returns a string that ends in 0, valid until the next failure of this thread.
        unsafe { CStr::from_ptr((self.error)()) }.to_string_lossy().into_owned()
    }
}

/// What a model is asked to run, from an empty text.
pub enum Request {
    /// Token by token, after others whose time does not count.
    Decode {
        /// Those before, all at once.
        before: Vec<u32>,
        /// Those that are timed.
        tokens: Vec<u32>,
    },
    /// All at once.
    Prefill(Vec<u32>),
}

/// Answers requests with the seconds that each took, until there are none. To be called on a thread that no pool has pinned:
/// the crate's pool would take the one CPU of a pinned thread for all that there are.
///
/// # Errors
/// The crate refuses.
pub fn serve(
    library: &EmittedLibrary,
    weights: Option<&Path>,
    threads: usize,
    requests: &Receiver<Request>,
    answers: &Sender<Result<f64>>,
) -> Result<()> {
    let mut model = library.open(weights, threads)?;
    for request in requests {
        if answers.send(model.timed(&request)).is_err() {
            break;
        }
    }
    Ok(())
}

impl Opened<'_> {
    /// Runs a request; the seconds that it took.
    fn timed(&mut self, request: &Request) -> Result<f64> {
        self.reset();
        if let Request::Decode { before, .. } = request
            && !before.is_empty()
        {
            self.prefill(before)?;
        }
        let start = Instant::now();
        match request {
            Request::Decode { tokens, .. } => tokens.iter().try_for_each(|&token| self.decode_step(token))?,
            Request::Prefill(tokens) => self.prefill(tokens)?,
        }
        Ok(start.elapsed().as_secs_f64())
    }

    /// Forgets the text.
    pub fn reset(&mut self) {
        // SAFETY: the model is open, on this thread.
        unsafe { (self.library.reset)(self.model) };
    }

    /// One token.
    ///
    /// # Errors
    /// The crate refuses it.
    pub fn decode_step(&mut self, token: u32) -> Result<()> {
        // SAFETY: the model is open, on this thread.
        if unsafe { (self.library.decode_step)(self.model, token) }.is_null() {
            bail!("the emitted crate refuses token {token}: {}", self.library.reason());
        }
        Ok(())
    }

    /// Several tokens.
    ///
    /// # Errors
    /// The crate refuses them.
    pub fn prefill(&mut self, tokens: &[u32]) -> Result<()> {
        // SAFETY: the model is open, on this thread, and there are so many tokens.
        if unsafe { (self.library.prefill)(self.model, tokens.as_ptr(), tokens.len()) }.is_null() {
            bail!("the emitted crate refuses {} tokens: {}", tokens.len(), self.library.reason());
        }
        Ok(())
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        // SAFETY: the model is open, and not used again.
        unsafe { (self.library.close)(self.model) };
    }
}
