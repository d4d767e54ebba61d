//! The stubs that `build.rs` makes.

/// Package `conferencing.v1`.
pub mod v1 {
    tonic::include_proto!("conferencing.v1");
}
