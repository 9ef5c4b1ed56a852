//! Who administers an account, and what may they do?
//!
//! Three kinds of actors: the operator, an account's management key, a person who is a member of the account. Keys that call
//! models administer nothing. Out of scope: who may call a model ([`super::KeyRecord`]).

use crate::error::{Error, ErrorType, Next, Result, Source};

/// What a member of an account may do; each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sees the account and has keys of their own.
    Member,
    /// Administers keys, members, budgets and settings.
    Admin,
    /// Also buys credits, and names owners and management keys.
    Owner,
}

impl Role {
    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// The role of this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Member, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == word)
    }
}

/// Who acts, as the audit log names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Whoever holds the deployment's token.
    Operator,
    /// A management key: the SHA-256 of its secret, in hex.
    Key(String),
    /// A person: their id.
    Person(String),
}

impl Actor {
    /// The word in the audit log.
    pub fn name(&self) -> String {
        match self {
            Self::Operator => "operator".to_owned(),
            Self::Key(hash) => format!("key:{hash}"),
            Self::Person(id) => format!("user:{id}"),
        }
    }
}

/// Somebody who may administer one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    /// The account.
    pub account: String,
    /// Who it is.
    pub actor: Actor,
    /// What they may do.
    pub role: Role,
}

impl Manager {
    /// The person, where it is one.
    pub fn person(&self) -> Option<&str> {
        match &self.actor {
            Actor::Person(id) => Some(id),
            Actor::Operator | Actor::Key(_) => None,
        }
    }

    /// Refuses what takes a higher role.
    ///
    /// # Errors
    /// 403 that names the role.
    pub fn require(&self, least: Role) -> Result<()> {
        if self.role >= least {
            return Ok(());
        }
        let message = format!("This takes the role {} in the account", least.as_str());
        Err(Error::new(
            Source::Client,
            Next::Final,
            ErrorType::PermissionDenied,
            message,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_those_before_it_may() {
        let roles = [Role::Member, Role::Admin, Role::Owner];
        for (at, role) in roles.into_iter().enumerate() {
            assert_eq!(Role::parse(role.as_str()), Some(role));
            let manager = Manager {
                account: "acc".into(),
                actor: Actor::Operator,
                role,
            };
            for (needed, least) in roles.into_iter().enumerate() {
                let status = manager.require(least).map_err(|error| error.status);
                let expected = if needed <= at { Ok(()) } else { Err(403) };
                assert_eq!(status, expected, "{role:?} where {least:?} is needed");
            }
        }
        assert_eq!(Role::parse("root"), None);
    }
}
