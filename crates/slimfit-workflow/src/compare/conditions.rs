//! What the two studies were asked or given differently.

use super::Records;
use slimfit_study::{Condition, Constraint, SearchHead};

pub(super) fn differing(first: &Records, second: &Records) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let mut told = |what: &str, ours: String, theirs: String| {
        if ours != theirs {
            conditions.push(Condition { what: what.to_owned(), first: ours, second: theirs });
        }
    };
    if let (Some(ours), Some(theirs)) = (first.device(), second.device()) {
        told("device", ours, theirs);
    }
    if let (Some(ours), Some(theirs)) = (&first.profile, &second.profile) {
        let sets = |isa: &[String]| isa.last().cloned().unwrap_or_default();
        told("instruction set", sets(&ours.fingerprint.isa), sets(&theirs.fingerprint.isa));
        told("cores", ours.fingerprint.cores.to_string(), theirs.fingerprint.cores.to_string());
    }
    if let (Some(ours), Some(theirs)) = (&first.front, &second.front) {
        heads(&ours.head, &theirs.head, &mut told);
    }
    conditions
}

fn heads(ours: &SearchHead, theirs: &SearchHead, told: &mut impl FnMut(&str, String, String)) {
    if ours.profile.name == theirs.profile.name {
        told("profile", short(&ours.profile.sha256), short(&theirs.profile.sha256));
    }
    told("devices", devices(ours), devices(theirs));
    told("space", ours.space.name.clone(), theirs.space.name.clone());
    if ours.space.name == theirs.space.name {
        told("space's file", short(&ours.space.sha256), short(&theirs.space.sha256));
    }
    told("runtime", ours.engine.clone(), theirs.engine.clone());
    told("workload", ours.workload.clone(), theirs.workload.clone());
    told("recipe", ours.recipe.name.clone(), theirs.recipe.name.clone());
    told("training tokens", ours.recipe.tokens.to_string(), theirs.recipe.tokens.to_string());
    let names = |head: &SearchHead| {
        head.objectives.iter().map(|objective| objective.name.clone()).collect::<Vec<_>>().join(", ")
    };
    told("objectives", names(ours), names(theirs));
    let limits = |constraints: &[Constraint]| {
        let limit = |limit: &Constraint| format!("{} {}", limit.name, limit.limit);
        if constraints.is_empty() {
            "none".to_owned()
        } else {
            constraints.iter().map(limit).collect::<Vec<_>>().join(", ")
        }
    };
    told("limits", limits(&ours.constraints), limits(&theirs.constraints));
    told("assumptions", listed(&ours.assume), listed(&theirs.assume));
    let loaders = |head: &SearchHead| head.portable.as_ref().map_or_else(String::new, |names| listed(names));
    told("loaders", loaders(ours), loaders(theirs));
    let proof = |head: &SearchHead| match (head.exact, head.epsilon) {
        (true, _) => "exact".to_owned(),
        (false, Some(epsilon)) => format!("within {epsilon} of exact"),
        (false, None) => "nothing proven".to_owned(),
    };
    told("proof", proof(ours), proof(theirs));
}

fn devices(head: &SearchHead) -> String {
    let names: Vec<&str> = head.profiles.iter().map(|profile| profile.name.as_str()).collect();
    if names.is_empty() { "one".to_owned() } else { names.join(" and ") }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Enough of a hash to tell two files apart.
fn short(sha256: &str) -> String {
    sha256.chars().take(12).collect()
}
