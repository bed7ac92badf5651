//! Puts MNIST into an artifact store: `artifacts-import FOLDER LOCATION`, as `cargo xtask fetch --to` calls it.
#![expect(clippy::print_stdout, reason = "this program's one job is to talk to a terminal")]

use std::{path::PathBuf, process::ExitCode};

use artifacts::{Artifacts, Location};
use domain::Result;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, location] = arguments.as_slice() else {
        eprintln!("usage: artifacts-import FOLDER LOCATION (a folder, gs://bucket/prefix or s3://bucket/prefix)");
        return ExitCode::from(2);
    };
    match import(PathBuf::from(folder), location).await {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Imports the four files of a folder, unless the data set is there, and reads it back.
async fn import(folder: PathBuf, location: &str) -> Result<String> {
    let location: Location = location.parse()?;
    let artifacts = Artifacts::open(&location)?;
    let dataset = artifacts.import_mnist(&folder).await?;
    let mut image_count = 0;
    for split in &dataset.splits {
        image_count += artifacts.split(&dataset.name, &split.id).await?.images.len();
    }
    Ok(format!("{} with {image_count} images is in {location}", dataset.name))
}
