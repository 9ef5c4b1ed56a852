//! What a failure of an account's own provider key is called: by the key's label, never by its secret.

use crate::{
    error::{Error, ErrorType},
    routing::Credential,
};

/// Takes a secret out of what a provider said, and says whose key a refusal is about. `status` is the provider's own.
pub fn explain(error: &mut Error, credential: &Credential, provider: &str, status: u16) {
    let Some(key) = credential.own() else {
        return;
    };
    let is_refusal =
        matches!(status, 401..=403) && error.error_type != ErrorType::ContentPolicyViolation;
    if is_refusal {
        error.message = format!(
            "{provider} refused your own key {} (status {status}): check it, or replace it",
            key.label
        );
        error.raw = None;
    }
    let texts = [
        Some(&mut error.message),
        error.raw.as_mut(),
        error.provider_code.as_mut(),
    ];
    for text in texts.into_iter().flatten() {
        for secret in key.form.secrets().chain([key.secret.as_str()]) {
            if text.contains(secret) {
                *text = text.replace(secret, &key.label);
            }
        }
    }
    error.metadata.insert("is_byok".into(), true.into());
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::routing::OwnKey;

    fn own() -> Credential {
        Credential::Own(Rc::new(OwnKey {
            id: "1".into(),
            label: "...1234".into(),
            secret: "hidden-1234".into(),
            form: Default::default(),
        }))
    }

    #[test]
    fn a_refusal_names_the_label_and_nothing_names_the_secret() {
        for (status, words) in [
            (401, "OpenAI refused your own key ...1234 (status 401)"),
            (403, "(status 403)"),
            (400, "API key not valid: ...1234"),
            (0, "API key not valid: ...1234"),
        ] {
            let text = "API key not valid: hidden-1234";
            let mut error = Error::from_upstream_status(status, text, Some("hidden-1234".into()))
                .with_raw(text.as_bytes());
            explain(&mut error, &own(), "OpenAI", status);
            assert!(error.message.contains(words), "{}", error.message);
            assert!(!format!("{error:?}").contains("hidden"), "{error:?}");
            assert_eq!(error.metadata["is_byok"], true);
        }
    }

    #[test]
    fn a_refusal_of_the_operators_key_or_of_the_content_stays_as_it_is() {
        let error = Error::from_upstream_status(401, "no", None);
        let mut told = error.clone();
        explain(&mut told, &Credential::Operator, "OpenAI", 401);
        assert_eq!(told, error);
        let mut told = Error::upstream(ErrorType::ContentPolicyViolation, "not this");
        explain(&mut told, &own(), "OpenAI", 403);
        assert_eq!(told.message, "not this");
    }
}
