// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM_CC (Part 2, 6.5): command codes.

use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer};

/// A command code; not necessarily one that is implemented.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommandCode(pub u32);

macro_rules! codes {
    ($($name:ident = $value:literal, $what:literal;)*) => {
        impl CommandCode {
            $(#[doc = concat!("TPM2_", $what)] pub const $name: Self = Self($value);)*

            /// The command's name in Part 3, without "TPM2_".
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($value => $what,)*
                    _ => "?",
                }
            }
        }
    };
}

codes! {
    NV_UNDEFINE_SPACE_SPECIAL = 0x11f, "NV_UndefineSpaceSpecial";
    EVICT_CONTROL = 0x120, "EvictControl";
    HIERARCHY_CONTROL = 0x121, "HierarchyControl";
    NV_UNDEFINE_SPACE = 0x122, "NV_UndefineSpace";
    CHANGE_EPS = 0x124, "ChangeEPS";
    CHANGE_PPS = 0x125, "ChangePPS";
    CLEAR = 0x126, "Clear";
    CLEAR_CONTROL = 0x127, "ClearControl";
    CLOCK_SET = 0x128, "ClockSet";
    HIERARCHY_CHANGE_AUTH = 0x129, "HierarchyChangeAuth";
    NV_DEFINE_SPACE = 0x12a, "NV_DefineSpace";
    PCR_ALLOCATE = 0x12b, "PCR_Allocate";
    PCR_SET_AUTH_POLICY = 0x12c, "PCR_SetAuthPolicy";
    PP_COMMANDS = 0x12d, "PP_Commands";
    SET_PRIMARY_POLICY = 0x12e, "SetPrimaryPolicy";
    FIELD_UPGRADE_START = 0x12f, "FieldUpgradeStart";
    CLOCK_RATE_ADJUST = 0x130, "ClockRateAdjust";
    CREATE_PRIMARY = 0x131, "CreatePrimary";
    NV_GLOBAL_WRITE_LOCK = 0x132, "NV_GlobalWriteLock";
    GET_COMMAND_AUDIT_DIGEST = 0x133, "GetCommandAuditDigest";
    NV_INCREMENT = 0x134, "NV_Increment";
    NV_SET_BITS = 0x135, "NV_SetBits";
    NV_EXTEND = 0x136, "NV_Extend";
    NV_WRITE = 0x137, "NV_Write";
    NV_WRITE_LOCK = 0x138, "NV_WriteLock";
    DICTIONARY_ATTACK_LOCK_RESET = 0x139, "DictionaryAttackLockReset";
    DICTIONARY_ATTACK_PARAMETERS = 0x13a, "DictionaryAttackParameters";
    NV_CHANGE_AUTH = 0x13b, "NV_ChangeAuth";
    PCR_EVENT = 0x13c, "PCR_Event";
    PCR_RESET = 0x13d, "PCR_Reset";
    SEQUENCE_COMPLETE = 0x13e, "SequenceComplete";
    SET_ALGORITHM_SET = 0x13f, "SetAlgorithmSet";
    SET_COMMAND_CODE_AUDIT_STATUS = 0x140, "SetCommandCodeAuditStatus";
    FIELD_UPGRADE_DATA = 0x141, "FieldUpgradeData";
    INCREMENTAL_SELF_TEST = 0x142, "IncrementalSelfTest";
    SELF_TEST = 0x143, "SelfTest";
    STARTUP = 0x144, "Startup";
    SHUTDOWN = 0x145, "Shutdown";
    STIR_RANDOM = 0x146, "StirRandom";
    ACTIVATE_CREDENTIAL = 0x147, "ActivateCredential";
    CERTIFY = 0x148, "Certify";
    POLICY_NV = 0x149, "PolicyNV";
    CERTIFY_CREATION = 0x14a, "CertifyCreation";
    DUPLICATE = 0x14b, "Duplicate";
    GET_TIME = 0x14c, "GetTime";
    GET_SESSION_AUDIT_DIGEST = 0x14d, "GetSessionAuditDigest";
    NV_READ = 0x14e, "NV_Read";
    NV_READ_LOCK = 0x14f, "NV_ReadLock";
    OBJECT_CHANGE_AUTH = 0x150, "ObjectChangeAuth";
    POLICY_SECRET = 0x151, "PolicySecret";
    REWRAP = 0x152, "Rewrap";
    CREATE = 0x153, "Create";
    ECDH_Z_GEN = 0x154, "ECDH_ZGen";
    HMAC = 0x155, "HMAC";
    IMPORT = 0x156, "Import";
    LOAD = 0x157, "Load";
    QUOTE = 0x158, "Quote";
    RSA_DECRYPT = 0x159, "RSA_Decrypt";
    HMAC_START = 0x15b, "HMAC_Start";
    SEQUENCE_UPDATE = 0x15c, "SequenceUpdate";
    SIGN = 0x15d, "Sign";
    UNSEAL = 0x15e, "Unseal";
    POLICY_SIGNED = 0x160, "PolicySigned";
    CONTEXT_LOAD = 0x161, "ContextLoad";
    CONTEXT_SAVE = 0x162, "ContextSave";
    ECDH_KEY_GEN = 0x163, "ECDH_KeyGen";
    ENCRYPT_DECRYPT = 0x164, "EncryptDecrypt";
    FLUSH_CONTEXT = 0x165, "FlushContext";
    LOAD_EXTERNAL = 0x167, "LoadExternal";
    MAKE_CREDENTIAL = 0x168, "MakeCredential";
    NV_READ_PUBLIC = 0x169, "NV_ReadPublic";
    POLICY_AUTHORIZE = 0x16a, "PolicyAuthorize";
    POLICY_AUTH_VALUE = 0x16b, "PolicyAuthValue";
    POLICY_COMMAND_CODE = 0x16c, "PolicyCommandCode";
    POLICY_COUNTER_TIMER = 0x16d, "PolicyCounterTimer";
    POLICY_CP_HASH = 0x16e, "PolicyCpHash";
    POLICY_LOCALITY = 0x16f, "PolicyLocality";
    POLICY_NAME_HASH = 0x170, "PolicyNameHash";
    POLICY_OR = 0x171, "PolicyOR";
    POLICY_TICKET = 0x172, "PolicyTicket";
    READ_PUBLIC = 0x173, "ReadPublic";
    RSA_ENCRYPT = 0x174, "RSA_Encrypt";
    START_AUTH_SESSION = 0x176, "StartAuthSession";
    VERIFY_SIGNATURE = 0x177, "VerifySignature";
    ECC_PARAMETERS = 0x178, "ECC_Parameters";
    FIRMWARE_READ = 0x179, "FirmwareRead";
    GET_CAPABILITY = 0x17a, "GetCapability";
    GET_RANDOM = 0x17b, "GetRandom";
    GET_TEST_RESULT = 0x17c, "GetTestResult";
    HASH = 0x17d, "Hash";
    PCR_READ = 0x17e, "PCR_Read";
    POLICY_PCR = 0x17f, "PolicyPCR";
    POLICY_RESTART = 0x180, "PolicyRestart";
    READ_CLOCK = 0x181, "ReadClock";
    PCR_EXTEND = 0x182, "PCR_Extend";
    PCR_SET_AUTH_VALUE = 0x183, "PCR_SetAuthValue";
    NV_CERTIFY = 0x184, "NV_Certify";
    EVENT_SEQUENCE_COMPLETE = 0x185, "EventSequenceComplete";
    HASH_SEQUENCE_START = 0x186, "HashSequenceStart";
    POLICY_PHYSICAL_PRESENCE = 0x187, "PolicyPhysicalPresence";
    POLICY_DUPLICATION_SELECT = 0x188, "PolicyDuplicationSelect";
    POLICY_GET_DIGEST = 0x189, "PolicyGetDigest";
    TEST_PARMS = 0x18a, "TestParms";
    COMMIT = 0x18b, "Commit";
    POLICY_PASSWORD = 0x18c, "PolicyPassword";
    Z_GEN_2_PHASE = 0x18d, "ZGen_2Phase";
    EC_EPHEMERAL = 0x18e, "EC_Ephemeral";
    POLICY_NV_WRITTEN = 0x18f, "PolicyNvWritten";
    POLICY_TEMPLATE = 0x190, "PolicyTemplate";
    CREATE_LOADED = 0x191, "CreateLoaded";
    POLICY_AUTHORIZE_NV = 0x192, "PolicyAuthorizeNV";
    ENCRYPT_DECRYPT_2 = 0x193, "EncryptDecrypt2";
    AC_GET_CAPABILITY = 0x194, "AC_GetCapability";
    AC_SEND = 0x195, "AC_Send";
    POLICY_AC_SEND_SELECT = 0x196, "Policy_AC_SendSelect";
    CERTIFY_X509 = 0x197, "CertifyX509";
    ACT_SET_TIMEOUT = 0x198, "ACT_SetTimeout";
    ECC_ENCRYPT = 0x199, "ECC_Encrypt";
    ECC_DECRYPT = 0x19a, "ECC_Decrypt";
    POLICY_CAPABILITY = 0x19b, "PolicyCapability";
    POLICY_PARAMETERS = 0x19c, "PolicyParameters";
    NV_DEFINE_SPACE_2 = 0x19d, "NV_DefineSpace2";
    NV_READ_PUBLIC_2 = 0x19e, "NV_ReadPublic2";
    SET_CAPABILITY = 0x19f, "SetCapability";
    READ_ONLY_CONTROL = 0x1a0, "ReadOnlyControl";
    POLICY_TRANSPORT_SPDM = 0x1a1, "PolicyTransportSPDM";
    VERIFY_SEQUENCE_COMPLETE = 0x1a3, "VerifySequenceComplete";
    SIGN_SEQUENCE_COMPLETE = 0x1a4, "SignSequenceComplete";
    VERIFY_DIGEST_SIGNATURE = 0x1a5, "VerifyDigestSignature";
    SIGN_DIGEST = 0x1a6, "SignDigest";
    ENCAPSULATE = 0x1a7, "Encapsulate";
    DECAPSULATE = 0x1a8, "Decapsulate";
    VERIFY_SEQUENCE_START = 0x1a9, "VerifySequenceStart";
    SIGN_SEQUENCE_START = 0x1aa, "SignSequenceStart";
}

impl CommandCode {
    /// The bit of vendor commands.
    pub const VENDOR: u32 = 0x2000_0000;
}

impl core::fmt::Debug for CommandCode {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{}({:#x})", self.name(), self.0)
    }
}

impl Unmarshal for CommandCode {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        reader.value().map(Self)
    }
}

impl Marshal for CommandCode {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.0)
    }
}
