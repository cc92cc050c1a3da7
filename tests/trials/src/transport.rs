// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a trial needs of a TPM.

/// A TPM that takes commands.
pub trait Transport {
    /// Executes a command: the response.
    fn execute(&mut self, locality: u8, command: &[u8]) -> Vec<u8>;

    /// Takes the power away and gives it back; TPM2_Startup is the caller's.
    fn power_cycle(&mut self);
}
