// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attestation as an unmodified Linux asks for it, through configfs-tsm (Linux,
//! Documentation/ABI/testing/configfs-tsm-report), on a host that limits requests at first.

use attest::manifest::{Manifest, State};
use launcher::{Machine, Options};

/// How many requests the host refuses to pass on at first: more than one call waits for.
const THROTTLED: u32 = 5;
const REPORT_BYTES: usize = 0x4a0;
const VMPL_OFFSET: usize = 0x30;
/// TPMT_PUBLIC of an RSA-2048 endorsement key; in front of it, the table of all services.
const KEY_BYTES: usize = 314;
const TABLE_BYTES: usize = 48;

/// Makes a report entry `r`, and a function that has it made anew: prints report, manifest and
/// certificates in hexadecimal digits, a line each, or fails.
const PREPARE: &str = r#"
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
mkdir /sys/kernel/config/tsm/report/r
cat >/tmp/ask <<'END'
cd /sys/kernel/config/tsm/report/r
dd if=/dev/urandom of=inblob bs=64 count=1 2>/dev/null
for blob in outblob $1; do
    cat $blob >/tmp/blob || exit
    xxd -p /tmp/blob | tr -d '\n'
    echo
done
END
"#;

struct Guest(Machine);

impl Guest {
    fn set(&mut self, attribute: &str, value: &str) {
        let path = format!("/sys/kernel/config/tsm/report/r/{attribute}");
        self.0.check(&format!("echo {value} >{path}")).expect("an attribute");
    }

    /// The blobs with these names behind the report, or why there is none.
    fn ask(&mut self, blobs: &str) -> Result<Vec<Vec<u8>>, String> {
        let command = format!("sh /tmp/ask '{blobs}'");
        let output = self.0.run(&command).expect("it runs");
        if output.code != 0 {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8(output.stdout).expect("digits");
        Ok(text.lines().map(bytes).collect())
    }

    /// A report of the SVSM's, its manifest and certificates.
    fn attested(&mut self) -> [Vec<u8>; 3] {
        let blobs = self.ask("manifestblob auxblob").expect("a report");
        blobs.try_into().expect("three blobs")
    }
}

fn bytes(digits: &str) -> Vec<u8> {
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).expect("digits"))
        .map(|pair| u8::from_str_radix(pair, 16).expect("digits"))
        .collect()
}

#[test]
fn linux_gets_reports_about_services_and_about_itself() {
    let options =
        Options { machine_switches: vec![format!("throttle={THROTTLED}")], ..Options::default() };
    let mut guest = Guest(Machine::boot(&options).expect("the guest comes up"));
    guest.0.check(PREPARE).expect("configfs-tsm");
    services_are_attested(&mut guest);
    the_vtpm_is_attested(&mut guest);
    the_guest_speaks_for_itself_only(&mut guest);
    guest.0.power_off().expect("the guest powers off");
}

/// The host's limit is met first, and outlasted.
fn services_are_attested(guest: &mut Guest) {
    guest.set("service_provider", "svsm");
    let [report, manifest, certificates] = guest.attested();
    assert_eq!((report.len(), report[VMPL_OFFSET]), (REPORT_BYTES, 0));
    assert_eq!(manifest.len(), TABLE_BYTES + KEY_BYTES);
    assert_eq!(usize::from(manifest[16]) | usize::from(manifest[17]) << 8, manifest.len());
    assert!(certificates.len() > 1000, "{} bytes of certificates", certificates.len());
    assert_eq!(endorsement_keys(&manifest, 0), 1);
}

/// How many keys our own verifier finds in a manifest of this version.
fn endorsement_keys(manifest: &[u8], version: u32) -> usize {
    Manifest::parse(manifest, version).expect("a manifest").endorsement_keys.len()
}

fn the_vtpm_is_attested(guest: &mut Guest) {
    guest.set("service_guid", "c476f1eb-0123-45a5-9641-b4e7dde5bfe3");
    let [report, key, _] = guest.attested();
    assert_eq!((report[VMPL_OFFSET], key.len()), (0, KEY_BYTES));
    assert_eq!(endorsement_keys(&key, 0), 1);
    // The key that the guest's own tools get: behind the size of a TPM2B_PUBLIC.
    guest.0.check("tpm2_createek -Q -G rsa -c /tmp/ek.ctx -u /tmp/ek.pub").expect("a key");
    let public = guest.0.check("xxd -p /tmp/ek.pub | tr -d '\\n'").expect("the key");
    assert_eq!(bytes(public.trim())[2..], key);

    guest.set("service_manifest_version", "1");
    let [report, manifest, _] = guest.attested();
    assert_eq!(report[VMPL_OFFSET], 0);
    assert!(manifest.starts_with(b"MCDMvTPM\x01\0\0\0"), "{manifest:02x?}");
    let parsed = Manifest::parse(&manifest, 1).expect("a manifest");
    assert_eq!(parsed.endorsement_keys.len(), 3);
    assert_eq!(parsed.details.map(|details| details.state), Some(State::Ephemeral));
    assert!(manifest.windows(KEY_BYTES).any(|window| window == key), "the same key");

    guest.set("service_manifest_version", "2");
    guest.ask("").expect_err("an unknown version");
    guest.set("service_manifest_version", "0");
    guest.set("service_guid", "c476f1eb-0123-45a5-9641-b4e7dde5bfe4");
    guest.ask("").expect_err("an unknown service");
}

/// Without the SVSM, under the guest's own key for messages: for its own VMPL, and no other.
fn the_guest_speaks_for_itself_only(guest: &mut Guest) {
    guest.0.check("cd /sys/kernel/config/tsm/report && rmdir r && mkdir r").expect("a new entry");
    for privileged in ["0", "1"] {
        let write = format!("echo {privileged} >/sys/kernel/config/tsm/report/r/privlevel");
        assert_ne!(guest.0.run(&write).expect("it runs").code, 0, "VMPL {privileged}");
    }
    guest.set("privlevel", "2");
    let report = guest.ask("").expect("a report").concat();
    assert_eq!((report.len(), report[VMPL_OFFSET]), (REPORT_BYTES, 2));
    let messages = guest.0.check("dmesg").expect("it runs");
    assert!(messages.contains("using VMPCK2 communication key"), "{messages}");
}
