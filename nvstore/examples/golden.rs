// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes this version's golden images to a folder. Needed once for each version of the format.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: golden FOLDER")?;
    for golden in nvstore::simulation::golden::images()? {
        std::fs::write(Path::new(&folder).join(golden.name), golden.image)?;
    }
    Ok(())
}
