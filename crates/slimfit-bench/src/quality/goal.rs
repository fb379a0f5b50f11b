//! A goal: a bound, in the decimals that it is given with.

/// What a value should reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    low: Option<f64>,
    high: Option<f64>,
    decimals: usize,
}

/// How a value stands to its goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Reached.
    Met,
    /// Reached when rounded to the decimals of the goal, and not before.
    MetAsRounded,
    /// Not reached.
    Missed,
}

impl Verdict {
    /// As tables and records show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::MetAsRounded => "met as rounded",
            Self::Missed => "missed",
        }
    }
}

impl Goal {
    /// At most `high`.
    pub const fn at_most(high: f64, decimals: usize) -> Self {
        Self { low: None, high: Some(high), decimals }
    }

    /// At least `low`.
    pub const fn at_least(low: f64, decimals: usize) -> Self {
        Self { low: Some(low), high: None, decimals }
    }

    /// From `low` to `high`.
    pub const fn between(low: f64, high: f64, decimals: usize) -> Self {
        Self { low: Some(low), high: Some(high), decimals }
    }

    /// Whether `value` reaches it.
    pub fn verdict(&self, value: f64) -> Verdict {
        let scale = 10_f64.powi(self.decimals as i32);
        if self.holds(value) {
            Verdict::Met
        } else if self.holds((value * scale).round() / scale) {
            Verdict::MetAsRounded
        } else {
            Verdict::Missed
        }
    }

    fn holds(&self, value: f64) -> bool {
        self.low.is_none_or(|low| value >= low - 1e-12) && self.high.is_none_or(|high| value <= high + 1e-12)
    }

    /// As tables show it.
    pub fn text(&self) -> String {
        let decimals = self.decimals;
        match (self.low, self.high) {
            (Some(low), Some(high)) => format!("{low:.decimals$} … {high:.decimals$}"),
            (Some(low), None) => format!("≥ {low:.decimals$}"),
            (None, Some(high)) => format!("≤ {high:.decimals$}"),
            (None, None) => String::new(),
        }
    }
}
