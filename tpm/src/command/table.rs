// SPDX-License-Identifier: MIT OR Apache-2.0
//! All commands of Part 3, in the order of their codes: handles with their roles, what else the
//! pipeline must know, and the action. A row without an action is a command that isn't
//! implemented: it answers TPM_RC_COMMAND_CODE, and TPM2_GetCapability doesn't list it.

use HandleType::{
    Attached, BaseHierarchy, Clear, Context, Endorsement, Entity, EntityOrNull, Hierarchy,
    HierarchyAuth, HierarchyOrNull, HierarchyPolicy, HmacSession, Lockout, NvAuth, NvIndex, Object,
    ObjectOrNull, Parent, Pcr, PcrOrNull, Platform, PolicySession, Provision, Timer,
};

use super::{
    Command, HandleSlot, HandleType, Role, Traits, act, asymmetric, attached, attestation, audit,
    capability, clock, context, dictionary_attack, duplication, ephemeral, hash_hmac, hierarchy,
    management, miscellaneous, nv, object, pcr, policy, random, session, signing, startup,
    symmetric, testing,
};
use crate::structure::command_code::CommandCode;

const NV: Traits = Traits::NV;
const EXTENSIVE: Traits = Traits::EXTENSIVE;
const FLUSHED: Traits = Traits::FLUSHED;
const RESPONSE: Traits = Traits::RESPONSE_HANDLE;
const DECRYPT: Traits = Traits::DECRYPT;
const ENCRYPT: Traits = Traits::ENCRYPT;
const NO_SESSIONS: Traits = Traits::NO_SESSIONS;
const PRESENCE: Traits = Traits::PRESENCE_SETTABLE;
const PRESENCE_REQUIRED: Traits = Traits::PRESENCE_REQUIRED;
const IN_FAILURE: Traits = Traits::IN_FAILURE_MODE;
const BEFORE_STARTUP: Traits = Traits::BEFORE_STARTUP;
const DENIED: Traits = Traits::DENIED_READ_ONLY;

const fn none(kind: HandleType) -> HandleSlot {
    HandleSlot { kind, role: Role::None }
}

const fn user(kind: HandleType) -> HandleSlot {
    HandleSlot { kind, role: Role::User }
}

const fn admin(kind: HandleType) -> HandleSlot {
    HandleSlot { kind, role: Role::Admin }
}

const fn dup(kind: HandleType) -> HandleSlot {
    HandleSlot { kind, role: Role::Dup }
}

macro_rules! commands {
    ($($code:ident: [$($handle:expr),*], [$($traits:expr),*], $action:expr;)*) => {
        /// Every command, in ascending order of its code.
        pub static COMMANDS: &[Command] = &[$(Command {
            code: CommandCode::$code,
            handles: &[$($handle),*],
            traits: Traits::NONE$(.with($traits))*,
            action: $action,
        },)*];

        const CODES: &[CommandCode] = &[$(CommandCode::$code),*];
    };
}

commands! {
    NV_UNDEFINE_SPACE_SPECIAL: [admin(NvIndex), user(Platform)],
        [PRESENCE, NV, DENIED], Some(nv::undefine_space_special::execute);
    EVICT_CONTROL: [user(Provision), none(Object)],
        [PRESENCE, NV, DENIED], Some(management::evict_control::execute);
    HIERARCHY_CONTROL: [user(BaseHierarchy)],
        [PRESENCE, NV, EXTENSIVE, DENIED], Some(hierarchy::control::execute);
    NV_UNDEFINE_SPACE: [user(Provision), none(NvIndex)],
        [PRESENCE, NV, DENIED], Some(nv::undefine_space::execute);
    CHANGE_EPS: [user(Platform)],
        [PRESENCE, NV, EXTENSIVE, DENIED], Some(hierarchy::change_eps::execute);
    CHANGE_PPS: [user(Platform)],
        [PRESENCE, NV, EXTENSIVE, DENIED], Some(hierarchy::change_pps::execute);
    CLEAR: [user(Clear)], [PRESENCE, NV, EXTENSIVE, DENIED], Some(hierarchy::clear::execute);
    CLEAR_CONTROL: [user(Clear)],
        [PRESENCE, NV, DENIED], Some(hierarchy::clear_control::execute);
    CLOCK_SET: [user(Provision)], [PRESENCE, NV, DENIED], Some(clock::clock_set::execute);
    HIERARCHY_CHANGE_AUTH: [user(HierarchyAuth)],
        [PRESENCE, NV, DECRYPT, DENIED], Some(hierarchy::change_auth::execute);
    NV_DEFINE_SPACE: [user(Provision)],
        [PRESENCE, NV, DECRYPT, DENIED], Some(nv::define_space::execute);
    PCR_ALLOCATE: [user(Platform)], [PRESENCE, NV, DENIED], Some(pcr::allocate::execute);
    PCR_SET_AUTH_POLICY: [user(Platform)],
        [PRESENCE, NV, DECRYPT, DENIED], Some(pcr::set_auth_policy::execute);
    PP_COMMANDS: [user(Platform)],
        [NV, PRESENCE_REQUIRED, DENIED], Some(miscellaneous::pp_commands::execute);
    SET_PRIMARY_POLICY: [user(HierarchyPolicy)],
        [PRESENCE, NV, DECRYPT, DENIED], Some(hierarchy::set_primary_policy::execute);
    // Not implemented: no field upgrade: the image is measured and replaced as a whole.
    FIELD_UPGRADE_START: [admin(Platform), none(Object)], [PRESENCE, DECRYPT], None;
    CLOCK_RATE_ADJUST: [user(Provision)],
        [PRESENCE, DENIED], Some(clock::clock_rate_adjust::execute);
    CREATE_PRIMARY: [user(HierarchyOrNull)],
        [PRESENCE, RESPONSE, DECRYPT, ENCRYPT, DENIED], Some(object::create_primary::execute);
    NV_GLOBAL_WRITE_LOCK: [user(Provision)],
        [PRESENCE, NV, DENIED], Some(nv::global_write_lock::execute);
    GET_COMMAND_AUDIT_DIGEST: [user(Endorsement), user(ObjectOrNull)],
        [NV, DECRYPT, ENCRYPT], Some(attestation::get_command_audit_digest::execute);
    NV_INCREMENT: [user(NvAuth), none(NvIndex)], [NV, DENIED], Some(nv::increment::execute);
    NV_SET_BITS: [user(NvAuth), none(NvIndex)], [NV], Some(nv::set_bits::execute);
    NV_EXTEND: [user(NvAuth), none(NvIndex)], [NV, DECRYPT], Some(nv::extend::execute);
    NV_WRITE: [user(NvAuth), none(NvIndex)], [NV, DECRYPT], Some(nv::write::execute);
    NV_WRITE_LOCK: [user(NvAuth), none(NvIndex)], [NV], Some(nv::write_lock::execute);
    DICTIONARY_ATTACK_LOCK_RESET: [user(Lockout)],
        [NV], Some(dictionary_attack::lock_reset::execute);
    DICTIONARY_ATTACK_PARAMETERS: [user(Lockout)],
        [NV, DENIED], Some(dictionary_attack::parameters::execute);
    NV_CHANGE_AUTH: [admin(NvIndex)], [NV, DECRYPT, DENIED], Some(nv::change_auth::execute);
    PCR_EVENT: [user(PcrOrNull)], [NV, DECRYPT], Some(pcr::event::execute);
    PCR_RESET: [user(Pcr)], [NV], Some(pcr::reset::execute);
    SEQUENCE_COMPLETE: [user(Object)],
        [FLUSHED, DECRYPT, ENCRYPT], Some(hash_hmac::sequence_complete::execute);
    SET_ALGORITHM_SET: [user(Platform)],
        [PRESENCE, NV, DENIED], Some(miscellaneous::set_algorithm_set::execute);
    SET_COMMAND_CODE_AUDIT_STATUS: [user(Provision)],
        [PRESENCE, NV, DENIED], Some(audit::set_command_code_audit_status::execute);
    // Not implemented: no field upgrade.
    FIELD_UPGRADE_DATA: [], [DECRYPT], None;
    INCREMENTAL_SELF_TEST: [], [NV], Some(testing::incremental_self_test::execute);
    SELF_TEST: [], [NV], Some(testing::self_test::execute);
    STARTUP: [], [NV, NO_SESSIONS, BEFORE_STARTUP], Some(startup::startup::execute);
    SHUTDOWN: [], [NV], Some(startup::shutdown::execute);
    STIR_RANDOM: [], [NV, DECRYPT], Some(random::stir_random::execute);
    ACTIVATE_CREDENTIAL: [admin(Object), user(Object)],
        [DECRYPT, ENCRYPT], Some(object::activate_credential::execute);
    CERTIFY: [admin(Object), user(ObjectOrNull)],
        [DECRYPT, ENCRYPT], Some(attestation::certify::execute);
    POLICY_NV: [user(NvAuth), none(NvIndex), none(PolicySession)],
        [DECRYPT], Some(policy::nv::execute);
    CERTIFY_CREATION: [user(ObjectOrNull), none(Object)],
        [DECRYPT, ENCRYPT], Some(attestation::certify_creation::execute);
    DUPLICATE: [dup(Object), none(ObjectOrNull)],
        [DECRYPT, ENCRYPT], Some(duplication::duplicate::execute);
    GET_TIME: [user(Endorsement), user(ObjectOrNull)],
        [DECRYPT, ENCRYPT], Some(attestation::get_time::execute);
    GET_SESSION_AUDIT_DIGEST: [user(Endorsement), user(ObjectOrNull), none(HmacSession)],
        [DECRYPT, ENCRYPT], Some(attestation::get_session_audit_digest::execute);
    NV_READ: [user(NvAuth), none(NvIndex)], [ENCRYPT], Some(nv::read::execute);
    NV_READ_LOCK: [user(NvAuth), none(NvIndex)], [NV], Some(nv::read_lock::execute);
    OBJECT_CHANGE_AUTH: [admin(Object), none(Object)],
        [DECRYPT, ENCRYPT, DENIED], Some(object::change_auth::execute);
    POLICY_SECRET: [user(Entity), none(PolicySession)],
        [DECRYPT, ENCRYPT], Some(policy::secret::execute);
    REWRAP: [user(ObjectOrNull), none(ObjectOrNull)],
        [DECRYPT, ENCRYPT], Some(duplication::rewrap::execute);
    CREATE: [user(Object)], [DECRYPT, ENCRYPT, DENIED], Some(object::create::execute);
    ECDH_Z_GEN: [user(Object)], [DECRYPT, ENCRYPT], Some(asymmetric::ecdh_z_gen::execute);
    HMAC: [user(Object)], [DECRYPT, ENCRYPT], Some(hash_hmac::mac::execute);
    IMPORT: [user(Object)], [DECRYPT, ENCRYPT], Some(duplication::import::execute);
    LOAD: [user(Object)], [RESPONSE, DECRYPT, ENCRYPT], Some(object::load::execute);
    QUOTE: [user(ObjectOrNull)], [DECRYPT, ENCRYPT], Some(attestation::quote::execute);
    RSA_DECRYPT: [user(Object)], [DECRYPT, ENCRYPT], Some(asymmetric::rsa_decrypt::execute);
    HMAC_START: [user(Object)], [RESPONSE, DECRYPT], Some(hash_hmac::mac_start::execute);
    SEQUENCE_UPDATE: [user(Object)], [DECRYPT], Some(hash_hmac::sequence_update::execute);
    SIGN: [user(Object)], [DECRYPT], Some(signing::sign::execute);
    UNSEAL: [user(Object)], [ENCRYPT], Some(object::unseal::execute);
    POLICY_SIGNED: [none(Object), none(PolicySession)],
        [DECRYPT, ENCRYPT], Some(policy::signed::execute);
    CONTEXT_LOAD: [], [RESPONSE, NO_SESSIONS], Some(context::context_load::execute);
    CONTEXT_SAVE: [none(Context)], [NO_SESSIONS], Some(context::context_save::execute);
    ECDH_KEY_GEN: [none(Object)], [ENCRYPT], Some(asymmetric::ecdh_key_gen::execute);
    ENCRYPT_DECRYPT: [user(Object)], [ENCRYPT], Some(symmetric::encrypt_decrypt::execute);
    FLUSH_CONTEXT: [], [NO_SESSIONS], Some(session::flush_context::execute);
    LOAD_EXTERNAL: [], [RESPONSE, DECRYPT, ENCRYPT], Some(object::load_external::execute);
    MAKE_CREDENTIAL: [none(Object)], [DECRYPT, ENCRYPT], Some(object::make_credential::execute);
    NV_READ_PUBLIC: [none(NvIndex)], [ENCRYPT], Some(nv::read_public::execute);
    POLICY_AUTHORIZE: [none(PolicySession)], [DECRYPT], Some(policy::authorize::execute);
    POLICY_AUTH_VALUE: [none(PolicySession)], [], Some(policy::auth_value::execute);
    POLICY_COMMAND_CODE: [none(PolicySession)], [], Some(policy::command_code::execute);
    POLICY_COUNTER_TIMER: [none(PolicySession)], [DECRYPT], Some(policy::counter_timer::execute);
    POLICY_CP_HASH: [none(PolicySession)], [DECRYPT], Some(policy::cp_hash::execute);
    POLICY_LOCALITY: [none(PolicySession)], [], Some(policy::locality::execute);
    POLICY_NAME_HASH: [none(PolicySession)], [DECRYPT], Some(policy::name_hash::execute);
    POLICY_OR: [none(PolicySession)], [], Some(policy::or::execute);
    POLICY_TICKET: [none(PolicySession)], [DECRYPT], Some(policy::ticket::execute);
    READ_PUBLIC: [none(Object)], [ENCRYPT], Some(object::read_public::execute);
    RSA_ENCRYPT: [none(Object)], [DECRYPT, ENCRYPT], Some(asymmetric::rsa_encrypt::execute);
    START_AUTH_SESSION: [none(ObjectOrNull), none(EntityOrNull)],
        [RESPONSE, DECRYPT, ENCRYPT], Some(session::start_auth_session::execute);
    VERIFY_SIGNATURE: [none(Object)], [DECRYPT], Some(signing::verify_signature::execute);
    ECC_PARAMETERS: [], [], Some(asymmetric::ecc_parameters::execute);
    // Not implemented: firmware is not readable: the image is public.
    FIRMWARE_READ: [], [], None;
    GET_CAPABILITY: [], [IN_FAILURE], Some(capability::get_capability::execute);
    GET_RANDOM: [], [ENCRYPT], Some(random::get_random::execute);
    GET_TEST_RESULT: [], [ENCRYPT, IN_FAILURE], Some(testing::get_test_result::execute);
    HASH: [], [DECRYPT, ENCRYPT], Some(hash_hmac::hash::execute);
    PCR_READ: [], [], Some(pcr::read::execute);
    POLICY_PCR: [none(PolicySession)], [DECRYPT], Some(policy::pcr::execute);
    POLICY_RESTART: [none(PolicySession)], [], Some(session::policy_restart::execute);
    READ_CLOCK: [], [], Some(clock::read_clock::execute);
    PCR_EXTEND: [user(PcrOrNull)], [NV], Some(pcr::extend::execute);
    PCR_SET_AUTH_VALUE: [user(Pcr)], [DECRYPT, DENIED], Some(pcr::set_auth_value::execute);
    NV_CERTIFY: [user(ObjectOrNull), user(NvAuth), none(NvIndex)],
        [DECRYPT, ENCRYPT], Some(attestation::nv_certify::execute);
    EVENT_SEQUENCE_COMPLETE: [user(PcrOrNull), user(Object)],
        [NV, FLUSHED, DECRYPT], Some(hash_hmac::event_sequence_complete::execute);
    HASH_SEQUENCE_START: [], [RESPONSE, DECRYPT], Some(hash_hmac::hash_sequence_start::execute);
    POLICY_PHYSICAL_PRESENCE: [none(PolicySession)], [], Some(policy::physical_presence::execute);
    POLICY_DUPLICATION_SELECT: [none(PolicySession)],
        [DECRYPT], Some(policy::duplication_select::execute);
    POLICY_GET_DIGEST: [none(PolicySession)], [ENCRYPT], Some(policy::get_digest::execute);
    TEST_PARMS: [], [], Some(capability::test_parms::execute);
    COMMIT: [user(Object)], [DECRYPT, ENCRYPT], Some(ephemeral::commit::execute);
    POLICY_PASSWORD: [none(PolicySession)], [], Some(policy::password::execute);
    Z_GEN_2_PHASE: [user(Object)], [DECRYPT, ENCRYPT], Some(asymmetric::z_gen_2_phase::execute);
    EC_EPHEMERAL: [], [ENCRYPT], Some(ephemeral::ec_ephemeral::execute);
    POLICY_NV_WRITTEN: [none(PolicySession)], [], Some(policy::nv_written::execute);
    POLICY_TEMPLATE: [none(PolicySession)], [DECRYPT], Some(policy::template::execute);
    CREATE_LOADED: [user(Parent)],
        [PRESENCE, RESPONSE, DECRYPT, ENCRYPT, DENIED], Some(object::create_loaded::execute);
    POLICY_AUTHORIZE_NV: [user(NvAuth), none(NvIndex), none(PolicySession)],
        [], Some(policy::authorize_nv::execute);
    ENCRYPT_DECRYPT_2: [user(Object)],
        [DECRYPT, ENCRYPT], Some(symmetric::encrypt_decrypt_2::execute);
    AC_GET_CAPABILITY: [none(Attached)], [], Some(attached::get_capability::execute);
    AC_SEND: [dup(Object), user(NvAuth), none(Attached)],
        [DECRYPT], Some(attached::send::execute);
    POLICY_AC_SEND_SELECT: [none(PolicySession)],
        [DECRYPT], Some(attached::policy_send_select::execute);
    CERTIFY_X509: [admin(Object), user(ObjectOrNull)],
        [DECRYPT, ENCRYPT], Some(attestation::certify_x509::execute);
    ACT_SET_TIMEOUT: [user(Timer)], [], Some(act::set_timeout::execute);
    ECC_ENCRYPT: [none(Object)], [DECRYPT, ENCRYPT], Some(asymmetric::ecc_encrypt::execute);
    ECC_DECRYPT: [user(Object)], [DECRYPT, ENCRYPT], Some(asymmetric::ecc_decrypt::execute);
    POLICY_CAPABILITY: [none(PolicySession)], [DECRYPT], Some(policy::capability::execute);
    POLICY_PARAMETERS: [none(PolicySession)], [DECRYPT], Some(policy::parameters::execute);
    NV_DEFINE_SPACE_2: [user(Provision)],
        [PRESENCE, NV, DECRYPT, DENIED], Some(nv::define_space_2::execute);
    NV_READ_PUBLIC_2: [none(NvIndex)], [ENCRYPT], Some(nv::read_public_2::execute);
    SET_CAPABILITY: [user(Hierarchy)],
        [NV, DECRYPT, DENIED], Some(capability::set_capability::execute);
    READ_ONLY_CONTROL: [user(Platform)], [PRESENCE], Some(hierarchy::read_only_control::execute);
    POLICY_TRANSPORT_SPDM: [none(PolicySession)],
        [DECRYPT], Some(policy::transport_spdm::execute);
    // Not implemented yet: the commands of version 185 for post-quantum algorithms.
    VERIFY_SEQUENCE_COMPLETE: [user(Object), none(Object)], [FLUSHED], None;
    SIGN_SEQUENCE_COMPLETE: [user(Object), user(Object)], [FLUSHED, DECRYPT], None;
    VERIFY_DIGEST_SIGNATURE: [none(Object)], [DECRYPT], None;
    SIGN_DIGEST: [user(Object)], [DECRYPT], None;
    ENCAPSULATE: [none(Object)], [ENCRYPT], None;
    DECAPSULATE: [user(Object)], [DECRYPT, ENCRYPT], None;
    VERIFY_SEQUENCE_START: [none(Object)], [RESPONSE, DECRYPT], None;
    SIGN_SEQUENCE_START: [user(Object)], [RESPONSE, DECRYPT], None;
}

/// The row of a command.
pub fn find(code: CommandCode) -> Option<&'static Command> {
    let place = COMMANDS.binary_search_by_key(&code, |command| command.code).ok()?;
    COMMANDS.get(place)
}

const _: () = {
    let mut rest: &[CommandCode] = CODES;
    while let [first, behind @ ..] = rest {
        if let [second, ..] = behind {
            assert!(first.0 < second.0, "the table must be sorted by command code");
        }
        rest = behind;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_that_need_authorisation_come_first() {
        for command in COMMANDS {
            let behind = command.handles.iter().skip(command.authorisations());
            assert!(behind.clone().all(|slot| slot.role == Role::None), "{:?}", command.code);
            assert!(command.handles.len() <= crate::state::capacity::HANDLES_MAX);
        }
    }

    #[test]
    fn a_command_without_sessions_needs_no_authorisation() {
        for command in COMMANDS.iter().filter(|row| row.traits.contains(NO_SESSIONS)) {
            assert_eq!(command.authorisations(), 0);
            assert!(!command.traits.contains(DECRYPT) && !command.traits.contains(ENCRYPT));
        }
    }

    #[test]
    fn attribute_words_are_those_of_part_2() {
        let word = |code| find(code).unwrap().attribute_word();
        assert_eq!(word(CommandCode::STARTUP), 0x0040_0144);
        assert_eq!(word(CommandCode::CREATE_PRIMARY), 0x1200_0131);
        assert_eq!(word(CommandCode::CLEAR), 0x02c0_0126);
        assert_eq!(word(CommandCode::SEQUENCE_COMPLETE), 0x0300_013e);
        assert_eq!(word(CommandCode::LOAD), 0x1200_0157);
    }
}
