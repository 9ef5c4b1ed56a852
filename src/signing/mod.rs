//! How does a provider know who asks, where a key alone does not tell it? Signatures over requests.
//!
//! | module | what |
//! |---|---|
//! | [`hmac`] | HMAC-SHA256, for what is signed with a shared secret |
//! | [`sigv4`] | AWS Signature Version 4 of a request's headers |
//! | [`aws`] | what an operator or an account gives for AWS, and the headers that come of it |
//!
//! Pure: the time is passed in, nothing is sent. Out of scope: where secrets are kept, and which scheme a provider wants
//! (`catalog::AuthScheme`).

pub mod aws;
pub mod hmac;
pub mod sigv4;
