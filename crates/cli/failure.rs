//! Errors as the user sees them: a sentence on stderr or one JSON object on stdout, and the exit code.

use crate::output::note;
use slimfit_cost::CostError;
use slimfit_document::{DocumentError, ERROR_SCHEMA, ErrorDetails};
use slimfit_emit::EmitError;
use slimfit_formats::FormatsError;
use slimfit_hardware::HardwareError;
use slimfit_kernels::ISA_VARIABLE;
use slimfit_kernels::pool::PoolError;
use slimfit_quality::QualityError;
use slimfit_report::ReportError;
use slimfit_runtime::RuntimeError;
use slimfit_search::SearchError;
use slimfit_study::StudyError;
use slimfit_workflow::WorkflowError;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

const USAGE: u8 = 2;
const INTERNAL: u8 = 70;

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub enum Failure {
    /// Bad usage, input or environment.
    Refused(DocumentError),
    /// A broken promise of ours.
    Internal(String),
    /// The user asked to stop.
    Interrupted,
    /// The reader of our output has gone; it got what it wanted.
    BrokenPipe,
}

impl Failure {
    /// Something about the machine or its files.
    pub fn environment(code: &str, message: impl Into<String>) -> Self {
        Self::Refused(DocumentError::new(code, message))
    }

    /// What a library says, with a hint on a line of its own taken apart.
    pub fn sentence(code: &str, error: &dyn std::error::Error) -> Self {
        let text = error.to_string();
        let (message, hint) = text.split_once('\n').map_or((text.as_str(), None), |(message, hint)| {
            (message, Some(hint.trim_start_matches("hint: ").to_owned()))
        });
        Self::Refused(DocumentError::new(code, message).maybe_hint(hint))
    }

    /// A broken promise of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::Internal(message.into())
    }

    fn details(&self) -> ErrorDetails {
        match self {
            Self::Refused(error) => (**error).clone(),
            Self::Internal(message) => internal_details(message),
            Self::Interrupted => plain("interrupted", "interrupted", Some("run the same command again")),
            Self::BrokenPipe => plain("broken-pipe", "the reader of standard output has gone", None),
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => USAGE,
            Self::Internal(_) => INTERNAL,
            Self::Interrupted => crate::interrupt::EXIT_CODE,
            Self::BrokenPipe => 0,
        }
    }
}

impl From<DocumentError> for Failure {
    fn from(error: DocumentError) -> Self {
        let code = error.code.replace('_', "-");
        Self::Refused(error.code(code))
    }
}

impl From<WorkflowError> for Failure {
    fn from(error: WorkflowError) -> Self {
        match error {
            WorkflowError::Interrupted => Self::Interrupted,
            WorkflowError::Document(error)
            | WorkflowError::Hardware(HardwareError::Document(error))
            | WorkflowError::Search(SearchError::Document(error))
            | WorkflowError::Emit(EmitError::Document(error))
            | WorkflowError::Search(SearchError::Journal(StudyError::Document(error)))
            | WorkflowError::Study(StudyError::Document(error)) => error.into(),
            WorkflowError::Search(SearchError::Journal(error)) => study(&error),
            WorkflowError::Formats(error) | WorkflowError::Emit(EmitError::Formats(error)) => {
                error.into_document().into()
            }
            WorkflowError::Architecture(error) => FormatsError::Architecture(error).into_document().into(),
            WorkflowError::Hardware(error) => Self::sentence("other-machine", &error),
            WorkflowError::Search(error) => Self::sentence("search", &error),
            WorkflowError::Quality(error) => error.into_document().into(),
            WorkflowError::Cost(CostError::Threads { found, measured }) => {
                let error =
                    DocumentError::new("cost", "the hardware profile knows no times with so many threads");
                let error = error.field("--threads").found(found).allowed(measured);
                error.hint("`slimfit profile` measures the machine's own counts").into()
            }
            WorkflowError::Cost(error @ CostError::NoPower { .. }) => {
                let error = DocumentError::new("cost", error.to_string());
                error.hint("`--power-watts IDLE,LOADED` gives the watts").into()
            }
            WorkflowError::Cost(error) => Self::sentence("cost", &error),
            WorkflowError::Probe(error) => Self::sentence("probe", &error),
            WorkflowError::Runtime(error @ RuntimeError::OutOfMemory { .. }) => {
                Self::sentence("out-of-memory", &error)
            }
            WorkflowError::Runtime(error) => Self::sentence("runtime", &error),
            WorkflowError::EngineRefused { .. } => Self::sentence("engine-refused", &error),
            WorkflowError::Emit(error) => Self::sentence("emit", &error),
            WorkflowError::Study(error) => study(&error),
            WorkflowError::Pool(PoolError::TooManyThreads { found, allowed }) => {
                let error =
                    DocumentError::new("workflow", "more threads than slimfit runs").field("--threads");
                error.found(found).allowed(format!("1 to {allowed}")).into()
            }
            WorkflowError::Isa(error) => {
                DocumentError::new("workflow", error.to_string()).field(ISA_VARIABLE).into()
            }
            other => Self::sentence("workflow", &other),
        }
    }
}

macro_rules! through_workflow {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                WorkflowError::from(error).into()
            }
        }
    )*};
}

through_workflow!(
    slimfit_arch::ArchitectureError,
    CostError,
    EmitError,
    FormatsError,
    HardwareError,
    slimfit_kernels::IsaError,
    PoolError,
    slimfit_probe::ProbeError,
    QualityError,
    RuntimeError,
    SearchError,
    StudyError
);

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Study(error) => error.into(),
            ReportError::Document(error) => error.into(),
            other => Self::sentence("report", &other),
        }
    }
}

/// What is wrong with a study, and what to do about it.
fn study(error: &StudyError) -> Failure {
    let of = |code: &str, path: &Path, message: &str| {
        DocumentError::new(code, message).file(path.display().to_string())
    };
    let refused = match error {
        StudyError::Full(path) => of("disk-full", path, "the disk is full; what was finished before is whole")
            .hint("free some space and run the same command again"),
        StudyError::Refused(path) => of(
            "write-failed",
            path,
            "the system refuses to write: a file-size limit, a quota or a failing disk; what was finished before is whole",
        )
        .hint("`ulimit -f` shows the limit and `quota` the quota; make room and run the same command again"),
        StudyError::Io { path, source }
            if matches!(source.kind(), ErrorKind::AlreadyExists | ErrorKind::NotADirectory) =>
        {
            of("write-failed", path, "a file lies where the folder of the study should be")
                .hint("name another folder")
        }
        StudyError::Io { path, source }
            if matches!(source.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) =>
        {
            of("write-failed", path, UNWRITABLE).hint(UNWRITABLE_HINT)
        }
        StudyError::ReadOnly(path) => of("write-failed", path, UNWRITABLE).hint(UNWRITABLE_HINT),
        StudyError::Busy(path) => of("study-busy", path, "another process holds the study")
            .hint("wait until it is done, or end it; nothing of the study is lost"),
        StudyError::NotAStudy(path) => of("study", path, "this file is no study of slimfit")
            .hint("name another folder, or move the file away"),
        StudyError::Newer { path, found, known } => {
            of("study-version", path, "the study was written by a newer version of slimfit")
                .field("user_version")
                .found(found)
                .allowed(format!("1 to {known}"))
                .hint("read it with that version, or search into another folder; this file stays as it is")
        }
        StudyError::Damaged { path, problem } => of("study-damaged", path, &format!("the study is damaged: {problem}"))
            .hint("`front.json` and `front.csv` beside it are whole; search again into another folder"),
        other => return Failure::sentence("study", other),
    };
    refused.into()
}

const UNWRITABLE: &str = "the folder of the study cannot be written";
const UNWRITABLE_HINT: &str = "choose another folder with `--out`, or change its permissions";

/// Tells the user, and gives the exit code.
pub fn report(failure: &Failure, json: bool) -> ExitCode {
    match failure {
        Failure::BrokenPipe => {}
        _ if json => print_object(&failure.details()),
        Failure::Refused(error) => note(&format!("error: {error}")),
        Failure::Internal(message) => note(&internal_sentence(message)),
        Failure::Interrupted => {
            note("interrupted; what was finished is kept, run the same command again to go on")
        }
    }
    ExitCode::from(failure.exit_code())
}

/// A wrong command line; `--help` and `--version` come this way too.
pub fn usage(error: &clap::Error, json: bool) -> ExitCode {
    use clap::error::ErrorKind;
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if json {
        print_object(&usage_details(error));
    } else {
        let _ = error.print();
    }
    ExitCode::from(USAGE)
}

fn usage_details(error: &clap::Error) -> ErrorDetails {
    use clap::error::{ContextKind, ContextValue};
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let message = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let context = |kind| error.get(kind).map(ToString::to_string);
    let tip = lines.find_map(|line| line.strip_prefix("tip: ").map(str::to_owned));
    let allowed = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) if !values.is_empty() => Some(values.join(", ")),
        _ => None,
    };
    ErrorDetails {
        code: "usage".to_owned(),
        message,
        field: context(ContextKind::InvalidArg),
        found: context(ContextKind::InvalidValue),
        allowed,
        hint: tip.or_else(|| Some("`--help` lists what there is".to_owned())),
        ..ErrorDetails::default()
    }
}

/// A panic is our bug: one plain sentence, and an exit code of its own.
pub fn install_panic_hook(json: bool) {
    std::panic::set_hook(Box::new(move |info| {
        let what = info
            .payload()
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| info.payload().downcast_ref::<String>().cloned())
            .unwrap_or_default();
        let place =
            info.location().map_or_else(String::new, |place| format!(" ({}:{})", place.file(), place.line()));
        let message = format!("{what}{place}");
        if json {
            print_object(&internal_details(&message));
        } else {
            note(&internal_sentence(&message));
        }
        // Other threads may wait for the one that panicked: nothing good comes of unwinding.
        std::process::exit(i32::from(INTERNAL));
    }));
}

fn internal_sentence(message: &str) -> String {
    format!(
        "error: slimfit broke a promise of its own: {message}\nhint: this is a bug; please report it with the command you ran"
    )
}

fn internal_details(message: &str) -> ErrorDetails {
    plain("internal", message, Some("this is a bug; please report it with the command you ran"))
}

fn plain(code: &str, message: &str, hint: Option<&str>) -> ErrorDetails {
    ErrorDetails {
        code: code.to_owned(),
        message: message.to_owned(),
        hint: hint.map(str::to_owned),
        ..ErrorDetails::default()
    }
}

fn print_object(details: &ErrorDetails) {
    let object = serde_json::json!({ "schema": ERROR_SCHEMA, "error": details });
    let _ = writeln!(std::io::stdout().lock(), "{object}");
}
