//! Nothing of our own: pulls every C symbol of the engine into one static archive.
pub use wasmtime_c_api::*;
