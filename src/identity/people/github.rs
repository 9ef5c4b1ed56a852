//! Signing in with GitHub: an OAuth app, and GitHub's own words for who somebody is.
//!
//! Pure: requests come out, answers go in. Spec: GitHub's "Authorizing OAuth apps" and REST API for users and e-mails.

use serde::Deserialize;
use serde_json::Value;

use super::{
    form::{query, with_query},
    users::Identity,
};

/// An OAuth app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Its id.
    pub client_id: String,
    client_secret: String,
    /// Where people are; another for GitHub Enterprise.
    base: String,
    /// Where the API is.
    api: String,
}

impl Config {
    /// Its word in paths.
    pub const SLUG: &'static str = "github";

    /// Reads the variables.
    pub fn read(var: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let url = |name: &str, otherwise: &str| {
            let url = var(name).unwrap_or_else(|| otherwise.to_owned());
            url.trim_end_matches('/').to_owned()
        };
        Some(Self {
            client_id: var("GITHUB_CLIENT_ID")?,
            client_secret: var("GITHUB_CLIENT_SECRET")?,
            base: url("GITHUB_BASE_URL", "https://github.com"),
            api: url("GITHUB_API_URL", "https://api.github.com"),
        })
    }

    /// Where the browser goes.
    pub fn authorize_url(&self, redirect: &str, state: &str, challenge: &str) -> String {
        with_query(
            &format!("{}/login/oauth/authorize", self.base),
            &[
                ("client_id", &self.client_id),
                ("redirect_uri", redirect),
                ("scope", "read:user user:email"),
                ("state", state),
                ("code_challenge", challenge),
                ("code_challenge_method", "S256"),
            ],
        )
    }

    /// The exchange of a code: address and form.
    pub fn exchange(&self, redirect: &str, code: &str, verifier: &str) -> (String, String) {
        let form = query(&[
            ("client_id", &self.client_id),
            ("client_secret", &self.client_secret),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ]);
        (format!("{}/login/oauth/access_token", self.base), form)
    }

    /// Where the person is described.
    pub fn user_url(&self) -> String {
        format!("{}/user", self.api)
    }

    /// Where their addresses are.
    pub fn emails_url(&self) -> String {
        format!("{}/user/emails?per_page=100", self.api)
    }

    /// The person, of both answers. GitHub's own number is who they are: names change hands.
    ///
    /// # Errors
    /// Where the answers are not GitHub's.
    pub fn identity(&self, user: &[u8], emails: &[u8]) -> Result<Identity, String> {
        #[derive(Deserialize)]
        struct User {
            id: u64,
            login: String,
            name: Option<String>,
        }
        #[derive(Deserialize)]
        struct Email {
            email: String,
            #[serde(default)]
            primary: bool,
            #[serde(default)]
            verified: bool,
        }
        let user: User =
            crate::json::from_slice(user).map_err(|_| "the user cannot be read".to_owned())?;
        // Without the scope there is no list.
        let emails: Vec<Email> = crate::json::from_slice(emails).unwrap_or_default();
        let main = emails
            .into_iter()
            .find(|email| email.primary && email.verified);
        Ok(Identity {
            issuer: self.base.clone(),
            subject: user.id.to_string(),
            email: main.map(|email| email.email),
            name: user
                .name
                .filter(|name| !name.is_empty())
                .unwrap_or(user.login),
        })
    }
}

/// The access token in an answer.
///
/// # Errors
/// GitHub's own word for what is wrong; it comes with status 200.
pub fn access_token(body: &[u8]) -> Result<String, String> {
    let answer: Value = crate::json::from_slice(body).unwrap_or_default();
    let word = |name: &str| answer.get(name).and_then(Value::as_str);
    match word("access_token") {
        Some(token) => Ok(token.to_owned()),
        None => Err(word("error").unwrap_or("no access token").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let var = |name: &str| {
            name.starts_with("GITHUB_CLIENT")
                .then(|| format!("the {name}"))
        };
        Config::read(var).unwrap()
    }

    #[test]
    fn only_a_verified_main_address_counts() {
        let user = br#"{"id":7,"login":"ada","name":null}"#;
        let of = |emails: &str| config().identity(user, emails.as_bytes()).unwrap().email;
        let email = |flags: &str| format!(r#"[{{"email":"ada@example.com"{flags}}}]"#);
        assert_eq!(
            of(&email(r#","primary":true,"verified":true"#)).as_deref(),
            Some("ada@example.com")
        );
        for emails in [
            email(r#","primary":true,"verified":false"#),
            email(r#","primary":true"#),
            email(r#","verified":true"#),
            r#"{"message":"Not Found"}"#.to_owned(),
            "[]".to_owned(),
        ] {
            assert_eq!(of(&emails), None, "{emails}");
        }
    }

    #[test]
    fn a_person_is_their_number() {
        let found = config()
            .identity(br#"{"id":7,"login":"ada","name":"Ada"}"#, b"[]")
            .unwrap();
        assert_eq!(
            (found.issuer.as_str(), found.subject.as_str()),
            ("https://github.com", "7")
        );
        assert_eq!(found.name, "Ada");
        assert!(config().identity(br#"{"login":"ada"}"#, b"[]").is_err());
    }

    #[test]
    fn a_refused_code_is_told_in_githubs_word() {
        assert_eq!(access_token(br#"{"access_token":"t"}"#), Ok("t".to_owned()));
        let refused = access_token(br#"{"error":"bad_verification_code"}"#);
        assert_eq!(refused, Err("bad_verification_code".to_owned()));
        assert!(access_token(b"<html>").is_err());
    }
}
