// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Linux gives: reports through configfs-tsm (Documentation/ABI/testing/configfs-tsm-report),
//! the TPM's device, the event log as an ACPI table.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use crate::command::Tpm;

/// Where configfs shows reports.
pub const REPORTS: &str = "/sys/kernel/config/tsm/report";
/// The TPM, behind the kernel's resource manager.
pub const TPM_DEVICE: &str = "/dev/tpmrm0";
/// The ACPI table whose body is the event log.
pub const EVENT_LOG: &str = "/sys/firmware/acpi/tables/OEMT";
/// Bytes of an ACPI table's header.
const ACPI_HEADER_BYTES: usize = 36;
/// The vTPM service of SVSMs (AMD 58019, chapter 8).
const VTPM_SERVICE: &str = "c476f1eb-0123-45a5-9641-b4e7dde5bfe3";

/// What the SVSM was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The manifest of all services.
    All,
    /// The vTPM's manifest, in this version.
    Vtpm(u32),
}

/// What the SVSM gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The attestation report.
    pub report: Vec<u8>,
    /// The table of certificates; empty when the host has none.
    pub certificates: Vec<u8>,
    /// The manifest.
    pub manifest: Vec<u8>,
}

/// Where reports come from: the kernel, or a test.
pub trait Reports {
    /// A report of VMPL0 about the nonce and the manifest.
    ///
    /// # Errors
    /// The kernel's.
    fn report(&mut self, nonce: &[u8; 64], service: Service) -> io::Result<Report>;
}

/// configfs-tsm.
#[derive(Clone, Debug)]
pub struct ConfigFs {
    /// The folder with one folder for each request.
    pub reports: PathBuf,
}

impl Default for ConfigFs {
    fn default() -> Self {
        Self { reports: PathBuf::from(REPORTS) }
    }
}

/// A request's folder; making and removing it is how configfs is spoken to.
struct Request(PathBuf);

impl Request {
    fn create(reports: &Path) -> io::Result<Self> {
        let folder = reports.join(format!("attest-{}", std::process::id()));
        fs::create_dir(&folder)?;
        Ok(Self(folder))
    }

    fn write(&self, attribute: &str, value: &[u8]) -> io::Result<()> {
        // configfs wants one write, and nothing created or cut.
        let mut file = OpenOptions::new().write(true).open(self.0.join(attribute))?;
        file.write_all(value).map_err(|error| named(attribute, &error))
    }

    fn read(&self, attribute: &str) -> io::Result<Vec<u8>> {
        fs::read(self.0.join(attribute)).map_err(|error| named(attribute, &error))
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.0) {
            eprintln!("attest-agent: {}: {error}", self.0.display());
        }
    }
}

fn named(attribute: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{attribute}: {error}"))
}

impl Reports for ConfigFs {
    fn report(&mut self, nonce: &[u8; 64], service: Service) -> io::Result<Report> {
        let request = Request::create(&self.reports)?;
        request.write("service_provider", b"svsm")?;
        if let Service::Vtpm(version) = service {
            request.write("service_guid", VTPM_SERVICE.as_bytes())?;
            request.write("service_manifest_version", version.to_string().as_bytes())?;
        }
        request.write("inblob", nonce)?;
        let report = request.read("outblob")?;
        // A host without certificates leaves this one empty, which older kernels call an error.
        let certificates = request.read("auxblob").unwrap_or_default();
        let manifest = request.read("manifestblob")?;
        // The three belong together only if nobody asked in between.
        let generation = request.read("generation")?;
        let changes = if matches!(service, Service::All) { "2" } else { "4" };
        if generation.trim_ascii() != changes.as_bytes() {
            return Err(io::Error::other("somebody else changed the request"));
        }
        Ok(Report { report, certificates, manifest })
    }
}

/// The TPM's device. Whatever is loaded through it goes when it is closed.
pub struct Device(File);

impl Device {
    /// Opens it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new().read(true).write(true).open(path).map(Self)
    }
}

impl Tpm for Device {
    fn transmit(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        self.0.write_all(command)?;
        let mut response = vec![0; 4096];
        let length = self.0.read(&mut response)?;
        response.truncate(length);
        Ok(response)
    }
}

/// The event log.
///
/// # Errors
/// The kernel's, or a table without a body.
pub fn event_log(table: &Path) -> io::Result<Vec<u8>> {
    let bytes = fs::read(table)?;
    bytes
        .get(ACPI_HEADER_BYTES..)
        .map(<[u8]>::to_vec)
        .ok_or_else(|| io::Error::other("the ACPI table is too short"))
}
