//! What both programs share: the stubs, the way to the gateway, and what a call failed with.

pub mod connecting;
pub mod failure;
pub mod record;

/// Package `conferencing.v1`, which `build.rs` makes.
pub mod v1 {
    tonic::include_proto!("conferencing.v1");
}

/// Anything that ends a program.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;
