// SPDX-License-Identifier: MIT OR Apache-2.0
//! Creation data, its digest and its ticket (Part 1, 27.6; Part 2, 10.7.3 and 15).

use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::pipeline::Context;
use crate::structure::attributes::LocalityAttributes;
use crate::structure::creation::CreationData;
use crate::structure::digest::{Data, Name};
use crate::structure::handle::Handle;
use crate::structure::pcr_selection::PcrSelectionList;
use crate::structure::tag::StructureTag;
use crate::structure::ticket::Ticket;
use crate::wire::{Result, Writer};

/// Octets of the longest creation data.
const CREATION_SIZE_MAX: usize = 512;

/// What a caller wants to be said of the creation.
pub struct Circumstances {
    /// The parent: an object or a hierarchy.
    pub parent: Handle,
    /// Data of the caller.
    pub outside_info: Data,
    /// PCRs whose values are to be recorded.
    pub pcrs: PcrSelectionList,
}

impl Circumstances {
    /// Writes creationData, creationHash and creationTicket of an object with this Name.
    pub fn write(
        self,
        context: &Context<'_>,
        algorithm: HashAlgorithm,
        name: &Name,
        response: &mut Writer<'_>,
    ) -> Result<()> {
        let parent = self.parent;
        let hierarchy = context.state.find_object(parent).map_or(parent, |object| object.hierarchy);
        let data = self.data(context, algorithm)?;
        let mut buffer = [0; CREATION_SIZE_MAX];
        let mut writer = Writer::new(&mut buffer);
        writer.value(&data)?;
        let digest = algorithm.digest(&[writer.written()]);
        response.sized_bytes(writer.written())?;
        response.value(&digest)?;
        response.value(&ticket(context, hierarchy, name, &digest))
    }

    fn data(self, context: &Context<'_>, algorithm: HashAlgorithm) -> Result<CreationData> {
        let parent = context.state.find_object(self.parent);
        let handle = Name::new(&self.parent.0.to_be_bytes())?;
        let pcr_select = context.state.pcrs.existing(self.pcrs);
        Ok(CreationData {
            pcr_digest: context.state.pcrs.selected_digest(algorithm, &pcr_select),
            pcr_select,
            locality: LocalityAttributes::of(context.locality),
            parent_name_algorithm: parent.and_then(|parent| parent.public.name_algorithm),
            parent_name: parent.map_or_else(|| handle.clone(), |parent| parent.name.clone()),
            parent_qualified_name: parent
                .map_or_else(|| handle.clone(), |parent| parent.qualified_name.clone()),
            outside_info: self.outside_info,
        })
    }
}

/// The ticket of an object's creation: the Name first, then the digest of the creation data.
fn ticket(context: &Context<'_>, hierarchy: Handle, name: &Name, digest: &Digest) -> Ticket {
    context.state.ticket(StructureTag::Creation, hierarchy, &[name, digest])
}
