//! What can stop a loop over several rooms.

use slimfit_document::DocumentError;

/// Errors of this crate: those of the rooms below, and a few of its own.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A model cannot be found or read.
    #[error(transparent)]
    Formats(#[from] slimfit_formats::FormatsError),
    /// A hardware profile is damaged or of another machine.
    #[error(transparent)]
    Hardware(#[from] slimfit_hardware::HardwareError),
    /// The device cannot be measured.
    #[error(transparent)]
    Probe(#[from] slimfit_probe::ProbeError),
    /// A model cannot be priced.
    #[error(transparent)]
    Cost(#[from] slimfit_cost::CostError),
    /// A model's quality cannot be predicted.
    #[error(transparent)]
    Quality(#[from] slimfit_quality::QualityError),
    /// A search cannot be made.
    #[error(transparent)]
    Search(#[from] slimfit_search::SearchError),
    /// A model cannot be planned.
    #[error(transparent)]
    Plan(#[from] slimfit_plan::PlanError),
    /// A model cannot be run.
    #[error(transparent)]
    Runtime(#[from] slimfit_runtime::RuntimeError),
    /// A point cannot be written.
    #[error(transparent)]
    Emit(#[from] slimfit_emit::EmitError),
    /// A study cannot be read or written.
    #[error(transparent)]
    Study(#[from] slimfit_study::StudyError),
    /// A count or format that cannot be.
    #[error(transparent)]
    Architecture(#[from] slimfit_arch::ArchitectureError),
    /// The instruction set asked for is not here.
    #[error(transparent)]
    Isa(#[from] slimfit_kernels::IsaError),
    /// A kernel cannot be run or chosen.
    #[error(transparent)]
    Kernel(#[from] slimfit_kernels::KernelError),
    /// Threads cannot be started.
    #[error(transparent)]
    Pool(#[from] slimfit_kernels::pool::PoolError),
    /// Another runtime says that it cannot run this.
    #[error("engine command `{command}`: the engine cannot run this: {reason}")]
    EngineRefused {
        /// The command.
        command: String,
        /// The engine's own sentence.
        reason: String,
    },
    /// There is nothing to run or to go on with.
    #[error("`{space}` holds nothing to run: {reason}")]
    NothingToRun {
        /// The space.
        space: String,
        /// Why.
        reason: String,
    },
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}
