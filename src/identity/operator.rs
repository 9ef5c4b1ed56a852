//! The operator: whoever holds the deployment's `OPERATOR_TOKEN` secret.

use sha2::{Digest, Sha256};

use super::keys::bearer;
use crate::error::{Error, ErrorType, Next, Result, Source};

/// The shortest token that a deployment may have.
pub const MIN_TOKEN_LENGTH: usize = 24;

/// Checks the operator's token. Digests are compared, so the time tells nothing about the token.
///
/// # Errors
/// 401 without a token or with a wrong one; 403 where the deployment has none or a short one.
pub fn authorize(header: Option<&str>, token: Option<&str>) -> Result<()> {
    let refuse = |kind, message: &str| Error::new(Source::Client, Next::Final, kind, message);
    let token = token
        .filter(|token| token.len() >= MIN_TOKEN_LENGTH)
        .ok_or_else(|| {
            refuse(
                ErrorType::PermissionDenied,
                "This deployment has no operator: set the secret OPERATOR_TOKEN (24 characters or more)",
            )
        })?;
    let given = header.and_then(bearer).ok_or_else(|| {
        refuse(
            ErrorType::Authentication,
            "The operator's token is missing: send it as Authorization: Bearer",
        )
    })?;
    if Sha256::digest(given.as_bytes()) == Sha256::digest(token.as_bytes()) {
        Ok(())
    } else {
        Err(refuse(
            ErrorType::Authentication,
            "That is not the operator's token",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_token_of_a_deployment_that_has_one_opens() {
        let token = "0123456789abcdef01234567";
        let status = |header, token| authorize(header, token).map_err(|error| error.status);
        assert_eq!(
            status(Some("Bearer 0123456789abcdef01234567"), Some(token)),
            Ok(())
        );
        assert_eq!(status(Some("Bearer x"), Some(token)), Err(401));
        assert_eq!(status(None, Some(token)), Err(401));
        assert_eq!(status(Some("Bearer "), None), Err(403));
        assert_eq!(status(Some("Bearer short"), Some("short")), Err(403));
    }
}
