//! An architecture as a column of blocks: equal layers folded, recurring sequences folded again, loops kept apart.

use slimfit_arch::{Architecture, LayerRun, Loops};

/// Layers that follow each other, and how often they are passed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Segment {
    /// How they loop; absent where they run once.
    pub(super) loops: Option<Loops>,
    /// What they are, first to last.
    pub(super) groups: Vec<Group>,
}

/// A sequence of kinds of layers that comes `times` in a row, all with weights of their own.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    pub(super) times: u64,
    pub(super) members: Vec<LayerRun>,
}

impl Group {
    /// Layers in it.
    pub(super) fn layers(&self) -> u64 {
        self.times * self.members.iter().map(|member| member.repeat).sum::<u64>()
    }
}

/// The layers of a (validated) architecture.
pub(super) fn segments(architecture: &Architecture) -> Vec<Segment> {
    let loops = architecture.loops.filter(|loops| loops.count > 1);
    let depth = architecture.depth();
    let ends = match loops {
        Some(loops) => [loops.first, loops.first + loops.layers, depth],
        None => [depth; 3],
    };
    let mut segments = Vec::new();
    let mut start = 0;
    for (place, end) in ends.into_iter().enumerate() {
        if start < end {
            let runs = between(&architecture.layers, start, end);
            segments.push(Segment { loops: loops.filter(|_| place == 1), groups: fold(runs) });
            start = end;
        }
    }
    segments
}

/// Layers `start..end`, neighbours that are equal in one run.
fn between(layers: &[LayerRun], start: u64, end: u64) -> Vec<LayerRun> {
    let mut runs: Vec<LayerRun> = Vec::new();
    let mut first = 0;
    for run in layers {
        let after = first + run.repeat;
        let repeat = after.min(end).saturating_sub(first.max(start));
        first = after;
        if repeat == 0 {
            continue;
        }
        match runs.last_mut().filter(|last| alike(last, run)) {
            Some(last) => last.repeat += repeat,
            None => runs.push(LayerRun { repeat, ..run.clone() }),
        }
    }
    runs
}

fn alike(one: &LayerRun, other: &LayerRun) -> bool {
    one.attention == other.attention && one.ffn == other.ffn
}

/// Folds what recurs: of all sequences that begin here and come twice or more in a row, the one that covers most.
fn fold(runs: Vec<LayerRun>) -> Vec<Group> {
    /// Kinds in a sequence: longer ones are no pattern that a reader would see.
    const LONGEST: usize = 12;
    let mut groups = Vec::new();
    let mut start = 0;
    while start < runs.len() {
        let rest = &runs[start..];
        let mut best = (1, 1);
        for period in 2..=LONGEST.min(rest.len() / 2) {
            let times = rest.chunks_exact(period).take_while(|chunk| **chunk == rest[..period]).count();
            if times > 1 && times * period > best.0 * best.1 {
                best = (period, times);
            }
        }
        let (period, times) = best;
        groups.push(Group { times: times as u64, members: rest[..period].to_vec() });
        start += period * times;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use slimfit_document::Document;

    fn model(layers: &str, more: &str) -> Architecture {
        let text = format!("{{hidden_size: 64, vocabulary_size: 256, {more}layers: [{layers}]}}");
        Document::from_str(&text, "test.yaml").unwrap().parse().unwrap()
    }

    fn layer(repeat: u64, window: &str) -> String {
        format!(
            "{{repeat: {repeat}, attention: {{heads: 2, kv_heads: 1, head_size: 32{window}}}, ffn: {{kind: dense, size: 128}}}}"
        )
    }

    /// Times and repeats of every group.
    fn shape(segment: &Segment) -> Vec<(u64, Vec<u64>)> {
        let repeats = |group: &Group| group.members.iter().map(|member| member.repeat).collect();
        segment.groups.iter().map(|group| (group.times, repeats(group))).collect()
    }

    #[test]
    fn equal_layers_are_one_block_and_patterns_are_folded() {
        let (full, local) = (layer(1, ""), layer(5, ", window: 512"));
        let one = segments(&model(&layer(30, ""), ""));
        assert_eq!(one.iter().map(shape).collect::<Vec<_>>(), [[(1, vec![30])]]);
        let pattern =
            [local.as_str(), &full, &local, &full, &local, &full, &layer(2, ", window: 512")].join(", ");
        let folded = segments(&model(&pattern, ""));
        assert_eq!(shape(&folded[0]), [(3, vec![5, 1]), (1, vec![2])]);
        assert_eq!(folded[0].groups.iter().map(Group::layers).sum::<u64>(), 20);
    }

    #[test]
    fn loops_cut_runs_and_stand_apart() {
        let looped = model(&layer(10, ""), "loops: {first: 2, layers: 6, count: 3}, ");
        let found = segments(&looped);
        let layers: Vec<u64> = found.iter().map(|segment| segment.groups[0].layers()).collect();
        assert_eq!(layers, [2, 6, 2]);
        assert_eq!(found[1].loops.map(|loops| loops.count), Some(3));
        assert!(found[0].loops.is_none() && found[2].loops.is_none());
        let whole = segments(&model(&layer(4, ""), "loops: {first: 0, layers: 4, count: 2}, "));
        assert_eq!(whole.len(), 1);
        assert!(whole[0].loops.is_some());
    }
}
