//! The operations of a step, those of all blocks together: what a person can take in at a glance.

use slimfit_study::{Explanation, OperationCost};

/// Operations of one name, which one limit binds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    /// `gate_up`.
    pub(super) name: String,
    /// Executions.
    pub(super) times: usize,
    /// `memory`, `compute` or `overhead`.
    pub(super) bound: String,
    /// Of the step's time.
    pub(super) share: f64,
    /// Seconds, operations and bytes of all executions.
    pub(super) seconds: f64,
    pub(super) flops: f64,
    pub(super) bytes: f64,
}

impl Group {
    fn of(operation: &OperationCost) -> Self {
        Self {
            name: operation.name.clone(),
            times: 0,
            bound: operation.bound.clone(),
            share: 0.0,
            seconds: 0.0,
            flops: 0.0,
            bytes: 0.0,
        }
    }

    fn add(&mut self, times: usize, seconds: f64, flops: f64, bytes: f64) {
        self.times += times;
        self.seconds += seconds;
        self.flops += flops;
        self.bytes += bytes;
    }

    /// `gate_up ×24`.
    pub(super) fn label(&self) -> String {
        let name = self.name.replace('_', " ");
        if self.times == 1 { name } else { format!("{name} ×{}", self.times) }
    }
}

/// The operations of a step by name and by what binds them, the longest first.
pub(super) fn groups(phase: &Explanation) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for operation in &phase.operations {
        let same = |group: &Group| group.name == operation.name && group.bound == operation.bound;
        let place = match groups.iter().position(same) {
            Some(place) => place,
            None => {
                groups.push(Group::of(operation));
                groups.len() - 1
            }
        };
        groups[place].add(1, operation.seconds, operation.flops, operation.bytes);
    }
    for group in &mut groups {
        group.share = if phase.seconds > 0.0 { group.seconds / phase.seconds } else { 0.0 };
    }
    groups.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    groups
}

/// The first `most` lines of a list of groups; the last of them stands for all that would follow.
pub(super) fn shortened(mut groups: Vec<Group>, most: usize) -> Vec<Group> {
    if groups.len() > most {
        let rest = groups.split_off(most.saturating_sub(1));
        let mut other =
            Group { name: format!("{} others", rest.len()), bound: "several".to_owned(), ..rest[0].clone() };
        (other.times, other.share, other.seconds, other.flops, other.bytes) = (1, 0.0, 0.0, 0.0, 0.0);
        for group in &rest {
            other.add(0, group.seconds, group.flops, group.bytes);
            other.share += group.share;
        }
        if let Some(first) = rest.first()
            && rest.iter().all(|group| group.bound == first.bound)
        {
            other.bound.clone_from(&first.bound);
        }
        groups.push(other);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase() -> Explanation {
        let operation = |name: &str, bound: &str, seconds: f64| OperationCost {
            name: name.to_owned(),
            bound: bound.to_owned(),
            seconds,
            flops: 2.0,
            bytes: 1.0,
            ..OperationCost::default()
        };
        Explanation {
            id: "0".to_owned(),
            phase: "decode".to_owned(),
            tokens: 1,
            depth_tokens: 0,
            threads: 1,
            seconds: 10.0,
            operations: vec![
                operation("norm", "overhead", 0.5),
                operation("qkv", "memory", 2.0),
                operation("norm", "overhead", 0.5),
                operation("qkv", "memory", 3.0),
                operation("qkv", "compute", 1.0),
                operation("head", "memory", 3.0),
            ],
        }
    }

    #[test]
    fn blocks_are_added_up_by_name_and_limit() {
        let groups = groups(&phase());
        let labels: Vec<String> = groups.iter().map(Group::label).collect();
        assert_eq!(labels, ["qkv ×2", "head", "norm ×2", "qkv"]);
        assert_eq!(
            (groups[0].seconds, groups[0].flops, groups[0].bytes, groups[0].share),
            (5.0, 4.0, 2.0, 0.5)
        );
    }

    #[test]
    fn a_long_list_ends_with_the_rest_of_it() {
        let short = shortened(groups(&phase()), 2);
        assert_eq!(short.len(), 2);
        assert_eq!((short[1].label().as_str(), short[1].bound.as_str()), ("3 others", "several"));
        assert!((short.iter().map(|group| group.share).sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(shortened(groups(&phase()), 4).len(), 4);
    }
}
