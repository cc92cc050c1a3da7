// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM_CAP and TPM_PT (Part 2, 6.12, 6.13 and 6.14).

use crate::wire::wire_enum;

wire_enum! {
    /// TPM_CAP: groups of capabilities. Any other value is TPM_RC_VALUE.
    Capability: u32, else VALUE {
        /// Algorithms.
        Algorithms = 0,
        /// Handles.
        Handles = 1,
        /// Commands.
        Commands = 2,
        /// Commands that need physical presence.
        PhysicalPresenceCommands = 3,
        /// Commands that are audited.
        AuditCommands = 4,
        /// PCR banks.
        Pcrs = 5,
        /// Properties of the TPM.
        TpmProperties = 6,
        /// Properties of PCRs.
        PcrProperties = 7,
        /// Curves.
        EccCurves = 8,
        /// Policies of permanent entities.
        AuthPolicies = 9,
        /// Authenticated countdown timers.
        Timers = 10,
        /// Public keys of the TPM.
        PublicKeys = 11,
        /// SPDM sessions.
        SpdmSessions = 12,
        /// What the vendor defines.
        Vendor = 0x100,
    }
}

wire_enum! {
    /// TPM_PT: properties, fixed from 0x100 and variable from 0x200.
    Property: u32, else VALUE {
        /// "2.0".
        FamilyIndicator = 0x100,
        /// The level of the specification.
        Level = 0x101,
        /// The revision times 100.
        Revision = 0x102,
        /// Day of the year of the specification.
        DayOfYear = 0x103,
        /// Year of the specification.
        Year = 0x104,
        /// Vendor ID.
        Manufacturer = 0x105,
        /// First four characters of the vendor's string.
        VendorString1 = 0x106,
        /// Second four characters.
        VendorString2 = 0x107,
        /// Third four characters.
        VendorString3 = 0x108,
        /// Fourth four characters.
        VendorString4 = 0x109,
        /// A value of the vendor for the TPM's type.
        VendorTpmType = 0x10a,
        /// Upper half of the firmware's version.
        FirmwareVersion1 = 0x10b,
        /// Lower half of the firmware's version.
        FirmwareVersion2 = 0x10c,
        /// Octets of a TPM2B_MAX_BUFFER.
        InputBuffer = 0x10d,
        /// Transient objects that fit.
        TransientMinimum = 0x10e,
        /// Persistent objects that fit.
        PersistentMinimum = 0x10f,
        /// Sessions that can be loaded.
        LoadedMinimum = 0x110,
        /// Sessions that can be active.
        ActiveSessionsMaximum = 0x111,
        /// PCRs.
        PcrCount = 0x112,
        /// Fewest octets of a PCR selection.
        PcrSelectMinimum = 0x113,
        /// The greatest difference of the context counters of two saved sessions.
        ContextGapMaximum = 0x114,
        /// NV counters that can be defined; 0 is no limit.
        NvCountersMaximum = 0x116,
        /// Octets of an NV index.
        NvIndexMaximum = 0x117,
        /// TPMA_MEMORY.
        Memory = 0x118,
        /// Milliseconds between writes of Clock to NV.
        ClockUpdate = 0x119,
        /// Hash for the integrity of contexts.
        ContextHash = 0x11a,
        /// Cipher for contexts.
        ContextSymmetric = 0x11b,
        /// Bits of its key.
        ContextSymmetricSize = 0x11c,
        /// Commands between writes of an orderly counter.
        OrderlyCount = 0x11d,
        /// Octets of a command.
        MaxCommandSize = 0x11e,
        /// Octets of a response.
        MaxResponseSize = 0x11f,
        /// Octets of a digest.
        MaxDigest = 0x120,
        /// Octets of a saved object.
        MaxObjectContext = 0x121,
        /// Octets of a saved session.
        MaxSessionContext = 0x122,
        /// Platform specification: family.
        PlatformFamily = 0x123,
        /// Platform specification: level.
        PlatformLevel = 0x124,
        /// Platform specification: revision.
        PlatformRevision = 0x125,
        /// Platform specification: day of the year.
        PlatformDayOfYear = 0x126,
        /// Platform specification: year.
        PlatformYear = 0x127,
        /// Split signing operations at a time.
        SplitMaximum = 0x128,
        /// Implemented commands.
        TotalCommands = 0x129,
        /// Implemented commands of the library.
        LibraryCommands = 0x12a,
        /// Implemented commands of the vendor.
        VendorCommands = 0x12b,
        /// Octets of one NV write.
        NvBufferMaximum = 0x12c,
        /// TPMA_MODES.
        Modes = 0x12d,
        /// Octets of a TPMS_CAPABILITY_DATA.
        MaxCapabilityBuffer = 0x12e,
        /// Security version of the firmware.
        FirmwareSvn = 0x12f,
        /// The greatest security version that the firmware has had.
        FirmwareMaxSvn = 0x130,
        /// TPMA_PERMANENT.
        Permanent = 0x200,
        /// TPMA_STARTUP_CLEAR.
        StartupClear = 0x201,
        /// NV indices defined.
        NvIndices = 0x202,
        /// Sessions loaded.
        Loaded = 0x203,
        /// Sessions that can still be loaded.
        LoadedAvailable = 0x204,
        /// Sessions active.
        Active = 0x205,
        /// Sessions that can still be started.
        ActiveAvailable = 0x206,
        /// Transient objects that can still be loaded.
        TransientAvailable = 0x207,
        /// Persistent objects.
        Persistent = 0x208,
        /// Persistent objects that can still be made.
        PersistentAvailable = 0x209,
        /// NV counters defined.
        NvCounters = 0x20a,
        /// NV counters that can still be defined.
        NvCountersAvailable = 0x20b,
        /// The algorithm set.
        AlgorithmSet = 0x20c,
        /// Curves loaded.
        LoadedCurves = 0x20d,
        /// Failed authorisations.
        LockoutCounter = 0x20e,
        /// Failed authorisations before lockout.
        MaxAuthFail = 0x20f,
        /// Seconds until the counter goes down by one.
        LockoutInterval = 0x210,
        /// Seconds after a failure of lockoutAuth.
        LockoutRecovery = 0x211,
        /// Milliseconds before NV can be written.
        NvWriteRecovery = 0x212,
        /// Upper half of the command audit counter.
        AuditCounter0 = 0x213,
        /// Lower half of the command audit counter.
        AuditCounter1 = 0x214,
    }
}
