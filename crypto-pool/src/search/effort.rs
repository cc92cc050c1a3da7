// SPDX-License-Identifier: MIT OR Apache-2.0
//! The work of one step of a search. Multiplications count themselves, where they are done; what
//! else there is to do is charged as the multiplications that take as long.

use crate::arithmetic::Scratch;

/// What a step may do, and what it did so far, in multiplications of the primes' length.
#[derive(Debug)]
pub(super) struct Effort {
    /// Where the multiplications are done, which counts them.
    pub(super) scratch: Scratch,
    charged: u32,
    budget: u32,
}

impl Effort {
    /// Nothing is done yet.
    pub(super) fn new(budget: u32) -> Self {
        Self { scratch: Scratch::new(), charged: 0, budget }
    }

    /// Counts something that takes as long as `multiplications`.
    pub(super) const fn charge(&mut self, multiplications: u32) {
        self.charged = self.charged.saturating_add(multiplications);
    }

    /// What was done.
    pub(super) const fn done(&self) -> u32 {
        self.scratch.multiplications().saturating_add(self.charged)
    }

    /// Whether the budget is used up.
    pub(super) const fn is_spent(&self) -> bool {
        self.done() >= self.budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::power::small_power;
    use crate::arithmetic::{Backend, Modulus, Power};

    /// What an operation on numbers of `N` limbs adds to the count.
    fn cost<const N: usize>(operation: impl Fn(&Modulus<N>, &mut Scratch, &[u64; N])) -> [u32; 2] {
        [Backend::portable(), Backend::detect()].map(|backend| {
            let modulus = Modulus::new(&[u64::MAX; N], backend).unwrap();
            let mut effort = Effort::new(u32::MAX);
            effort.charge(1000);
            operation(&modulus, &mut effort.scratch, &[3; N]);
            effort.done() - 1000
        })
    }

    /// The numbers that docs/key-pool.md computes with.
    #[test]
    fn multiplications_count_themselves() {
        let multiply = cost::<16>(|modulus, scratch, number| {
            let _product = modulus.multiply(scratch, number, number);
        });
        let square = cost::<16>(|modulus, scratch, number| {
            let _square = modulus.square(scratch, number);
        });
        assert_eq!((multiply, square), ([1; 2], [1; 2]));
        let leave = cost::<16>(|modulus, scratch, number| {
            let _number = modulus.leave(scratch, number);
        });
        let enter = cost::<16>(|modulus, scratch, number| {
            let _residue = modulus.enter(scratch, number);
        });
        assert_eq!((leave, enter), ([1; 2], [11; 2]), "2^1024 takes ten squarings");
        // 30 powers of the base, 1020 squarings, 205 windows.
        let power = cost::<16>(|modulus, scratch, number| {
            let power = Power::new(modulus, scratch, number, number);
            let _result = power.finish(modulus, scratch);
        });
        assert_eq!(power, [1255; 2]);
        let longer = cost::<32>(|modulus, scratch, number| {
            let power = Power::new(modulus, scratch, number, number);
            let _result = power.finish(modulus, scratch);
        });
        assert_eq!(longer, [30 + 2045 + 410; 2]);
        for (exponent, expected) in [(3, 4), (65537, 19), (u32::MAX, 64)] {
            let small = cost::<16>(|modulus, scratch, number| {
                let _result = small_power(modulus, scratch, number, exponent);
            });
            assert_eq!(small, [expected; 2]);
        }
    }

    #[test]
    fn a_budget_is_spent_when_as_much_is_done() {
        let mut effort = Effort::new(3);
        effort.charge(2);
        assert!(!effort.is_spent());
        let modulus = Modulus::new(&[u64::MAX; 8], Backend::detect()).unwrap();
        let _square = modulus.square(&mut effort.scratch, &[3; 8]);
        assert!(effort.is_spent());
        effort.charge(u32::MAX);
        assert_eq!(effort.done(), u32::MAX, "it does not run over");
        assert!(Effort::new(0).is_spent());
    }
}
