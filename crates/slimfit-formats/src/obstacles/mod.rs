//! What keeps an architecture out of a class or family of models that others compute: the list, and what all of them ask.

mod shared;

use std::fmt;

pub(crate) use shared::{Constants, scale_of};

/// What a class holds that has one value for the whole model.
pub(crate) const SAME: &str = "the same in all layers";

/// One axis on which a class cannot follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Obstacle {
    /// The field of the architecture.
    pub axis: &'static str,
    /// What the class holds there.
    pub allowed: &'static str,
}

/// What was found to stand in the way so far.
#[derive(Debug, Default)]
pub(crate) struct Obstacles(Vec<Obstacle>);

impl Obstacles {
    /// The list, each axis once.
    pub(crate) fn into_list(self) -> Vec<Obstacle> {
        self.0
    }

    pub(crate) fn require(&mut self, holds: bool, axis: &'static str, allowed: &'static str) {
        if !holds && !self.0.iter().any(|known| known.axis == axis) {
            self.0.push(Obstacle { axis, allowed });
        }
    }
}

/// The first of `all` that nothing keeps an architecture out of.
///
/// # Errors
/// The one with the fewest obstacles, the first of several, and its obstacles.
pub(crate) fn narrowest<T: Copy>(
    all: &[T],
    obstacles: impl Fn(T) -> Vec<Obstacle>,
) -> Result<T, (T, Vec<Obstacle>)> {
    let mut nearest: Option<(T, Vec<Obstacle>)> = None;
    for each in all {
        let obstacles = obstacles(*each);
        if obstacles.is_empty() {
            return Ok(*each);
        }
        if nearest.as_ref().is_none_or(|(_, fewest)| obstacles.len() < fewest.len()) {
            nearest = Some((*each, obstacles));
        }
    }
    Err(nearest.expect("there is at least one to try"))
}

/// The first axis that stands in the way.
pub(crate) fn first_axis(obstacles: &[Obstacle]) -> &'static str {
    obstacles.first().map_or("architecture", |obstacle| obstacle.axis)
}

/// Writes what would have to change.
pub(crate) fn write_list(f: &mut fmt::Formatter<'_>, obstacles: &[Obstacle]) -> fmt::Result {
    for (index, obstacle) in obstacles.iter().enumerate() {
        let joint = if index == 0 { ':' } else { ';' };
        write!(f, "{joint} `{}` must be {}", obstacle.axis, obstacle.allowed)?;
    }
    Ok(())
}
