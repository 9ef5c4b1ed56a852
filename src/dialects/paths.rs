//! Where the path of an operation names the model: the styles of hosts that differ from their dialect.

use crate::{
    catalog::PathStyle,
    error::{Error, ErrorType, Next, Result, Source},
};

use super::Target;

/// A dialect's path as this target has it.
///
/// # Errors
/// When the model id cannot stand in a path.
pub fn styled(path: String, target: &Target<'_>, stream: bool) -> Result<String> {
    let model = || segment(&target.endpoint.upstream_model_id);
    Ok(match target.provider.path_style {
        PathStyle::Dialect => path,
        PathStyle::Deployments => format!("/deployments/{}{path}", model()?),
        PathStyle::RawPredict if stream => format!("/models/{}:streamRawPredict", model()?),
        PathStyle::RawPredict => format!("/models/{}:rawPredict", model()?),
    })
}

/// A model id that is one segment of a path and leads to no other operation (P107).
fn segment(model: &str) -> Result<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    let is_fine = model.chars().all(plain) && model.chars().any(|c| c != '.');
    is_fine.then_some(model).ok_or_else(|| {
        Error::new(
            Source::Gateway,
            Next::NextAttempt,
            ErrorType::Server,
            "The model id of this endpoint cannot stand in a path",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_id_stays_one_segment() {
        for good in ["gpt-4.1", "claude-haiku-4-5@20251001", "my_deployment"] {
            assert_eq!(segment(good), Ok(good));
        }
        for bad in ["", ".", "..", "a/b", "a?b", "a#b", "a%2f", "a:b"] {
            assert!(segment(bad).is_err(), "{bad}");
        }
    }
}
