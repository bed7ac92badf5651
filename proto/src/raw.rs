//! The generated code, one module a package. It stops in this crate, in the services' faces, in their
//! clients and in the page's `api.rs`.
#![allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "generated from the proto files, which carry the documentation"
)]

pub mod deeper {
    pub mod types {
        pub mod v1 {
            tonic::include_proto!("deeper.types.v1");
        }
    }
    pub mod catalog {
        pub mod v1 {
            tonic::include_proto!("deeper.catalog.v1");
        }
    }
    pub mod explanation {
        pub mod v1 {
            tonic::include_proto!("deeper.explanation.v1");
        }
    }
    pub mod teacher {
        pub mod v1 {
            tonic::include_proto!("deeper.teacher.v1");
        }
    }
    pub mod vae {
        pub mod v1 {
            tonic::include_proto!("deeper.vae.v1");
        }
    }
    pub mod student {
        pub mod v1 {
            tonic::include_proto!("deeper.student.v1");
        }
    }
}

pub mod google {
    pub mod longrunning {
        tonic::include_proto!("google.longrunning");
    }
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}

/// All packages, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
