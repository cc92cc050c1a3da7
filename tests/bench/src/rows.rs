// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands that are measured, each as clients use it.

use crate::client::{
    Client, NULL, OWNER, Problem, authorised, create, create_primary, plain, sized, split_sized,
};
use crate::public;

/// A row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// How much less often than a quick command it is run.
    pub(crate) divisor: usize,
    /// Its cost is a matter of luck (a search for primes): the mean is what counts.
    pub(crate) is_random: bool,
    /// Makes what it needs, below the storage key.
    pub(crate) prepare: fn(&mut Client, u32) -> Result<Operation, Problem>,
}

/// What is measured; it may leave behind a handle, which is flushed without being measured.
pub(crate) type Operation = Box<dyn FnMut(&mut Client) -> Result<Option<u32>, Problem>>;

type Prepared = Result<Operation, Problem>;

const fn row(name: &'static str, prepare: fn(&mut Client, u32) -> Prepared) -> Row {
    Row { name, divisor: 1, is_random: false, prepare }
}

const fn slow(
    name: &'static str,
    divisor: usize,
    prepare: fn(&mut Client, u32) -> Prepared,
) -> Row {
    Row { name, divisor, is_random: false, prepare }
}

const fn search(
    name: &'static str,
    divisor: usize,
    prepare: fn(&mut Client, u32) -> Prepared,
) -> Row {
    Row { name, divisor, is_random: true, prepare }
}

/// SHA-256 PCRs 0 to 7.
const PCR_SELECTION: [u8; 10] = [0, 0, 0, 1, 0, 0xb, 3, 0xff, 0, 0];
const RSASSA: [u8; 4] = [0, 0x14, 0, 0xb];
const RSAPSS: [u8; 4] = [0, 0x16, 0, 0xb];
const OAEP: [u8; 6] = [0, 0x17, 0, 0xb, 0, 0];
const ECDSA: [u8; 4] = [0, 0x18, 0, 0xb];
const SHA256: [u8; 2] = [0, 0xb];
/// The NULL ticket of a hash.
const NO_TICKET: [u8; 8] = [0x80, 0x24, 0x40, 0, 0, 7, 0, 0];
/// An ordinary index and a counter, which the owner reads and writes.
const INDEX: u32 = 0x0180_0f00;
const ORDINARY: u32 = 0x0206_0006;
const COUNTER: u32 = 0x0206_0016;
const KIB: [u8; 1024] = [0x5a; 1024];

/// All rows.
pub(crate) const ROWS: &[Row] = &[
    slow("SelfTest, full", 20, |_, _| always(plain(0x143, &[], &[1]))),
    row("GetCapability, 64 properties", |_, _| {
        always(plain(0x17a, &[], &[6, 0x100, 64].map(u32::to_be_bytes).concat()))
    }),
    row("GetRandom, 32", |_, _| always(plain(0x17b, &[], &[0, 32]))),
    row("PCR_Read, 8 of SHA-256", |_, _| always(plain(0x17e, &[], &PCR_SELECTION))),
    row("PCR_Extend, SHA-256", |_, _| {
        each(|client| {
            let digest = client.octets::<32>();
            let parameters = [&[0, 0, 0, 1][..], &SHA256, &digest].concat();
            client.send(&authorised(0x182, &[16], &parameters)).map(|_| None)
        })
    }),
    search("CreatePrimary, RSA-2048", 2, |_, _| {
        each(|client| {
            let mut public = public::RSA_STORAGE.to_vec();
            public.truncate(public::RSA_STORAGE.len() - 2);
            public.extend(sized(&client.octets::<256>()));
            client.send_for_handle(&create_primary(OWNER, &public)).map(Some)
        })
    }),
    slow("CreatePrimary, P-256", 2, |_, _| new_ecc_primary(3, 128)),
    slow("CreatePrimary, P-384", 4, |_, _| new_ecc_primary(4, 256)),
    slow("CreatePrimary, P-256 as Linux' NULL key", 2, |_, _| {
        let command = create_primary(NULL, &public::ecc_storage(3, 128, &[]));
        each(move |client| client.send_for_handle(&command).map(Some))
    }),
    search("Create, RSA-2048", 2, |_, key| always(create(key, &public::RSA_SIGN, &[]))),
    search("Create, RSA-3072", 12, |_, key| always(create(key, &public::RSA_3072, &[]))),
    slow("Create, P-256", 2, |_, key| always(create(key, &public::P256_SIGN, &[]))),
    slow("Create, P-384", 4, |_, key| always(create(key, &public::P384_SIGN, &[]))),
    row("Create, sealed, 32", |_, key| always(create(key, &public::SEALED, &[7; 32]))),
    row("Load, RSA-2048", |client, key| loads(client, key, &public::RSA_SIGN)),
    row("Load, P-256", |client, key| loads(client, key, &public::P256_SIGN)),
    row("Sign, RSASSA 2048", |client, key| signs(client, key, &public::RSA_SIGN, &RSASSA)),
    row("Sign, RSAPSS 2048", |client, key| signs(client, key, &public::RSA_SIGN, &RSAPSS)),
    row("Sign, ECDSA P-256", |client, key| signs(client, key, &public::P256_SIGN, &ECDSA)),
    row("VerifySignature, RSASSA 2048", |client, key| {
        verifies(client, key, &public::RSA_SIGN, &RSASSA)
    }),
    row("VerifySignature, ECDSA P-256", |client, key| {
        verifies(client, key, &public::P256_SIGN, &ECDSA)
    }),
    row("Quote, RSASSA 2048", |client, key| quotes(client, key, &public::RSA_ATTEST)),
    row("Quote, ECDSA P-256", |client, key| quotes(client, key, &public::P256_ATTEST)),
    row("ContextSave and ContextLoad, RSA-2048", |client, parent| {
        let key = client.new_key(parent, &public::RSA_SIGN)?;
        each(move |client| {
            let context = client.send(&plain(0x162, &[key], &[]))?;
            client.send_for_handle(&plain(0x161, &[], &context)).map(Some)
        })
    }),
    row("ReadPublic, RSA-2048", |client, parent| {
        let key = client.new_key(parent, &public::RSA_SIGN)?;
        always(plain(0x173, &[key], &[]))
    }),
    row("ECDH_KeyGen, P-256", |client, parent| {
        let key = client.new_key(parent, &public::P256_DECRYPT)?;
        always(plain(0x163, &[key], &[]))
    }),
    row("ECDH_ZGen, P-256", |client, parent| {
        let key = client.new_key(parent, &public::P256_DECRYPT)?;
        let generated = client.send(&plain(0x163, &[key], &[]))?;
        let (_, point) = split_sized(&generated)?;
        always(authorised(0x154, &[key], point))
    }),
    row("RSA_Encrypt, OAEP 2048", |client, parent| {
        let key = client.new_key(parent, &public::RSA_DECRYPT)?;
        always(encrypts(key))
    }),
    row("RSA_Decrypt, OAEP 2048", |client, parent| {
        let key = client.new_key(parent, &public::RSA_DECRYPT)?;
        let encrypted = client.send(&encrypts(key))?;
        let parameters = [&encrypted[..], &OAEP].concat();
        always(authorised(0x159, &[key], &parameters))
    }),
    row("Unseal, 32", |client, parent| {
        let sealed = seal(client, parent)?;
        let key = client.send_for_handle(&authorised(0x157, &[parent], &sealed))?;
        always(authorised(0x15e, &[key], &[]))
    }),
    row("Load, Unseal and FlushContext", |client, parent| {
        let load = authorised(0x157, &[parent], &seal(client, parent)?);
        each(move |client| {
            let key = client.send_for_handle(&load)?;
            client.send(&authorised(0x15e, &[key], &[]))?;
            client.flush(key).map(|()| None)
        })
    }),
    row("EncryptDecrypt2, AES-128-CFB, 1 KiB", |client, parent| {
        let key = client.new_key(parent, &public::AES)?;
        let parameters = [&sized(&KIB)[..], &[0, 0, 0x43], &sized(&[0; 16])].concat();
        always(authorised(0x193, &[key], &parameters))
    }),
    row("HMAC, SHA-256, 1 KiB", |client, parent| {
        let key = client.new_key(parent, &public::HMAC)?;
        always(authorised(0x155, &[key], &[&sized(&KIB)[..], &SHA256].concat()))
    }),
    row("Hash, SHA-256, 1 KiB", |_, _| {
        let parameters = [&sized(&KIB)[..], &SHA256, &NULL.to_be_bytes()].concat();
        always(plain(0x17d, &[], &parameters))
    }),
    slow("a hash sequence of 1 MiB", 20, |_, _| each(hash_sequence)),
    row("StartAuthSession and PolicyPCR", |_, _| {
        each(|client| {
            let handles = [NULL, NULL];
            let nonce = sized(&client.octets::<16>());
            let parameters = [&nonce[..], &[0, 0, 1, 0, 0x10, 0, 0xb]].concat();
            let session = client.send_for_handle(&plain(0x176, &handles, &parameters))?;
            let policy = [&[0, 0][..], &PCR_SELECTION].concat();
            client.send(&plain(0x17f, &[session], &policy)).map(|_| Some(session))
        })
    }),
    slow("NV_DefineSpace and NV_UndefineSpace", 4, |client, _| {
        undefine(client);
        let define = define(ORDINARY, 64);
        each(move |client| {
            client.send(&define)?;
            client.send(&authorised(0x122, &[OWNER, INDEX], &[])).map(|_| None)
        })
    }),
    row("NV_Write, 64", |client, _| writes::<64>(client)),
    row("NV_Write, 1024", |client, _| writes::<1024>(client)),
    row("NV_Read, 64", |client, _| reads(client, 64)),
    row("NV_Read, 1024", |client, _| reads(client, 1024)),
    row("NV_Increment", |client, _| {
        undefine(client);
        client.send(&define(COUNTER, 8))?;
        always(authorised(0x134, &[OWNER, INDEX], &[]))
    }),
];

fn each(operation: impl FnMut(&mut Client) -> Result<Option<u32>, Problem> + 'static) -> Prepared {
    Ok(Box::new(operation))
}

/// The same command each time, which leaves nothing behind.
fn always(command: Vec<u8>) -> Prepared {
    each(move |client| client.send(&command).map(|_| None))
}

fn new_ecc_primary(curve: u8, cipher_bits: u16) -> Prepared {
    each(move |client| {
        let unique = client.octets::<64>();
        let public = public::ecc_storage(curve, cipher_bits, &unique);
        client.send_for_handle(&create_primary(OWNER, &public)).map(Some)
    })
}

fn loads(client: &mut Client, parent: u32, public: &[u8]) -> Prepared {
    let command = authorised(0x157, &[parent], &client.create(parent, public)?);
    each(move |client| client.send_for_handle(&command).map(Some))
}

fn sign(key: u32, digest: &[u8; 32], scheme: &[u8]) -> Vec<u8> {
    authorised(0x15d, &[key], &[&sized(digest)[..], scheme, &NO_TICKET].concat())
}

fn signs(client: &mut Client, parent: u32, public: &[u8], scheme: &'static [u8]) -> Prepared {
    let key = client.new_key(parent, public)?;
    each(move |client| {
        let digest = client.octets::<32>();
        client.send(&sign(key, &digest, scheme)).map(|_| None)
    })
}

fn verifies(client: &mut Client, parent: u32, public: &[u8], scheme: &[u8]) -> Prepared {
    let key = client.new_key(parent, public)?;
    let digest = client.octets::<32>();
    let signed = client.send(&sign(key, &digest, scheme))?;
    // Behind the size of the parameters, and before the session.
    let signature = signed.get(4..signed.len() - 5).ok_or("no signature")?;
    always(plain(0x177, &[key], &[&sized(&digest)[..], signature].concat()))
}

fn quotes(client: &mut Client, parent: u32, public: &[u8]) -> Prepared {
    let key = client.new_key(parent, public)?;
    each(move |client| {
        let nonce = sized(&client.octets::<20>());
        let parameters = [&nonce[..], &[0, 0x10], &PCR_SELECTION].concat();
        client.send(&authorised(0x158, &[key], &parameters)).map(|_| None)
    })
}

fn encrypts(key: u32) -> Vec<u8> {
    plain(0x174, &[key], &[&sized(&[9; 32])[..], &OAEP].concat())
}

fn seal(client: &mut Client, parent: u32) -> Result<Vec<u8>, Problem> {
    let body = client.send(&create(parent, &public::SEALED, &[7; 32]))?;
    let (private, rest) = split_sized(body.get(4..).ok_or("no parameters")?)?;
    Ok([private, split_sized(rest)?.0].concat())
}

fn hash_sequence(client: &mut Client) -> Result<Option<u32>, Problem> {
    let sequence = client.send_for_handle(&plain(0x186, &[], &[&[0, 0][..], &SHA256].concat()))?;
    let update = authorised(0x15c, &[sequence], &sized(&KIB));
    for _ in 1..1024 {
        client.send(&update)?;
    }
    let complete = [&sized(&KIB)[..], &NULL.to_be_bytes()].concat();
    client.send(&authorised(0x13e, &[sequence], &complete)).map(|_| None)
}

fn define(attributes: u32, size: u16) -> Vec<u8> {
    let index = INDEX.to_be_bytes();
    let size = size.to_be_bytes();
    let public = [&index[..], &SHA256, &attributes.to_be_bytes(), &[0, 0], &size].concat();
    authorised(0x12a, &[OWNER], &[&[0, 0][..], &sized(&public)].concat())
}

/// Undefines the index, if another row has defined it.
fn undefine(client: &mut Client) {
    let _was_defined = client.send(&authorised(0x122, &[OWNER, INDEX], &[])).is_ok();
}

fn writes<const N: usize>(client: &mut Client) -> Prepared {
    undefine(client);
    client.send(&define(ORDINARY, 1024))?;
    each(|client| {
        let parameters = [&sized(&client.octets::<N>())[..], &[0, 0]].concat();
        client.send(&authorised(0x137, &[OWNER, INDEX], &parameters)).map(|_| None)
    })
}

fn reads(client: &mut Client, size: u16) -> Prepared {
    let mut write = writes::<1024>(client)?;
    write(client)?;
    let parameters = [size.to_be_bytes(), [0, 0]].concat();
    always(authorised(0x14e, &[OWNER, INDEX], &parameters))
}
