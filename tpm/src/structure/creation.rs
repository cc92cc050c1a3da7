// SPDX-License-Identifier: MIT OR Apache-2.0
//! Creation data (Part 2, 15): the circumstances in which an object was made.

use super::algorithm::AlgorithmId;
use super::attributes::LocalityAttributes;
use super::digest::{Data, Name};
use super::pcr_selection::PcrSelectionList;
use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::wire::{Marshal, Result, Writer};

/// TPMS_CREATION_DATA.
#[derive(Clone, Debug)]
pub struct CreationData {
    /// The PCRs that the caller named.
    pub pcr_select: PcrSelectionList,
    /// Their digest with the object's Name algorithm.
    pub pcr_digest: Digest,
    /// The locality of the command.
    pub locality: LocalityAttributes,
    /// Name algorithm of the parent; TPM_ALG_NULL below a hierarchy.
    pub parent_name_algorithm: Option<HashAlgorithm>,
    /// Name of the parent, or the hierarchy's handle.
    pub parent_name: Name,
    /// Qualified Name of the parent, or the hierarchy's handle.
    pub parent_qualified_name: Name,
    /// What the caller wanted to associate.
    pub outside_info: Data,
}

impl Marshal for CreationData {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.pcr_select)?;
        writer.value(&self.pcr_digest)?;
        writer.value(&self.locality)?;
        writer.value(&self.parent_name_algorithm.map_or(AlgorithmId::NULL.0, HashAlgorithm::id))?;
        writer.value(&self.parent_name)?;
        writer.value(&self.parent_qualified_name)?;
        writer.value(&self.outside_info)
    }
}
