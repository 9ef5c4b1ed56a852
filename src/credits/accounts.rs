//! Calling an account's object.

use super::ops::{Call, LedgerError};
use crate::error::{Error, ErrorType, Next, Result, Source};

/// The accounts' objects.
pub trait Accounts {
    /// Sends one operation to an account's object and reads its answer.
    fn call<C: Call>(&self, account: &str, call: &C) -> impl Future<Output = Result<C::Reply>>;
}

/// What a client is told of a ledger's error.
pub fn explain(error: LedgerError) -> Error {
    let (source, next, kind) = match &error {
        LedgerError::Invalid(_) => (Source::Client, Next::Final, ErrorType::InvalidRequest),
        LedgerError::NotOpen
        | LedgerError::NotSettled
        | LedgerError::UnknownPurchase
        | LedgerError::KeyUnknown
        | LedgerError::KeyDeleted => (Source::Client, Next::Final, ErrorType::NotFound),
        LedgerError::IdReused => (Source::Client, Next::Final, ErrorType::Conflict),
        LedgerError::OutOfRange => (Source::Client, Next::Final, ErrorType::Unprocessable),
        LedgerError::UnknownOp(_) | LedgerError::UnknownHold => {
            (Source::Gateway, Next::Final, ErrorType::Server)
        }
        LedgerError::Store(_) => (
            Source::Gateway,
            Next::SameAgain,
            ErrorType::ProviderOverloaded,
        ),
    };
    Error::new(source, next, kind, error.to_string())
}
