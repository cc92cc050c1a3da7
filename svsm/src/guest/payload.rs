// SPDX-License-Identifier: MIT OR Apache-2.0
//! The payload on this machine: until it is there, the guest has nothing to start.
use super::kernel_machine::World;
use crate::boot::launch::Inputs;
use crate::snp::termination::Reason;
use snp_abi::config::LaunchConfig;
pub struct GuestEntry {
    pub rip: u64,
    pub rsi: u64,
    pub rsp: u64,
    pub cr3: u64,
    pub gdt_base: u64,
    pub gdt_limit: u32,
    pub code_selector: u16,
    pub data_selector: u16,
    pub calling_area: u64,
    pub secrets_page: u64,
}
pub(super) fn load(_: &World, _: &LaunchConfig, _: Inputs) -> Result<GuestEntry, Reason> {
    Err(Reason::Payload)
}
