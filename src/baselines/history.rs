//! The history of a quantity over many steps, in at most ten numbers.

/// Means over ten equal parts of the steps. The last part may be shorter.
pub(super) struct History {
    steps: usize,
    part: usize,
    done: usize,
    sum: f64,
    count: f64,
    means: Vec<f64>,
}

impl History {
    /// A history of `steps` steps. Fewer than ten steps are a part each.
    pub(super) fn new(steps: usize) -> Self {
        Self {
            steps,
            part: steps.div_ceil(10).max(1),
            done: 0,
            sum: 0.0,
            count: 0.0,
            means: Vec::new(),
        }
    }

    /// Adds the value of the next step.
    pub(super) fn push(&mut self, value: f64) {
        self.done += 1;
        self.sum += value;
        self.count += 1.0;
        if self.done.is_multiple_of(self.part) || self.done == self.steps {
            self.means.push(self.sum / self.count);
            (self.sum, self.count) = (0.0, 0.0);
        }
    }

    /// The means so far.
    pub(super) fn means(self) -> Vec<f64> {
        self.means
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_equal_and_the_last_is_what_is_left() {
        let means = |steps: usize| {
            let mut history = History::new(steps);
            (0..steps).for_each(|i| history.push(i as f64));
            history.means()
        };
        assert_eq!(means(3), [0.0, 1.0, 2.0]);
        assert_eq!(means(20)[..3], [0.5, 2.5, 4.5]);
        assert_eq!(
            means(25),
            [1.0, 4.0, 7.0, 10.0, 13.0, 16.0, 19.0, 22.0, 24.0]
        );
    }
}
