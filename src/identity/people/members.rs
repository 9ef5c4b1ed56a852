//! Members of accounts: statements over the tables `users` and `members`.

use serde_json::Value;

use crate::{database::Database, error::Result, identity::Role};

/// The role of a person in an account; nothing where they are no member of it.
///
/// # Errors
/// Where D1 cannot be asked.
pub async fn role(database: &impl Database, account: &str, user: &str) -> Result<Option<Role>> {
    let sql = "SELECT role FROM members WHERE account = ?1 AND user = ?2";
    let rows = database.query(sql, &[account.into(), user.into()]).await?;
    let word = rows
        .first()
        .and_then(|row| row.get("role"))
        .and_then(Value::as_str);
    Ok(word.and_then(Role::parse))
}
