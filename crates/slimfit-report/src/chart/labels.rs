//! Where words can stand on a chart without lying on anything else.

/// A part of the sheet, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rectangle {
    pub(super) corner: (f64, f64),
    pub(super) size: (f64, f64),
}

impl Rectangle {
    /// Squares along a line, close enough that no words pass between them.
    pub(super) fn along(from: (f64, f64), to: (f64, f64), scale: f64) -> impl Iterator<Item = Self> {
        let side = 4.0 * scale;
        let steps = ((to.0 - from.0).hypot(to.1 - from.1) / side).ceil().max(1.0);
        (0..=steps as usize).map(move |step| {
            let share = step as f64 / steps;
            let middle = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
            Self { corner: (middle.0 - side / 2.0, middle.1 - side / 2.0), size: (side, side) }
        })
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        let apart = |place: f64, size: f64, other: f64, other_size: f64| {
            place + size <= other || other + other_size <= place
        };
        !(apart(self.corner.0, self.size.0, other.corner.0, other.size.0)
            || apart(self.corner.1, self.size.1, other.corner.1, other.size.1))
    }

    fn holds(&self, other: &Self) -> bool {
        other.corner.0 >= self.corner.0
            && other.corner.1 >= self.corner.1
            && other.corner.0 + other.size.0 <= self.corner.0 + self.size.0
            && other.corner.1 + other.size.1 <= self.corner.1 + self.size.1
    }
}

/// The upper left corner of words of `size` near a mark at `place` that lie inside `bounds` and meet nothing of `taken`:
/// the nearest of many, or none.
pub(super) fn free_place(
    place: (f64, f64),
    radius: f64,
    size: (f64, f64),
    scale: f64,
    bounds: &Rectangle,
    taken: &[Rectangle],
) -> Option<(f64, f64)> {
    const DIRECTIONS: usize = 16;
    for step in 0..9 {
        let distance = radius + (4.0 + 11.0 * f64::from(step)) * scale;
        for direction in 0..DIRECTIONS {
            // To the right first, then alternately up and down from there.
            let turn = (direction.div_ceil(2) as f64) * if direction % 2 == 0 { 1.0 } else { -1.0 };
            let angle = turn * std::f64::consts::TAU / DIRECTIONS as f64;
            let (cosine, sine) = (angle.cos(), angle.sin());
            // The edge of the words that faces the mark touches the circle.
            let middle =
                (place.0 + cosine * (distance + size.0 / 2.0), place.1 + sine * (distance + size.1 / 2.0));
            let corner = (middle.0 - size.0 / 2.0, middle.1 - size.1 / 2.0);
            let words = Rectangle { corner, size };
            if bounds.holds(&words) && !taken.iter().any(|other| other.meets(&words)) {
                return Some(corner);
            }
        }
    }
    None
}

/// The upper left corner of words of `size` on a level line at `up` that ends at `right`: as far right as they meet nothing
/// of `taken`, below the line or above it; at its end where there is no such place right of `left`.
pub(super) fn along_level(
    (left, right): (f64, f64),
    up: f64,
    size: (f64, f64),
    scale: f64,
    taken: &[Rectangle],
) -> (f64, f64) {
    let gap = 3.0 * scale;
    let end = right - size.0 - 2.0 * gap;
    let step = 12.0 * scale;
    let steps = ((end - left) / step).max(0.0) as usize;
    let places = (0..=steps).flat_map(|place| {
        let across = end - step * place as f64;
        [(across, up + gap), (across, up - gap - size.1)]
    });
    let free =
        |corner: &(f64, f64)| !taken.iter().any(|other| other.meets(&Rectangle { corner: *corner, size }));
    places.into_iter().find(free).unwrap_or((end, up + gap))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_on_a_level_line_give_way_to_what_lies_there() {
        let size = (80.0, 14.0);
        let line: Vec<Rectangle> = Rectangle::along((0.0, 50.0), (300.0, 50.0), 1.0).collect();
        let place = |taken: &[Rectangle]| along_level((0.0, 300.0), 50.0, size, 1.0, taken);
        assert_eq!(place(&line), (214.0, 53.0));
        let mark = Rectangle { corner: (240.0, 40.0), size: (20.0, 20.0) };
        let taken = [&line[..], &[mark]].concat();
        let corner = place(&taken);
        let words = Rectangle { corner, size };
        assert!(!taken.iter().any(|other| other.meets(&words)), "{corner:?}");
    }

    #[test]
    fn words_keep_clear_of_each_other_and_of_the_edge() {
        let bounds = Rectangle { corner: (0.0, 0.0), size: (300.0, 200.0) };
        let size = (60.0, 14.0);
        let mut taken = Vec::new();
        for _ in 0..12 {
            let corner = free_place((150.0, 100.0), 5.0, size, 1.0, &bounds, &taken).unwrap();
            let words = Rectangle { corner, size };
            assert!(bounds.holds(&words) && !taken.iter().any(|other: &Rectangle| other.meets(&words)));
            taken.push(words);
        }
        let full = Rectangle { corner: (0.0, 0.0), size: (300.0, 200.0) };
        assert_eq!(free_place((150.0, 100.0), 5.0, size, 1.0, &bounds, &[full]), None);
    }
}
