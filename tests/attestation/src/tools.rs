// SPDX-License-Identifier: MIT OR Apache-2.0
//! A second client, which isn't ours: keys and quote by tpm2-tools in the guest, and the report by
//! the kernel's configfs through the shell. On the other side, too, tpm2-tools can take our place
//! once the platform is believed: they make a credential and check the quote without a TPM.

use std::{fs, path::PathBuf, process::Command};

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
tpm2_quote -Q -c ak.ctx -l sha256:0,1,2,3,4,5,6,7,8,9 -q $nonce -m quote -s quote.sig \
    -o quote.pcrs -g sha256
tpm2_readpublic -Q -c ak.ctx -f pem -o ak.pem
tpm2_checkquote -Q -u ak.pem -m quote -s quote.sig -f quote.pcrs -g sha256 -q $nonce
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
/// A command failed, or tpm2-tools on this side come to another conclusion than the verifier.
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
    let activation = match credential(&evidence, &nonce, reference)? {
        None => None,
        Some((secret, credential)) => {
            let returned = activate(machine, &credential.to_file())?;
            Some(Activation { secret, returned })
        }
    };
    let question = Question { nonce: &nonce, chain: None, activation: activation.as_ref() };
    let (verdict, _) = verify(&evidence, &question, reference);
    if verdict.is_accepted() {
        Tools::new(machine)?.converse(machine, &nonce)?;
    }
    Ok(verdict)
}

/// Has the guest open a credential.
fn activate(machine: &mut Machine, credential: &[u8]) -> Result<Vec<u8>> {
    machine.run_with_input("cat >credential", credential)?;
    let returned = machine.check(ACTIVATE)?;
    hex::decode(returned.trim()).map_err(|error| Failure::new(error.to_string()))
}

fn file(machine: &mut Machine, name: &str) -> Result<Vec<u8>> {
    let ran = machine.run(&format!("cat {name}"))?;
    if ran.code == 0 { Ok(ran.stdout) } else { Err(Failure::new(format!("no file {name}"))) }
}

/// tpm2-tools of this side, in a folder with what came from the guest.
struct Tools {
    folder: PathBuf,
}

impl Tools {
    fn new(machine: &mut Machine) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("attestation-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(failed)?;
        let tools = Self { folder };
        for name in ["ek.pub", "ak.name", "ak.pem", "quote", "quote.sig"] {
            fs::write(tools.path(name), file(machine, name)?).map_err(failed)?;
        }
        Ok(tools)
    }

    /// A credential of theirs is opened in the guest, and they believe the quote.
    fn converse(&self, machine: &mut Machine, nonce: &[u8]) -> Result<()> {
        let secret: [u8; 32] = random()?;
        fs::write(self.path("secret"), secret).map_err(failed)?;
        let name = hex::encode(fs::read(self.path("ak.name")).map_err(failed)?);
        let line = format!("makecredential -T none -u ek.pub -s secret -n {name} -o made");
        self.run(&line)?;
        let returned = activate(machine, &fs::read(self.path("made")).map_err(failed)?)?;
        if returned != secret {
            return Err(Failure::new("another secret came back from tpm2_makecredential's"));
        }
        let check = "checkquote -u ak.pem -m quote -s quote.sig -g sha256 -q";
        self.run(&format!("{check} {}", hex::encode(nonce)))?;
        let other: [u8; 64] = random()?;
        match self.run(&format!("{check} {}", hex::encode(other))) {
            Ok(()) => Err(Failure::new("tpm2_checkquote believes a quote for another nonce")),
            Err(_) => Ok(()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn run(&self, line: &str) -> Result<()> {
        let output = Command::new("tpm2").args(line.split(' ')).current_dir(&self.folder).output();
        let output = output.map_err(|error| Failure::new(format!("tpm2-tools: {error}")))?;
        if output.status.success() {
            return Ok(());
        }
        let messages = String::from_utf8_lossy(&output.stderr);
        Err(Failure::new(format!("tpm2 {line}: {messages}")))
    }
}

impl Drop for Tools {
    fn drop(&mut self) {
        // What can't be removed stays: it holds nothing secret.
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn failed(error: std::io::Error) -> Failure {
    Failure::new(error.to_string())
}
