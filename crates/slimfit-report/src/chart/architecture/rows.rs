//! What stands below each other in the picture, with the parameters of each.

use super::blocks::{Segment, segments};
use super::words::{self, Block};
use slimfit_arch::{Architecture, LayerRun, Positions};

/// Kinds of layers that are drawn at all.
const MOST: usize = 36;

/// What stands below each other.
pub(super) enum Row {
    /// A table or a norm outside the layers.
    Table { block: Block, parameters: u64, own: bool },
    /// Layers, passed once or in a loop.
    Layers(Segment),
    /// Layers that are not drawn.
    More { kinds: usize, layers: u64, parameters: u64 },
}

/// The rows from the embedding to the output head, and how many kinds of layers there are.
pub(super) fn rows(architecture: &Architecture) -> (Vec<Row>, usize) {
    let mut segments = segments(architecture);
    let kinds: usize = segments.iter().map(kinds).sum();
    let mut rows = vec![embedding(architecture)];
    let mut room = MOST;
    let mut more = (0, 0, 0);
    for segment in &mut segments {
        let mut kept = Vec::new();
        for group in std::mem::take(&mut segment.groups) {
            if group.members.len() <= room && more.0 == 0 {
                room -= group.members.len();
                kept.push(group);
            } else {
                let each: u64 = group.members.iter().map(|run| in_run(architecture, run)).sum();
                more = (more.0 + group.members.len(), more.1 + group.layers(), more.2 + group.times * each);
            }
        }
        segment.groups = kept;
    }
    rows.extend(segments.into_iter().filter(|segment| !segment.groups.is_empty()).map(Row::Layers));
    let (kinds_left, layers, parameters) = more;
    if kinds_left > 0 {
        rows.push(Row::More { kinds: kinds_left, layers, parameters });
    }
    rows.extend(final_norm(architecture));
    rows.push(head(architecture));
    (rows, kinds)
}

fn kinds(segment: &Segment) -> usize {
    segment.groups.iter().map(|group| group.members.len()).sum()
}

/// Parameters of the layers of a run.
pub(super) fn in_run(architecture: &Architecture, run: &LayerRun) -> u64 {
    let of = |layers: Vec<LayerRun>| {
        Architecture { layers, loops: None, ..architecture.clone() }.parameters().total
    };
    of(vec![run.clone()]) - of(Vec::new())
}

/// Parameters of the tensors outside the layers that `wanted` picks.
fn outside(architecture: &Architecture, wanted: impl Fn(&slimfit_arch::Tensor) -> bool) -> u64 {
    let bare = Architecture { layers: Vec::new(), loops: None, ..architecture.clone() };
    bare.tensors().iter().filter(|tensor| wanted(tensor)).map(slimfit_arch::Tensor::parameters).sum()
}

fn embedding(architecture: &Architecture) -> Row {
    use slimfit_arch::TensorRole as Role;
    let (vocabulary, hidden) = (architecture.vocabulary_size, architecture.hidden_size);
    let table = architecture.embedding_size.unwrap_or(hidden);
    let mut lines = vec![format!("{} × {table}", words::whole(vocabulary))];
    if table != hidden {
        lines.push(format!("projected {table} → {hidden}"));
    }
    lines.extend(words::positions(architecture.positions));
    if architecture.embedding_norm {
        lines.push("normed".to_owned());
    }
    if let Some(scale) = architecture.scales.embedding {
        lines.push(format!("times {scale:.4}"));
    }
    let parameters = outside(architecture, |tensor| {
        matches!(tensor.role, Role::Embedding | Role::EmbeddingIn | Role::PositionTable | Role::EmbeddingNorm)
    });
    let learned = matches!(architecture.positions, Positions::Learned { .. });
    let title = if learned { "Token and position embeddings" } else { "Token embedding" };
    Row::Table {
        block: Block { title: title.to_owned(), lines: vec![lines.join(", ")] },
        parameters,
        own: true,
    }
}

fn final_norm(architecture: &Architecture) -> Option<Row> {
    let parameters = outside(architecture, |tensor| tensor.role == slimfit_arch::TensorRole::FinalNorm);
    architecture.final_norm.then(|| Row::Table {
        block: Block {
            title: "Final norm".to_owned(),
            lines: vec![format!("{} of {}", words::norm(architecture), architecture.hidden_size)],
        },
        parameters,
        own: parameters > 0,
    })
}

fn head(architecture: &Architecture) -> Row {
    use slimfit_arch::TensorRole as Role;
    let hidden = architecture.hidden_size;
    let table = architecture.embedding_size.unwrap_or(hidden);
    let mut lines = Vec::new();
    if table != hidden {
        lines.push(format!("projected {hidden} → {table}"));
    }
    lines.push(format!("{} × {table}", words::whole(architecture.vocabulary_size)));
    if architecture.tied_embeddings {
        lines.push("tied: the table of the token embedding".to_owned());
    }
    if architecture.head_bias {
        lines.push("bias".to_owned());
    }
    if let Some(cap) = architecture.scales.logit_softcap {
        lines.push(format!("logits capped at {cap}"));
    }
    let parameters = outside(architecture, |tensor| matches!(tensor.role, Role::Head | Role::EmbeddingOut));
    Row::Table {
        block: Block { title: "Output head".to_owned(), lines: vec![lines.join(", ")] },
        parameters,
        own: parameters > 0,
    }
}
