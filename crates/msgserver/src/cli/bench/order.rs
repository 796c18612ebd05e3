//! What one receiver has got, and in which order.

use std::collections::BTreeSet;

/// The numbers that have come to one receiver, who is to get 0, 1, 2, … once each.
#[derive(Debug, Default)]
pub(super) struct Order {
    next: u32,
    /// Smaller than `next`, and not come yet. Empty unless something went wrong.
    missing: BTreeSet<u32>,
}

/// What a number is to its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// It has come for the first time, behind all that had come before.
    InOrder,
    /// It has come for the first time, but something behind it was there before.
    Late,
    /// It had come before.
    Again,
}

impl Order {
    pub(super) fn take(&mut self, number: u32) -> Came {
        if number < self.next {
            return if self.missing.remove(&number) { Came::Late } else { Came::Again };
        }
        self.missing.extend(self.next..number);
        self.next = number.saturating_add(1);
        Came::InOrder
    }

    /// How many different numbers have come.
    pub(super) fn count(&self) -> u64 {
        u64::from(self.next) - self.missing.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_counts_once_and_what_is_late_or_comes_again_is_told() {
        let mut order = Order::default();
        let came = [0, 1, 4, 4, 2, 2, 0, 5].map(|number| order.take(number));
        use Came::{Again, InOrder, Late};
        assert_eq!(came, [InOrder, InOrder, InOrder, Again, Late, Again, Again, InOrder]);
        assert_eq!(order.count(), 5, "3 is missing");
    }
}
