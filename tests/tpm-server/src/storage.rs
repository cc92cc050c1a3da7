// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TPM's state: the same encrypted store as in the SVSM, on a disk image in a file. Its master
//! key lies in another file, which is as safe as the machine that it lies on.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nvstore::{Capacity, Error, Examined, MasterKey, Store, Unrecovered};
use svsm::vtpm::random::Randomness;
use svsm::vtpm::records::StoredRecords;
use zeroize::Zeroizing;

use crate::anchor::StateAnchor;
use crate::disk::{BLOCK_BYTES, Disk};
use crate::host::read_entropy;

/// How state files began before they were disk images.
const FORMER_MAGIC: &[u8] = b"macadamia tpm 1\n";

/// The records of the TPM.
pub(crate) type Records = StoredRecords<Disk, StateAnchor>;

/// Where state and key are; without a state nothing outlives the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateFiles {
    /// The disk image.
    pub(crate) state: PathBuf,
    /// The master key, 32 bytes; by default beside the image with `.key` added to its name.
    pub(crate) key: Option<PathBuf>,
    /// What remembers where the state stands.
    pub(crate) anchor: Option<PathBuf>,
    /// Each commit waits until the host's disk has it.
    pub(crate) syncs: bool,
}

impl StateFiles {
    fn key(&self) -> PathBuf {
        self.key.clone().unwrap_or_else(|| self.beside(".key"))
    }

    /// Where what is in memory is kept when somebody asks for it.
    pub(crate) fn volatile(&self) -> PathBuf {
        self.beside(".volatile")
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.state.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    }

    fn anchor(&self) -> StateAnchor {
        match &self.anchor {
            Some(path) => StateAnchor::File { path: path.clone(), syncs: self.syncs },
            None => StateAnchor::Nowhere,
        }
    }
}

/// Opens the state, or makes a new one where there is none.
pub(crate) fn open(files: Option<&StateFiles>) -> Result<Records, String> {
    let (disk, key) = match files {
        None => (Disk::in_memory(), Key::New(None)),
        Some(files) => {
            refuse_former_format(&files.state)?;
            let disk = Disk::open(&files.state, files.syncs)
                .map_err(|problem| format!("{}: {problem}", files.state.display()))?;
            (disk, Key::find(&files.key())?)
        }
    };
    let place = files.map_or("memory".to_owned(), |files| files.state.display().to_string());
    let anchor = files.map_or(StateAnchor::Nowhere, StateFiles::anchor);
    let store = open_store(disk, key, anchor).map_err(|problem| format!("{place}: {problem}"))?;
    Ok(StoredRecords::new(store))
}

/// The master key, or where to put a new one.
enum Key {
    Known(MasterKey),
    New(Option<PathBuf>),
}

impl Key {
    fn find(path: &Path) -> Result<Self, String> {
        let told = |problem: std::io::Error| format!("{}: {problem}", path.display());
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(problem) if problem.kind() == ErrorKind::NotFound => {
                return Ok(Self::New(Some(path.to_owned())));
            }
            Err(problem) => return Err(told(problem)),
        };
        // One byte more, to see that there is none.
        let mut bytes = Zeroizing::new(Vec::with_capacity(33));
        file.take(33).read_to_end(&mut bytes).map_err(told)?;
        let key = bytes.as_slice().try_into().map(Zeroizing::new);
        let key = key.map_err(|_| format!("{}: a key has 32 bytes", path.display()))?;
        Ok(Self::Known(MasterKey::new(key)))
    }

    /// The key for a new store: a new one is durable before anything is sealed with it.
    fn for_new_store(self) -> Result<MasterKey, String> {
        let path = match self {
            Self::Known(key) => return Ok(key),
            Self::New(path) => path,
        };
        let mut key = Zeroizing::new([0; 32]);
        read_entropy(&mut *key).map_err(|problem| format!("no entropy: {problem}"))?;
        if let Some(path) = path {
            let mut options = OpenOptions::new();
            let written = options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .and_then(|mut file| file.write_all(&*key).and_then(|()| file.sync_all()));
            written.map_err(|problem| format!("{}: {problem}", path.display()))?;
        }
        Ok(MasterKey::new(key))
    }
}

fn open_store(
    disk: Disk,
    key: Key,
    anchor: StateAnchor,
) -> Result<Store<Disk, StateAnchor>, String> {
    let told = |error: Error| error.to_string();
    let mut random = Randomness::new(|bytes: &mut [u8]| read_entropy(bytes).is_ok());
    match Unrecovered::new(disk).examine(Capacity::for_tpm(BLOCK_BYTES)).map_err(told)? {
        Examined::Unformatted(empty) => {
            empty.format(&key.for_new_store()?, anchor, &mut random).map_err(told)
        }
        Examined::Formatted(found) => match key {
            Key::Known(key) => found.recover(&key, anchor, &mut random).map_err(told),
            Key::New(_) => Err("the state's key is missing".to_owned()),
        },
    }
}

/// There is nothing to convert it with: it was never in a release.
fn refuse_former_format(path: &Path) -> Result<(), String> {
    let mut beginning = Vec::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(FORMER_MAGIC.len() as u64).read_to_end(&mut beginning));
    if read.is_ok() && beginning == FORMER_MAGIC {
        let path = path.display();
        return Err(format!("{path}: the unencrypted format of an earlier server; not converted"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tpm::platform::{RecordKind, RecordName, Storage};

    const NAME: RecordName = RecordName { kind: RecordKind::Object, number: 0x8100_0001 };

    /// A folder that goes away.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir();
            let path = path.join(format!("tpm-server-test-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn files(&self) -> StateFiles {
            StateFiles { state: self.0.join("state"), key: None, anchor: None, syncs: false }
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn refused(files: &StateFiles) -> String {
        open(Some(files)).err().expect("it must not open")
    }

    fn read(records: &mut Records) -> Option<Vec<u8>> {
        let mut buffer = [0; 64];
        let length = records.read(NAME, &mut buffer).unwrap()?;
        Some(buffer[..length].to_vec())
    }

    #[test]
    fn what_is_no_state_is_refused_and_left_alone() {
        let folder = Folder::new("other");
        let files = folder.files();
        let foreign = [b"something else".as_slice(), &[0; 4 << 20]].concat();
        for (content, complaint) in [
            (b"macadamia tpm 1\nmore".as_slice(), "earlier server"),
            (b"something else", "can't carry"),
            (&foreign, "not a store"),
        ] {
            std::fs::write(&files.state, content).unwrap();
            let said = refused(&files);
            assert!(said.contains(complaint), "{said}");
            assert_eq!(std::fs::read(&files.state).unwrap(), content);
            assert!(!files.key().exists());
        }
    }

    #[test]
    fn another_key_or_none_opens_nothing() {
        let folder = Folder::new("key");
        let files = folder.files();
        drop(open(Some(&files)).unwrap());
        let image = std::fs::read(&files.state).unwrap();
        let key = std::fs::read(files.key()).unwrap();
        std::fs::write(files.key(), [&key[..31], &[key[31] ^ 1]].concat()).unwrap();
        assert!(refused(&files).contains("another master key"));
        std::fs::write(files.key(), &key[..31]).unwrap();
        assert!(refused(&files).contains("32 bytes"));
        std::fs::remove_file(files.key()).unwrap();
        assert!(refused(&files).contains("missing"));
        assert_eq!(std::fs::read(&files.state).unwrap(), image, "nothing was written");
        std::fs::write(files.key(), key).unwrap();
        assert!(open(Some(&files)).is_ok());
    }

    #[test]
    fn commits_survive_and_nothing_else() {
        let folder = Folder::new("kept");
        let files = folder.files();
        let mut records = open(Some(&files)).unwrap();
        records.put(NAME, b"kept").unwrap();
        records.commit().unwrap();
        records.put(NAME, b"not committed").unwrap();
        drop(records);
        assert_eq!(read(&mut open(Some(&files)).unwrap()).unwrap(), b"kept");
        assert_eq!(read(&mut open(None).unwrap()), None);
    }

    #[test]
    fn an_anchor_refuses_an_older_state_and_an_emptied_one() {
        let folder = Folder::new("anchor");
        let files = StateFiles { anchor: Some(folder.0.join("anchor")), ..folder.files() };
        drop(open(Some(&files)).unwrap());
        let older = std::fs::read(&files.state).unwrap();
        let mut records = open(Some(&files)).unwrap();
        records.put(NAME, b"kept").unwrap();
        records.commit().unwrap();
        drop(records);
        let newest = std::fs::read(&files.state).unwrap();
        std::fs::write(&files.state, &older).unwrap();
        assert!(refused(&files).contains("rolled back"), "{}", refused(&files));
        std::fs::write(&files.state, vec![0; newest.len()]).unwrap();
        assert!(refused(&files).contains("rolled back"), "{}", refused(&files));
        std::fs::write(&files.state, &newest).unwrap();
        assert_eq!(read(&mut open(Some(&files)).unwrap()).unwrap(), b"kept");
        // Without an anchor nobody knows.
        std::fs::write(&files.state, &older).unwrap();
        assert!(open(Some(&StateFiles { anchor: None, ..files })).is_ok());
    }

    #[test]
    fn the_files_do_not_show_what_they_hold() {
        let folder = Folder::new("hidden");
        let files = folder.files();
        let mut records = open(Some(&files)).unwrap();
        records.put(NAME, b"a secret that can be found").unwrap();
        records.commit().unwrap();
        drop(records);
        let image = std::fs::read(&files.state).unwrap();
        assert!(!image.windows(8).any(|window| window == b"a secret"));
    }
}
