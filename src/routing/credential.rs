//! Whose key a provider is called with.
//!
//! Out of scope: where keys are kept and how they are decrypted (`identity`), and where the operator's own are (`edge`).

use std::{fmt, rc::Rc};

use crate::{
    access::{key::KeyForm, own},
    catalog::Route,
};

/// The key for one call of a provider.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Credential {
    /// The operator's, out of the deployment's secrets.
    #[default]
    Operator,
    /// One that the account brought.
    Own(Rc<OwnKey>),
}

/// A provider key that the account brought, decrypted for one request.
#[derive(PartialEq, Eq)]
pub struct OwnKey {
    /// Its id, as the usage row names it.
    pub id: String,
    /// What its owner knows it by: the end of the secret.
    pub label: String,
    /// The secret. It appears in no log, error or row.
    pub secret: String,
    /// What it says beside the secret.
    pub form: KeyForm,
}

impl Credential {
    /// Whether the account brought it.
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Own(_))
    }

    /// The key that the account brought, if it did.
    pub fn own(&self) -> Option<&OwnKey> {
        match self {
            Self::Operator => None,
            Self::Own(key) => Some(key),
        }
    }
}

impl Credential {
    /// The route and the key of one call: an account's key may say where it is for.
    pub fn localised(&self, route: &Route) -> (Route, Self) {
        let local = self.own().and_then(|key| {
            let (route, secret) = own::localised(route, &key.form)?;
            let credential = match secret {
                None => self.clone(),
                Some(secret) => Self::Own(Rc::new(OwnKey {
                    id: key.id.clone(),
                    label: key.label.clone(),
                    secret,
                    form: KeyForm::Plain,
                })),
            };
            Some((route, credential))
        });
        local.unwrap_or_else(|| (route.clone(), self.clone()))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("Operator"),
            Self::Own(key) => write!(f, "Own({})", key.id),
        }
    }
}

impl fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let key = Rc::new(OwnKey {
            id: "k1".into(),
            label: "...dden".into(),
            secret: "sk-hidden".into(),
            form: KeyForm::Plain,
        });
        let printed = format!("{:?} {:?}", key, Credential::Own(Rc::clone(&key)));
        assert!(
            printed.contains("k1") && !printed.contains("hidden"),
            "{printed}"
        );
        assert!(Credential::Own(key).is_own() && !Credential::default().is_own());
    }
}
