//! Bounds of counts turned into positions, and how many models there are.
//!
//! **Lemma 2 (forced positions).** The models of a group of `n` positions with at least `l` layers of a set `A` are those
//! of two groups: `l` positions for kinds of `A` alone, and `n - l` for all kinds. *Proof:* of a multiset with `l` layers
//! of `A` put any `l` of them on the forced positions, the rest on the others; and every choice of the two groups has at
//! least `l`. For disjoint sets the same holds one after the other. At most `m` layers of `A` are at least `n - m` of the
//! other kinds.
//!
//! Where bounds do not come down to disjoint sets of one group, models are divided by how many layers of each *atom* (kinds
//! that lie in the same sets) each group has: each division is a case of its own, and together they are all models.

use super::problem::Problem;
use crate::SearchError;

/// Positions of one group that only some kinds may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) group: usize,
    pub(crate) count: usize,
    /// Ascending.
    pub(crate) kinds: Vec<usize>,
}

/// Blocks that together make whole models.
pub(crate) type Case = Vec<Block>;

/// All models, as cases.
#[derive(Debug, Default)]
pub(crate) struct Cases {
    pub(crate) cases: Vec<Case>,
    /// Models whose layers are interchangeable count once; nothing past `u128`.
    pub(crate) multisets: Option<u128>,
    /// Every order counts; nothing past `u128`.
    pub(crate) sequences: Option<u128>,
}

/// Most cases that are searched.
const MOST_CASES: usize = 20_000;

/// Kinds of a group that lie in the same bounded sets.
struct Atom {
    group: usize,
    kinds: Vec<usize>,
    /// Which bounds it counts for.
    bounds: Vec<usize>,
}

pub(crate) fn cases(problem: &Problem) -> Result<Cases, SearchError> {
    let atoms = atoms(problem);
    let mut all = Cases { cases: Vec::new(), multisets: Some(0), sequences: Some(0) };
    let mut counts = Vec::new();
    divide(problem, &atoms, &mut counts, &mut all)?;
    if !all.cases.is_empty()
        && let Some(case) = forced(problem)
    {
        all.cases = vec![case];
    }
    Ok(all)
}

fn atoms(problem: &Problem) -> Vec<Atom> {
    let mut atoms: Vec<Atom> = Vec::new();
    for (group, positions) in problem.positions.iter().enumerate() {
        let mut kinds = positions.kinds.clone();
        kinds.sort_unstable();
        for kind in kinds {
            let bounds: Vec<usize> = (0..problem.count_bounds.len())
                .filter(|bound| problem.count_bounds[*bound].kinds.contains(&kind))
                .collect();
            match atoms.iter_mut().find(|atom| atom.group == group && atom.bounds == bounds) {
                Some(atom) => atom.kinds.push(kind),
                None => atoms.push(Atom { group, kinds: vec![kind], bounds }),
            }
        }
    }
    atoms.sort_by_key(|atom| atom.group);
    atoms
}

/// Goes through all counts of atoms that fill the groups and keep the bounds.
fn divide(
    problem: &Problem,
    atoms: &[Atom],
    counts: &mut Vec<usize>,
    all: &mut Cases,
) -> Result<(), SearchError> {
    let place = counts.len();
    let filled = |group: usize| -> usize {
        counts.iter().zip(atoms).filter(|(_, atom)| atom.group == group).map(|(count, _)| count).sum()
    };
    if place == atoms.len() {
        let full = (0..problem.positions.len()).all(|group| filled(group) == problem.positions[group].count);
        let kept = problem.count_bounds.iter().enumerate().all(|(bound, limits)| {
            let within = counts.iter().zip(atoms).filter(|(_, atom)| atom.bounds.contains(&bound));
            (limits.least..=limits.most).contains(&within.map(|(count, _)| count).sum())
        });
        if !full || !kept {
            return Ok(());
        }
        let mut multisets = Some(1_u128);
        let mut sequences = Some(1_u128);
        let mut left: Vec<usize> = problem.positions.iter().map(|group| group.count).collect();
        for (&count, atom) in counts.iter().zip(atoms) {
            let kinds = atom.kinds.len();
            multisets = product(multisets, binomial(count + kinds - 1, count));
            sequences = product(sequences, binomial(left[atom.group], count));
            sequences = product(sequences, (kinds as u128).checked_pow(count as u32));
            left[atom.group] -= count;
        }
        let sum = |a: Option<u128>, b: Option<u128>| a.zip(b).and_then(|(a, b)| a.checked_add(b));
        all.multisets = sum(all.multisets, multisets);
        all.sequences = sum(all.sequences, sequences);
        let blocks = counts.iter().zip(atoms).filter(|(count, _)| **count > 0);
        let block =
            |(&count, atom): (&usize, &Atom)| Block { group: atom.group, count, kinds: atom.kinds.clone() };
        all.cases.push(blocks.map(block).collect());
        if all.cases.len() > MOST_CASES {
            return Err(SearchError::Option {
                name: "count_bounds".to_owned(),
                found: format!("more than {MOST_CASES} ways to divide layers among their sets"),
                allowed: format!("{MOST_CASES}; fewer bounds, or disjoint sets within one group"),
            });
        }
        return Ok(());
    }
    let group = atoms[place].group;
    let free = problem.positions[group].count - filled(group);
    let last = atoms.get(place + 1).is_none_or(|next| next.group != group);
    for count in if last { free..=free } else { 0..=free } {
        counts.push(count);
        divide(problem, atoms, counts, all)?;
        counts.pop();
    }
    Ok(())
}

/// The one case of Lemma 2, where bounds are of that form.
fn forced(problem: &Problem) -> Option<Case> {
    let sorted = |kinds: &[usize]| {
        let mut kinds = kinds.to_vec();
        kinds.sort_unstable();
        kinds
    };
    let mut case = Vec::new();
    let within = |group: usize, set: &[usize]| -> Vec<usize> {
        let kinds = problem.positions[group].kinds.iter().copied();
        sorted(&kinds.filter(|kind| set.contains(kind)).collect::<Vec<_>>())
    };
    let single = problem.positions.len() == 1;
    let mut free: Vec<usize> = problem.positions.iter().map(|group| group.count).collect();
    let mut taken: Vec<usize> = Vec::new();
    for bound in &problem.count_bounds {
        // What every model keeps anyway asks for nothing.
        let (mut least, mut most) = (0, 0);
        for (group, positions) in problem.positions.iter().enumerate() {
            let inside = within(group, &bound.kinds).len();
            least += if inside == positions.kinds.len() { positions.count } else { 0 };
            most += if inside > 0 { positions.count } else { 0 };
        }
        let low = bound.least > least;
        let high = bound.most < most;
        if !low && !high {
            continue;
        }
        if !single {
            return None;
        }
        let inside = within(0, &bound.kinds);
        let outside: Vec<usize> =
            sorted(&problem.positions[0].kinds).into_iter().filter(|kind| !inside.contains(kind)).collect();
        let demands = [
            (low, bound.least, inside),
            (high, problem.positions[0].count - bound.most.min(problem.positions[0].count), outside),
        ];
        for (asked, count, kinds) in demands {
            if !asked {
                continue;
            }
            if kinds.iter().any(|kind| taken.contains(kind)) || count > free[0] {
                return None;
            }
            taken.extend(&kinds);
            free[0] -= count;
            case.push(Block { group: 0, count, kinds });
        }
    }
    for (group, positions) in problem.positions.iter().enumerate() {
        if free[group] > 0 {
            case.push(Block { group, count: free[group], kinds: sorted(&positions.kinds) });
        }
    }
    Some(case)
}

fn product(a: Option<u128>, b: Option<u128>) -> Option<u128> {
    a.zip(b).and_then(|(a, b)| a.checked_mul(b))
}

/// `n` over `k`; nothing past `u128`.
fn binomial(n: usize, k: usize) -> Option<u128> {
    let k = k.min(n - k);
    let mut value = 1_u128;
    for step in 1..=k {
        // Exact at each step: the product of `step` numbers in a row is divisible by `step!`.
        value = value.checked_mul((n - k + step) as u128)? / step as u128;
    }
    Some(value)
}
