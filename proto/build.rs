//! Compiles the proto files with protox, so that no protoc needs to be installed.

use std::{env, fs, path::PathBuf};

use prost::Message;

const FILES: &[&str] = &[
    "deeper/types/v1/types.proto",
    "deeper/catalog/v1/catalog.proto",
    "deeper/explanation/v1/explanation.proto",
    "deeper/teacher/v1/teacher.proto",
    "deeper/vae/v1/vae.proto",
    "deeper/student/v1/student.proto",
    "google/longrunning/operations.proto",
    "google/rpc/status.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=deeper");
    println!("cargo:rerun-if-changed=google");
    let descriptors = protox::compile(FILES, ["."])?;
    let descriptor_file = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(descriptor_file, descriptors.encode_to_vec())?;
    let transport = env::var_os("CARGO_FEATURE_TRANSPORT").is_some();
    tonic_prost_build::configure()
        .build_transport(transport)
        .build_server(transport)
        .compile_well_known_types(false)
        .compile_fds(descriptors)?;
    Ok(())
}
