use super::layer::{Family, Layers};
use super::model::Trunk;
use super::problems::{Posed, Trial};
use super::quantity::{Quantity, quantities};
use super::{LayerOptions, search_layers};
use crate::testing::profile::synthetic;
use crate::testing::uneven::uneven;
use crate::testing::{World, layered_space};
use crate::{Metric, SearchOptions};

const FAMILY: Family = Family { frame: 0, weights: 0, kv: 0, vocabulary: 0 };
const TRUNK: Trunk = Trunk { layers: 12, tied: true };

/// The problems of the space on a device.
fn problems(bandwidth: &[f64], barrier_seconds: f64, objectives: &[Metric]) -> Vec<Posed> {
    let space = layered_space("");
    let world = World::on(&uneven(bandwidth, barrier_seconds));
    let evaluator = world.evaluator(&space, objectives);
    let mut layers = Layers::new(&space, &evaluator, FAMILY).unwrap();
    let census = layers.census(&space, &evaluator, FAMILY, TRUNK).unwrap();
    let mut trial = Trial {
        space: &space,
        evaluator: &evaluator,
        layers: &mut layers,
        allowed: &census.layers,
        trunk: TRUNK,
        vocabulary: 0,
        asked: &quantities(objectives, false),
        limits: &[],
    };
    trial.pose().unwrap().into_iter().flat_map(|posing| posing.exact.unwrap()).collect()
}

/// How many problems leave out models of smaller working sets, and how many those of larger ones.
fn bounded(problems: &[Posed]) -> (usize, usize) {
    let ends = |posed: &Posed| {
        let place = posed.quantities.iter().position(|quantity| *quantity == Quantity::WorkingSet);
        let limit = posed.problem.limits.iter().find(|limit| Some(limit.quantity) == place);
        limit.map_or((0, 0), |limit| (usize::from(limit.least.is_some()), usize::from(limit.most.is_some())))
    };
    problems.iter().map(ends).fold((0, 0), |sum, ends| (sum.0 + ends.0, sum.1 + ends.1))
}

#[test]
fn models_of_other_working_sets_are_left_out_only_where_they_would_be_charged_too_little() {
    let times = [Metric::Loss, Metric::TtftSeconds, Metric::TpotSeconds];
    let falling = problems(&[1.0; 11], 1e-7, &times);
    assert!(falling.len() > 3, "{}", falling.len());
    assert_eq!(bounded(&falling), (0, falling.len() - 1));
    let rising = problems(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.5, 2.0, 2.5, 3.0], 1e-7, &times);
    assert!(rising.len() > 3, "{}", rising.len());
    assert_eq!(bounded(&rising), (rising.len() - 1, 0));
    // Where barriers make one thread the fastest for small models alone, those wait longer for their prompts than two threads do
    // for those of large ones.
    let barriers: Vec<f64> = (0..9).map(|step| 1e-5 * 1.5_f64.powi(step)).collect();
    assert!(barriers.iter().any(|seconds| bounded(&problems(&[1.0; 11], *seconds, &times)).0 > 0));
    for seconds in barriers {
        let without_prompt = problems(&[1.0; 11], seconds, &[Metric::Loss, Metric::TpotSeconds]);
        assert_eq!(bounded(&without_prompt).0, 0, "{seconds}");
    }
}

#[test]
fn energy_of_a_thread_count_without_known_watts_is_refused_by_name() {
    let mut profile = synthetic(true);
    profile.power.loaded.retain(|load| load.threads == 2);
    let space = layered_space("");
    let world = World::on(&profile);
    let search = |objectives: &[Metric], limits: &[(Metric, f64)]| {
        let options = SearchOptions {
            objectives: objectives.to_vec(),
            limits: limits.to_vec(),
            workers: 1,
            seed: 0,
            sample: 0,
            passes: vec![0.0],
            deadline: None,
            cancel: None,
            progress: None,
        };
        let evaluator = world.evaluator(&space, objectives);
        search_layers(&space, &evaluator, &options, LayerOptions::default())
    };
    let as_objective = search(&[Metric::Loss, Metric::JoulesPerToken], &[]).unwrap_err().to_string();
    let as_limit = search(&[Metric::Loss], &[(Metric::JoulesPerToken, 1.0)]).unwrap_err().to_string();
    for error in [as_objective, as_limit] {
        for part in ["`joules_per_token`", "no watts of a load of 1 thread", "--power-watts IDLE,LOADED"] {
            assert!(error.contains(part), "{error}");
        }
    }
    assert_eq!(search(&[Metric::Loss, Metric::TpotSeconds], &[]).unwrap().epsilon, Some(0.0));
}
