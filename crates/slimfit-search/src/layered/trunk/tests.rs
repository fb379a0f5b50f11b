use super::{Answers, Pool, TrunkSearch};
use crate::layered::layer::{Family, Layers};
use crate::layered::model::Trunk;
use crate::layered::problems::Trial;
use crate::layered::quantity::quantities;
use crate::layers::{Options, solve};
use crate::testing::profile::synthetic;
use crate::testing::{World, layered_space};
use crate::{Metric, SearchOptions};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicBool;

/// What the sums of a problem do not tell, nothing should rule out; where something does, it must not pass for proven.
#[test]
fn an_answer_that_a_rule_refuses_proves_nothing_and_is_told() {
    let objectives = vec![Metric::Loss, Metric::TpotSeconds];
    let (space, narrower) = (layered_space(""), layered_space("constraints: {non_embedding: {max: 200M}}\n"));
    let world = World::on(&synthetic(false));
    let evaluator = world.evaluator(&space, &objectives);
    let (family, trunk) =
        (Family { frame: 0, weights: 0, kv: 0, vocabulary: 0 }, Trunk { layers: 12, tied: true });
    let mut layers = Layers::new(&space, &evaluator, family).unwrap();
    let census = layers.census(&space, &evaluator, family, trunk).unwrap();
    let mut trial = Trial {
        space: &space,
        evaluator: &evaluator,
        layers: &mut layers,
        allowed: &census.layers,
        trunk,
        vocabulary: 0,
        asked: &quantities(&objectives, false),
        limits: &[],
    };
    let problems = trial.pose().unwrap().remove(0).exact.unwrap();
    let options = SearchOptions {
        objectives: objectives.clone(),
        limits: Vec::new(),
        workers: 1,
        seed: 0,
        sample: 0,
        passes: vec![0.0],
        deadline: None,
        cancel: None,
        progress: None,
    };
    let stop = AtomicBool::new(false);
    let search = TrunkSearch {
        space: &narrower,
        evaluator: &evaluator,
        options: &options,
        family,
        trunk,
        workers: 1,
        most_labels: 1_000_000,
        deadline: None,
        stop: &stop,
    };
    let (mut kept, mut refused) = (0, 0);
    let mut reasons: HashSet<String> = HashSet::new();
    for posed in &problems {
        let mut pool = Pool::new(&objectives);
        let mut answers = Answers { seen: HashSet::new(), refused: HashMap::new(), pool: &mut pool };
        let solution = solve(&posed.problem, &Options { exact: true, ..Options::default() }).unwrap();
        let distance = search.price(&mut layers, posed, &solution, &mut answers).unwrap();
        assert_eq!(answers.seen.len() + answers.refused.len(), solution.labels.len());
        assert_eq!(distance.is_infinite(), !answers.refused.is_empty());
        kept += answers.seen.len();
        refused += answers.refused.len();
        reasons.extend(answers.refused.values().map(|reason| reason.reason().to_owned()));
    }
    assert!(kept > 0 && refused > 0, "{kept} {refused}");
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    let mut pool = Pool::new(&objectives);
    let mut answers = Answers { seen: HashSet::new(), refused: HashMap::new(), pool: &mut pool };
    assert!(!search.exact(&mut layers, &problems, &mut answers).unwrap());
}
