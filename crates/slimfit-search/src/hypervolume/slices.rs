//! Hypervolume of four objectives: points come in the order of the fourth, and the volume that they dominate in the other
//! three is kept. O(n) for each point.

type Point = [f64; 3];

/// Four objectives.
pub(super) fn volume(points: &[[f64; 4]], reference: [f64; 4]) -> f64 {
    let mut sorted = points.to_vec();
    sorted.sort_unstable_by(|a, b| a[3].total_cmp(&b[3]));
    let [x, y, z, last] = reference;
    let mut slice = Slice {
        reference: [x, y, z],
        by_first: Vec::new(),
        by_third: Vec::new(),
        volume: 0.0,
        steps: Vec::new(),
    };
    let mut volume = 0.0;
    for (place, &[x, y, z, fourth]) in sorted.iter().enumerate() {
        slice.insert([x, y, z]);
        let next = sorted.get(place + 1).map_or(last, |next| next[3]);
        volume += slice.volume * (next - fourth);
    }
    volume
}

/// Points in three objectives of which none dominates or equals another, and the volume that they dominate.
struct Slice {
    reference: Point,
    by_first: Vec<Point>,
    by_third: Vec<Point>,
    volume: f64,
    /// Scratch: where a step begins, and how high it is.
    steps: Vec<[f64; 2]>,
}

impl Slice {
    fn insert(&mut self, point: Point) {
        let reaches = |a: &Point, b: &Point| a[0] <= b[0] && a[1] <= b[1] && a[2] <= b[2];
        let start = self.by_first.partition_point(|other| other[0] < point[0]);
        let equal = self.by_first[start..].iter().take_while(|other| other[0] == point[0]).count();
        if self.by_first[..start + equal].iter().any(|other| reaches(other, &point)) {
            return;
        }
        // What it beats leaves first: then all others lie beside it, which keeps its own share simple.
        let beaten: Vec<Point> =
            self.by_first[start..].iter().filter(|other| reaches(&point, other)).copied().collect();
        for other in beaten {
            self.by_first.retain(|kept| *kept != other);
            self.by_third.retain(|kept| *kept != other);
            self.volume -= self.share(other);
        }
        self.volume += self.share(point);
        let place = self.by_first.partition_point(|other| other[0] < point[0]);
        self.by_first.insert(place, point);
        let place = self.by_third.partition_point(|other| other[2] < point[2]);
        self.by_third.insert(place, point);
    }

    /// The volume that `point` dominates and no point of the slice; none of them dominates it or is dominated by it.
    ///
    /// At its own third objective, what is left to it in the plane lies below a staircase. Points further along the third
    /// objective are less than it in the first or in the second, and so cut the staircase at one of its ends.
    fn share(&mut self, [x, y, z]: Point) -> f64 {
        let split = self.by_first.partition_point(|other| other[0] <= x);
        let top = self.by_first[..split].iter().filter(|other| other[2] <= z).map(|other| other[1]);
        let top = top.fold(self.reference[1], f64::min);
        let mut right = self.reference[0];
        self.steps.clear();
        self.steps.push([x, top]);
        let mut height = top;
        let mut area = 0.0;
        let mut from = x;
        for other in &self.by_first[split..] {
            if other[2] > z || other[1] >= height {
                continue;
            }
            area += (other[0] - from) * (height - y);
            from = other[0];
            if other[1] <= y {
                right = from;
                break;
            }
            height = other[1];
            self.steps.push([from, height]);
        }
        area += (right - from) * (height - y);
        let mut first = 0;
        let mut last = self.steps.len() - 1;
        let mut share = 0.0;
        let mut below = z;
        let start = self.by_third.partition_point(|other| other[2] <= z);
        for other in &self.by_third[start..] {
            let (cuts_top, cuts_right) = (other[0] <= x, other[1] <= y);
            if cuts_top && cuts_right {
                return share + area * (other[2] - below);
            }
            if cuts_top && other[1] < self.steps[first][1] {
                share += area * (other[2] - below);
                below = other[2];
                let top = other[1];
                // Steps above the cut become one.
                loop {
                    let until = if first == last { right } else { self.steps[first + 1][0] };
                    area -= (until - self.steps[first][0]) * (self.steps[first][1] - top);
                    if first == last || self.steps[first + 1][1] <= top {
                        break;
                    }
                    first += 1;
                }
                self.steps[first] = [x, top];
            } else if cuts_right && other[0] < right {
                share += area * (other[2] - below);
                below = other[2];
                while self.steps[last][0] >= other[0] {
                    area -= (right - self.steps[last][0]) * (self.steps[last][1] - y);
                    right = self.steps[last][0];
                    last -= 1;
                }
                area -= (right - other[0]) * (self.steps[last][1] - y);
                right = other[0];
            }
        }
        share + area * (self.reference[2] - below)
    }
}
