//! What is logged of a certificate: a walk over its DER, without memory of its own and without judgement of its
//! signatures.

mod certificate;
mod der;
mod name;
mod time;

pub use certificate::{Certificate, DnsNames, Fingerprint, Serial};
pub use name::Name;
pub use time::CertificateTime;
