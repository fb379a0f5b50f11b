//! The inputs of a study, from the copies that lie in its folder.

use crate::WorkflowError;
use slimfit_cost::{CostError, CostModel, Engine, EngineOptions};
use slimfit_document::{Document, DocumentError};
use slimfit_formats::{Loader, load_model};
use slimfit_hardware::HardwareProfile;
use slimfit_quality::{Anchor, Assumption, QualityError, QualityModel, Recipe, TrainingPlan, TrainingRate};
use slimfit_search::{Metric, Space, Workload};
use slimfit_study::{Front, InputKind, SearchHead, Study};

/// What a study was made of.
pub(super) struct StudyInputs {
    /// One for each device that the front's models are chosen for.
    pub(super) profiles: Vec<HardwareProfile>,
    pub(super) space: Space,
    pub(super) workload: Workload,
    pub(super) recipe: Recipe,
    pub(super) training: TrainingPlan,
    anchors: Vec<Anchor>,
    engine: Engine,
    options: EngineOptions,
}

impl StudyInputs {
    pub(super) fn read(study: &Study, front: &Front) -> Result<Self, WorkflowError> {
        let head = &front.head;
        let copy = |kind: InputKind| study.input(kind).display().to_string();
        let assume = head.assume.iter().map(|name| Assumption::named(name)).collect::<Result<Vec<_>, _>>()?;
        let engine = Engine::named(&head.engine)?;
        // Another runtime's prefill is priced only where it was allowed, and then it is an objective or a limit.
        let names = head.objectives.iter().map(|objective| &objective.name);
        let mut names = names.chain(head.constraints.iter().map(|constraint| &constraint.name));
        let allow_class_prefill = engine != Engine::Slimfit && names.any(|name| name.starts_with("ttft"));
        let anchors = head.anchors.iter().map(|anchor| -> Result<Anchor, WorkflowError> {
            Ok(Anchor {
                model: anchor.model.clone(),
                architecture: load_model(&anchor.model)?.architecture,
                tokens: anchor.tokens,
                task: anchor.task.clone(),
                percent: anchor.percent,
            })
        });
        let mut training = TrainingPlan::default();
        if let Some(counted) = &head.training {
            training.context_tokens = counted.context_tokens;
            training.rate = counted.flops_per_s.map(|flops_per_s| TrainingRate {
                flops_per_s,
                gpus: counted.gpus.unwrap_or(1),
                price_per_gpu_hour: counted.price_per_gpu_hour,
            });
        }
        let profiles = (0..head.profiles.len().max(1))
            .map(|place| HardwareProfile::load(study.input_of(InputKind::Profile, place)));
        Ok(Self {
            profiles: profiles.collect::<Result<_, _>>()?,
            space: held(Space::from_document(&Document::read(copy(InputKind::Space))?, &assume)?, head)?,
            workload: Workload::from_document(&Document::read(copy(InputKind::Workload))?)?,
            recipe: Recipe::from_document(&Document::read(copy(InputKind::Recipe))?)?,
            training,
            anchors: anchors.collect::<Result<_, _>>()?,
            engine,
            options: EngineOptions { allow_class_prefill },
        })
    }

    pub(super) fn costs(&self) -> Result<Vec<CostModel>, CostError> {
        let each = self.profiles.iter();
        each.map(|profile| CostModel::for_engine(profile, self.engine, self.options)).collect()
    }

    pub(super) fn quality(&self) -> Result<QualityModel, QualityError> {
        QualityModel::new(self.recipe.clone()).anchored(&self.anchors)
    }

    /// The objectives of the front, which its recipe must know.
    pub(super) fn objectives(&self, front: &Front) -> Result<Vec<Metric>, DocumentError> {
        Metric::recorded(&front.head.objectives, &self.recipe).map_err(|name| {
            let error = DocumentError::new("study", "the front has an objective that is not known");
            error.field("objectives").found(format!("`{name}`"))
        })
    }
}

/// The space, held to the loaders that the search held it to.
fn held(space: Space, head: &SearchHead) -> Result<Space, WorkflowError> {
    let Some(names) = &head.portable else {
        // Earlier versions asked nothing where the file said nothing.
        return Ok(if space.says_portable() { space } else { space.held_by(Vec::new())? });
    };
    let loader = |name: &String| {
        Loader::named(name).ok_or_else(|| {
            let error = DocumentError::new("study", "the front has a loader that is not known");
            let allowed = Loader::ALL.map(Loader::name).join(", ");
            error.field("portable").found(format!("`{name}`")).allowed(allowed)
        })
    };
    Ok(space.held_by(names.iter().map(loader).collect::<Result<_, _>>()?)?)
}
