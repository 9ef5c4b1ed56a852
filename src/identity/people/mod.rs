//! People: users, the accounts that they are members of, how they sign in, and what they allow apps.
//!
//! | module | what |
//! |---|---|
//! | [`users`] | who somebody is; who may sign up |
//! | [`members`] | who is in an account, with which role |
//! | [`invitations`] | how others come to be |
//! | [`sessions`] | who is signed in: cookies over rows |
//! | [`cookie`], [`signer`], [`form`] | cookies, what the deployment signs, forms |
//! | [`flow`] | a sign-in on its way to an issuer and back |
//! | [`oidc`], [`github`] | what issuers are asked, and what they say |
//! | [`links`] | one-time links that the operator makes |
//! | [`apps`] | codes that apps exchange for a key |
//!
//! Every secret (session, link, invitation, code) has 256 random bits; only its SHA-256 is kept. Pure but for SQL through
//! [`crate::database`]. Out of scope: pages and routes (`api`), keys ([`super::keys`]).

pub mod apps;
pub mod cookie;
pub mod flow;
pub mod form;
pub mod github;
pub mod invitations;
pub mod links;
pub mod members;
pub mod oidc;
pub mod sessions;
pub mod signer;
pub mod users;

#[cfg(test)]
mod tests;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};

use crate::error::{Error, ErrorType, Next, Source};

/// The longest secret that is looked at.
const MAX_SECRET: usize = 128;

/// A new secret out of random bytes, and the digest of it that is kept.
pub fn secret(random: &[u8; 32]) -> (String, String) {
    let text = BASE64_URL_SAFE_NO_PAD.encode(random);
    let hash = super::keys::hash(&text);
    (text, hash)
}

/// The digest of what somebody sent as a secret. What is too long to be one has none.
pub fn digest(sent: &str) -> Option<String> {
    (!sent.is_empty() && sent.len() <= MAX_SECRET).then(|| super::keys::hash(sent))
}

/// An error of the client's.
fn refused(kind: ErrorType, message: &str) -> Error {
    Error::new(Source::Client, Next::Final, kind, message)
}

/// A row that does not have the columns of the schema.
fn broken(table: &str) -> Error {
    Error::internal(format!(
        "a row of {table} does not have the columns of the schema"
    ))
}
