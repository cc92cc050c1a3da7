// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM_ST, structure tags (Part 2, 6.9).

use crate::wire::wire_enum;

wire_enum! {
    /// TPM_ST: what a structure is. Any other value is TPM_RC_TAG.
    StructureTag: u16, else TAG {
        /// A response to a command whose tag was not understood.
        ResponseCommand = 0x00c4,
        /// A structure without a tag of its own.
        Null = 0x8000,
        /// A command or response without an authorisation area.
        NoSessions = 0x8001,
        /// A command or response with an authorisation area.
        Sessions = 0x8002,
        /// Attestation of NV contents.
        AttestNv = 0x8014,
        /// Attestation of the command audit digest.
        AttestCommandAudit = 0x8015,
        /// Attestation of a session audit digest.
        AttestSessionAudit = 0x8016,
        /// Attestation of an object.
        AttestCertify = 0x8017,
        /// Attestation of PCRs.
        AttestQuote = 0x8018,
        /// Attestation of the time.
        AttestTime = 0x8019,
        /// Attestation of an object's creation.
        AttestCreation = 0x801a,
        /// Attestation of the digest of NV contents.
        AttestNvDigest = 0x801c,
        /// Ticket: the TPM created an object.
        Creation = 0x8021,
        /// Ticket: the TPM verified a signature.
        Verified = 0x8022,
        /// Ticket: the TPM made the digest, and the message does not look like its own.
        HashCheck = 0x8024,
        /// Ticket: authorisation by TPM2_PolicySecret.
        AuthSecret = 0x8023,
        /// Ticket: authorisation by TPM2_PolicySigned.
        AuthSigned = 0x8025,
    }
}
