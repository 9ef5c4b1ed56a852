//! Who somebody is, and who may sign up.
//!
//! An identity is what an issuer calls somebody. A person may have several; a new one joins a person only by an e-mail address
//! that both sides verified, never by one that somebody merely claims. A user's own address is verified or absent.

use serde_json::Value;

use crate::{
    database::{Database, Row, Statement, Transactions},
    error::{ErrorType, Result},
};

use super::{broken, refused};

/// What an issuer says of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who says so.
    pub issuer: String,
    /// Its name for the person, which never changes hands.
    pub subject: String,
    /// A verified address.
    pub email: Option<String>,
    /// The person's name, or nothing.
    pub name: String,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their id.
    pub id: String,
    /// Verified.
    pub email: Option<String>,
    /// May be empty.
    pub name: String,
    /// May use the operator's routes by what their row says.
    pub operator: bool,
    /// May not sign in.
    pub disabled: bool,
    /// Since when, unix milliseconds.
    pub created_at: i64,
}

/// The columns of [`User::from_row`].
pub const COLUMNS: &str = "id, email, name, operator, disabled, created_at";

impl User {
    /// Reads a row with [`COLUMNS`].
    ///
    /// # Errors
    /// Where the row does not have them.
    pub fn from_row(row: &Row) -> Result<Self> {
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| row.get(name).and_then(Value::as_i64);
        let user = || {
            Some(Self {
                id: text("id")?,
                email: text("email"),
                name: text("name")?,
                operator: number("operator")? != 0,
                disabled: number("disabled")? != 0,
                created_at: number("created_at")?,
            })
        };
        user().ok_or_else(|| broken("users"))
    }

    /// Whether this is the operator, by their row or by their address (`OPERATOR_EMAILS`).
    pub fn is_operator(&self, emails: Option<&str>) -> bool {
        self.operator
            || self
                .email
                .as_deref()
                .is_some_and(|own| is_listed(emails, own))
    }
}

/// Whether an address is in a list between commas.
pub fn is_listed(emails: Option<&str>, email: &str) -> bool {
    let mut all = emails.unwrap_or_default().split(',').map(str::trim);
    all.any(|each| !each.is_empty() && each.eq_ignore_ascii_case(email))
}

/// First and last name, as far as one text tells.
pub fn names(name: &str) -> (Option<&str>, Option<&str>) {
    match name.trim().split_once(' ') {
        Some((first, last)) => (Some(first), Some(last.trim())),
        None => (Some(name.trim()).filter(|name| !name.is_empty()), None),
    }
}

/// An address in the one form that is compared.
///
/// # Errors
/// 400 where it is none.
pub fn email(text: &str) -> Result<String> {
    let text = text.trim();
    let (local, host) = text.rsplit_once('@').unwrap_or_default();
    let is_sane = !local.is_empty()
        && host.contains('.')
        && !host.starts_with('.')
        && !host.ends_with('.')
        && text.len() <= 254
        && !text
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || "<>\"(),;\\".contains(c));
    if is_sane {
        return Ok(text.to_lowercase());
    }
    Err(crate::error::Error::invalid(
        "email",
        "That is no e-mail address",
    ))
}

/// Who may sign up (`SIGN_UP`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignUp {
    /// Everybody, each with an account of their own.
    Open,
    /// Who was invited into an account.
    Invitation,
    /// Nobody: the operator makes users.
    Closed,
}

impl SignUp {
    /// Reads the variable. What is not set, or unknown, is by invitation.
    pub fn read(word: Option<&str>) -> Self {
        match word.map(str::trim) {
            Some("open") => Self::Open,
            Some("closed") => Self::Closed,
            _ => Self::Invitation,
        }
    }
}

/// The user of this id.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn by_id(database: &impl Database, id: &str) -> Result<Option<User>> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE id = ?1");
    let rows = database.query(&sql, &[id.into()]).await?;
    rows.first().map(User::from_row).transpose()
}

/// The user of this verified address.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn by_email(database: &impl Database, email: &str) -> Result<Option<User>> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE email = ?1");
    let rows = database.query(&sql, &[email.into()]).await?;
    rows.first().map(User::from_row).transpose()
}

/// Who an issuer means, if they are known: by the identity, else by a verified address, which joins the identity to that
/// person.
///
/// # Errors
/// 403 where they are switched off.
pub async fn known(
    database: &impl Transactions,
    identity: &Identity,
    now: i64,
) -> Result<Option<User>> {
    let (issuer, subject) = (identity.issuer.as_str(), identity.subject.as_str());
    let sql = format!(
        "SELECT {COLUMNS} FROM users WHERE id = (SELECT user FROM identities WHERE issuer = ?1 AND subject = ?2)"
    );
    let rows = database
        .query(&sql, &[issuer.into(), subject.into()])
        .await?;
    let mut found = rows.first().map(User::from_row).transpose()?;
    let address = identity.email.as_deref().and_then(|text| email(text).ok());
    if found.is_none()
        && let Some(address) = &address
    {
        found = by_email(database, address).await?;
    }
    let Some(mut user) = found else {
        return Ok(None);
    };
    if user.disabled {
        return Err(refused(
            ErrorType::PermissionDenied,
            "This user is switched off: ask the operator",
        ));
    }
    let id = user.id.as_str();
    let mut statements: Vec<Statement<'_>> = vec![(
        "INSERT INTO identities (issuer, subject, user, created_at, last_used_at) VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT DO UPDATE SET last_used_at = ?4",
        vec![issuer.into(), subject.into(), id.into(), now.into()],
    )];
    // The address follows its issuer, unless somebody else has it.
    if let Some(address) = address
        .as_deref()
        .filter(|address| Some(*address) != user.email.as_deref())
    {
        statements.push((
            "UPDATE OR IGNORE users SET email = ?2 WHERE id = ?1",
            vec![id.into(), address.into()],
        ));
    }
    if user.name.is_empty() && !identity.name.is_empty() {
        let name = clipped(&identity.name);
        statements.push((
            "UPDATE users SET name = ?2 WHERE id = ?1",
            vec![id.into(), name.into()],
        ));
    }
    database.transaction(&statements).await?;
    user = by_id(database, id).await?.unwrap_or(user);
    Ok(Some(user))
}

/// A new person, with an account of their own where there is one: its id and name.
///
/// # Errors
/// Where D1 refuses, as for an address that somebody has.
pub async fn create(
    database: &impl Transactions,
    id: &str,
    identity: &Identity,
    account: Option<(&str, &str)>,
    now: i64,
) -> Result<()> {
    let address = identity.email.as_deref().and_then(|text| email(text).ok());
    let mut statements: Vec<Statement<'_>> = vec![(
        "INSERT INTO users (id, email, name, created_at) VALUES (?1, ?2, ?3, ?4)",
        vec![
            id.into(),
            address.as_deref().into(),
            clipped(&identity.name).into(),
            now.into(),
        ],
    )];
    if !identity.subject.is_empty() {
        statements.push((
            "INSERT INTO identities (issuer, subject, user, created_at, last_used_at) VALUES (?1, ?2, ?3, ?4, ?4)",
            vec![identity.issuer.as_str().into(), identity.subject.as_str().into(), id.into(), now.into()],
        ));
    }
    if let Some((account, name)) = account {
        statements.extend(own_account(id, account, name, now));
    }
    database.transaction(&statements).await?;
    Ok(())
}

/// The rows of an account that a person owns.
pub fn own_account<'a>(user: &str, account: &str, name: &str, now: i64) -> [Statement<'a>; 2] {
    [
        (
            "INSERT INTO accounts (id, name, created_at) VALUES (?1, ?2, ?3)",
            vec![account.into(), name.into(), now.into()],
        ),
        (
            "INSERT INTO members (account, user, role, created_at) VALUES (?1, ?2, 'owner', ?3)",
            vec![account.into(), user.into(), now.into()],
        ),
    ]
}

/// A name of sane length, without what nobody can see.
pub fn clipped(name: &str) -> &str {
    let name = name.trim();
    let end = name
        .char_indices()
        .find(|(at, c)| *at >= 125 || c.is_control())
        .map_or(name.len(), |(at, _)| at);
    name.get(..end).unwrap_or_default()
}
