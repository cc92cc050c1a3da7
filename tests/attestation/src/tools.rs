// SPDX-License-Identifier: MIT OR Apache-2.0
//! A second client, which isn't ours: keys and quote by tpm2-tools in the guest, and the report by
//! the kernel's configfs through the shell.

use attest::{
    Evidence, Reference, Verdict,
    verify::{Activation, Question, verify},
};
use launcher::{Failure, Machine, Result};

use crate::{credential, random};

/// Asks configfs-tsm for a report about the vTPM with manifest version 0, for `$nonce` in
/// hexadecimal digits. Leaves the parts in files.
const REPORT: &str = r"
entry=/sys/kernel/config/tsm/report/shell
mkdir $entry
(
    set -e
    echo svsm >$entry/service_provider
    echo c476f1eb-0123-45a5-9641-b4e7dde5bfe3 >$entry/service_guid
    printf %s $nonce | xxd -r -p >nonce
    cat nonce >$entry/inblob
    for blob in outblob auxblob manifestblob; do
        cat $entry/$blob >$blob
    done
)
status=$?
rmdir $entry
exit $status
";

/// Keys and a quote about `$nonce`.
const QUOTE: &str = r"
set -e
tpm2_createek -Q -c ek.ctx -G rsa -u ek.pub
tpm2_createak -Q -C ek.ctx -c ak.ctx -G ecc -g sha256 -s ecdsa -u ak.pub -n ak.name
tpm2_quote -Q -c ak.ctx -l sha256:0,1,2,3,4,5,6,7,8,9 -q $nonce -m quote -s quote.sig -g sha256
tpm2_readpublic -Q -c ak.ctx -f pem -o ak.pem
tpm2_checkquote -Q -u ak.pem -m quote -s quote.sig -g sha256 -q $nonce
";

/// Opens the credential in the file `credential`, and prints the secret.
const ACTIVATE: &str = r"
set -e
tpm2_startauthsession -Q --policy-session -S session.ctx
tpm2_policysecret -Q -S session.ctx -c e
tpm2_activatecredential -Q -c ak.ctx -C ek.ctx -P session:session.ctx -i credential -o secret
tpm2_flushcontext session.ctx
xxd -p -c 64 secret
";

/// The whole conversation with manifest version 0 and the RSA endorsement key in it.
///
/// # Errors
/// A command failed in the guest, or the platform is refused.
pub fn converse(machine: &mut Machine, reference: &Reference) -> Result<Verdict> {
    let nonce = random()?;
    let given = format!("nonce={}", hex::encode(nonce));
    machine.check(&format!("{given}\n{REPORT}"))?;
    machine.check(&format!("{given}\n{QUOTE}"))?;
    let evidence = Evidence {
        report: file(machine, "outblob")?,
        certificates: file(machine, "auxblob")?,
        manifest: file(machine, "manifestblob")?,
        manifest_version: 0,
        ek_public: file(machine, "ek.pub")?,
        ak_public: file(machine, "ak.pub")?,
        quote: file(machine, "quote")?,
        signature: file(machine, "quote.sig")?,
        event_log: machine.run("tail -c +37 /sys/firmware/acpi/tables/OEMT")?.stdout,
        ..Evidence::default()
    };
    let (secret, credential) = credential(&evidence, &nonce, reference)?;
    machine.run_with_input("cat >credential", &credential.to_file())?;
    let returned = machine.check(ACTIVATE)?;
    let returned = hex::decode(returned.trim()).map_err(|error| Failure::new(error.to_string()))?;
    let activation = Activation { secret, returned };
    let question = Question { nonce: &nonce, chain: None, activation: Some(&activation) };
    Ok(verify(&evidence, &question, reference).0)
}

fn file(machine: &mut Machine, name: &str) -> Result<Vec<u8>> {
    let ran = machine.run(&format!("cat {name}"))?;
    if ran.code == 0 { Ok(ran.stdout) } else { Err(Failure::new(format!("no file {name}"))) }
}
