// SPDX-License-Identifier: MIT OR Apache-2.0
//! Endorsement certificates as docs/attestation.md has them made and put into the TPM: an issuer
//! with OpenSSL, and tpm2-tools in the guest.

use std::{fs, path::PathBuf, process::Command};

use launcher::{Failure, Machine, Result};

/// An issuer's key and certificate, and an extension file for what it issues.
const KEY: &str = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -sha384 -days 7 \
    -subj /CN=Issuer -keyout issuer.key -out issuer.pem";
const EXTENSIONS: &str = "keyUsage = critical, keyAgreement\nextendedKeyUsage = 2.23.133.8.1\n";
/// A certificate for the key in `ek.pem`.
const ISSUE: &str = "x509 -new -force_pubkey ek.pem -CA issuer.pem -CAkey issuer.key -sha384 \
    -days 7 -subj /CN=vTPM -extfile extensions -outform DER -out ek.der";

/// Puts the certificate in the file `ek.der` where the profile has that of the P-256 key. The
/// platform hierarchy is the guest's, and its password is empty.
const PROVISION: &str = r#"
set -e
refused() {
    if "$@" 2>refusal; then
        exit 1
    fi
}
index=0x1c0000a
size=$(stat -c %s ek.der)
attributes='ppwrite|ppread|ownerread|authread|no_da|platformcreate|writedefine'
tpm2_nvdefine -Q $index -C p -s $size -a $attributes
tpm2_nvwrite -Q $index -C p -i ek.der
tpm2_nvwritelock $index -C p
tpm2_nvread -Q $index -C $index -s $size -o read.der
cmp ek.der read.der
refused tpm2_nvwrite -Q $index -C p -i ek.der
refused tpm2_nvundefine -Q $index -C o

# The owner may do so as well, where the platform did not, and loses it with TPM2_Clear.
tpm2_nvdefine -Q 0x1c00002 -C o -s $size -a 'ownerwrite|ownerread|authread|no_da'
tpm2_nvwrite -Q 0x1c00002 -C o -i ek.der
tpm2_nvread -Q 0x1c00002 -C 0x1c00002 -s $size -o read.der
cmp ek.der read.der
tpm2_nvundefine -Q 0x1c00002 -C o
"#;

/// An issuer, in a folder of its own.
pub struct Issuer {
    folder: PathBuf,
}

impl Issuer {
    /// Makes the issuer's key.
    ///
    /// # Errors
    /// There is no OpenSSL, or it fails.
    pub fn new(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder).map_err(failed)?;
        fs::write(folder.join("extensions"), EXTENSIONS).map_err(failed)?;
        let issuer = Self { folder };
        issuer.openssl(KEY)?;
        Ok(issuer)
    }

    /// Its certificate, in PEM.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn certificate(&self) -> Result<Vec<u8>> {
        fs::read(self.folder.join("issuer.pem")).map_err(failed)
    }

    /// Certifies a P-256 endorsement key, given in PEM, and puts the certificate into the TPM.
    ///
    /// # Errors
    /// OpenSSL or a command in the guest fails.
    pub fn provision(&self, machine: &mut Machine, key: &str) -> Result<()> {
        fs::write(self.folder.join("ek.pem"), key).map_err(failed)?;
        self.openssl(ISSUE)?;
        let certificate = fs::read(self.folder.join("ek.der")).map_err(failed)?;
        machine.run_with_input("cat >ek.der", &certificate)?;
        machine.check(PROVISION).map(drop)
    }

    fn openssl(&self, line: &str) -> Result<()> {
        let mut openssl = Command::new("openssl");
        let ran = openssl.args(line.split_whitespace()).current_dir(&self.folder).output();
        let ran = ran.map_err(failed)?;
        if ran.status.success() {
            return Ok(());
        }
        Err(Failure::new(format!("openssl {line}: {}", String::from_utf8_lossy(&ran.stderr))))
    }
}

fn failed(error: std::io::Error) -> Failure {
    Failure::new(format!("issuer: {error}"))
}
