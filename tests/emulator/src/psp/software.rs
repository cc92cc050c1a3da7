// SPDX-License-Identifier: MIT OR Apache-2.0
//! The secure processor for tests on the host: reports and certificates without a machine.

use igvm_defs::IGVM_VHS_SNP_ID_BLOCK;
use snp_abi::{
    PAGE_SIZE, Vmpl,
    guest_request::{ReportRequest, status},
    launch::{Digest, GuestPolicy},
    report::REPORT_SIZE,
};
use zerocopy::FromZeros;

use super::{
    Entropy, certificate,
    chip::Chip,
    launch::{Guest, LaunchContext},
    report,
};

/// No message is ever sealed here: the guest's keys needn't be secret.
struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0x5a);
    }
}

/// A secure processor with one guest, whose launch is finished.
pub struct SoftwarePsp {
    chip: Chip,
    guest: Guest,
}

impl SoftwarePsp {
    /// Launches a guest; `None` when the firmware would refuse it.
    #[must_use]
    pub fn launch(
        policy: GuestPolicy,
        digest: Digest,
        id_block: Option<&IGVM_VHS_SNP_ID_BLOCK>,
    ) -> Option<Self> {
        let context = LaunchContext::start(&mut NoEntropy);
        let guest = context.finish(policy, digest, [0; 32], id_block).ok()?;
        Some(Self { chip: Chip::new(Chip::MILAN)?, guest })
    }

    /// The signed report that a guest gets for a level and its data; `None` when the firmware would
    /// refuse it.
    #[must_use]
    pub fn report(&self, vmpl: Vmpl, report_data: [u8; 64]) -> Option<[u8; REPORT_SIZE]> {
        let request =
            ReportRequest { report_data, vmpl: vmpl as u32, ..ReportRequest::new_zeroed() };
        let answer = report::answer(&self.chip, &self.guest, Vmpl::Vmpl0, &request);
        (answer.status == status::SUCCESS).then_some(answer.report)
    }

    /// The table of certificates that comes with an extended guest request; `None` would be a
    /// fault of this crate.
    #[must_use]
    pub fn certificates(&self) -> Option<[u8; PAGE_SIZE]> {
        let mut page = [0; PAGE_SIZE];
        certificate::write_table(&self.chip, &mut page).map(|()| page)
    }
}
