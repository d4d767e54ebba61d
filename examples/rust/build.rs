//! Generates the stubs. `protoc` must be on the PATH, or in the variable PROTOC.

use std::{fs, io};

/// Where the protos are: a clone of the repository, or the unpacked archive.
const ROOT: &str = "../..";

fn main() -> io::Result<()> {
    let protos = format!("{ROOT}/protos");
    let googleapis = format!("{ROOT}/third_party/googleapis");
    // Outside of this package cargo looks at what it is told to look at.
    println!("cargo::rerun-if-changed={protos}");
    println!("cargo::rerun-if-changed={googleapis}");
    let mut files = Vec::new();
    for entry in fs::read_dir(format!("{protos}/conferencing/v1"))? {
        files.push(entry?.path());
    }
    tonic_prost_build::configure()
        .build_server(false)
        .compile_protos(&files, &[protos.into(), googleapis.into()])
}
