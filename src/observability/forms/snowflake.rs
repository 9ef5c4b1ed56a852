//! Snowflake's SQL API: one `MERGE` per batch, whose rows are one bound JSON text.
//!
//! `MERGE` takes a span once, however often it is sent; `requestId` follows from the batch and goes with `retry=true`, so that a
//! statement whose answer was lost is not run again. A statement that is still running answers 202 and is asked for again under
//! that id. A sender proves itself by a programmatic access token, or by a JWT signed with its key pair. Spec:
//! <https://docs.snowflake.com/en/developer-guide/sql-api/submitting-requests>,
//! <https://docs.snowflake.com/en/developer-guide/sql-api/authenticating>.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Target, batch_id};
use crate::{
    error::{Error, Result},
    observability::{
        config::{Config, pem},
        flat::{COLUMNS, Column, row},
        kind::Kind,
        port::{Outgoing, Port},
        trace::Record,
    },
};

/// How long a JWT is good for, in seconds; Snowflake takes an hour at most.
const LIFETIME_S: i64 = 600;
/// How long a statement may run, in seconds.
const STATEMENT_S: u32 = 60;

pub(super) async fn request<P: Port>(
    port: &P,
    target: &Target<'_>,
    records: &[&Record],
    now: i64,
) -> Result<Outgoing> {
    let (kind, config) = (target.kind, target.config);
    let (kind_of_token, token) = match config.text(kind, "token") {
        Some(token) => ("PROGRAMMATIC_ACCESS_TOKEN", token.to_owned()),
        None => ("KEYPAIR_JWT", jwt(port, kind, config, now / 1_000).await?),
    };
    let rows: Vec<Value> = records
        .iter()
        .map(|record| object(record, target))
        .collect();
    let mut body = json!({
        "statement": statement(config.word(kind, "table")),
        "timeout": STATEMENT_S,
        "bindings": {"1": {"type": "TEXT", "value": Value::Array(rows).to_string()}},
        "database": config.word(kind, "database"),
        "schema": config.word(kind, "schema"),
        "warehouse": config.word(kind, "warehouse"),
    });
    if let (Some(role), Some(body)) = (config.text(kind, "role"), body.as_object_mut()) {
        body.insert("role".into(), role.into());
    }
    let base = match config.text(kind, "baseUrl") {
        Some(base) => base.to_owned(),
        // Hosts have no underscores.
        None => format!(
            "https://{}.snowflakecomputing.com",
            config.word(kind, "account").replace('_', "-")
        ),
    };
    // A test is a statement of its own each time.
    let id = if records.is_empty() {
        port.random()?.first_chunk().copied().unwrap_or([7; 16])
    } else {
        batch_id(target, records)
    };
    Ok(Outgoing {
        method: "POST",
        url: format!(
            "{base}/api/v2/statements?requestId={}&retry=true",
            super::uuid(id)
        ),
        headers: vec![
            ("content-type".into(), "application/json".into()),
            ("accept".into(), "application/json".into()),
            ("authorization".into(), format!("Bearer {token}")),
            (
                "x-snowflake-authorization-token-type".into(),
                kind_of_token.into(),
            ),
        ],
        body: body.to_string().into_bytes(),
        gzip: false,
    })
}

fn object(record: &Record, target: &Target<'_>) -> Value {
    let values = row(record, target.switches);
    let pairs = COLUMNS
        .iter()
        .zip(values)
        .filter_map(|((name, _), value)| Some(((*name).to_owned(), value?)));
    Value::Object(pairs.collect::<Map<_, _>>())
}

fn statement(table: &str) -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let read = COLUMNS.iter().map(|(name, holds)| {
        let value = match holds {
            Column::Json => format!("value:{name}"),
            holds => format!("value:{name}::{}", snowflake_type(*holds)),
        };
        format!("{value} AS {name}")
    });
    let source: Vec<String> = names.iter().map(|name| format!("s.{name}")).collect();
    format!(
        "MERGE INTO {table} AS t USING (SELECT {} FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?)))) AS s ON t.SPAN_ID = s.SPAN_ID WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})",
        read.collect::<Vec<_>>().join(", "),
        names.join(", "),
        source.join(", ")
    )
}

fn snowflake_type(holds: Column) -> &'static str {
    match holds {
        Column::Text => "STRING",
        Column::Time => "TIMESTAMP_TZ",
        Column::Count => "NUMBER",
        Column::Dollars => "NUMBER(18, 9)",
        Column::Json => "VARIANT",
    }
}

pub(super) fn setup(kind: &Kind, config: &Config) -> String {
    let columns = COLUMNS
        .iter()
        .map(|(name, holds)| format!("    {name} {}", snowflake_type(*holds)));
    format!(
        "CREATE TABLE IF NOT EXISTS {}.{}.{} (\n{}\n)",
        config.word(kind, "database"),
        config.word(kind, "schema"),
        config.word(kind, "table"),
        columns.collect::<Vec<_>>().join(",\n")
    )
}

async fn jwt<P: Port>(port: &P, kind: &Kind, config: &Config, now_s: i64) -> Result<String> {
    let unusable = || Error::internal("a private key of Snowflake cannot be used");
    let der = pem(config.word(kind, "privateKey")).ok_or_else(unusable)?;
    let public = public_key(&der).ok_or_else(unusable)?;
    let print = BASE64_STANDARD.encode(Sha256::digest(&public));
    // Without the region of a locator.
    let account = config
        .word(kind, "account")
        .split('.')
        .next()
        .unwrap_or_default();
    let subject = format!("{account}.{}", config.word(kind, "user")).to_ascii_uppercase();
    let header = json!({"alg": "RS256", "typ": "JWT"});
    let claims = json!({
        "iss": format!("{subject}.SHA256:{print}"),
        "sub": subject,
        "iat": now_s,
        "exp": now_s + LIFETIME_S,
    });
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", part(header), part(claims));
    let signature = port.sign_rs256(&der, input.as_bytes()).await?;
    Ok(format!(
        "{input}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(signature)
    ))
}

/// The public half of a PKCS#8 RSA key, as the `SubjectPublicKeyInfo` whose digest names it (RFC 5208, RFC 8017, RFC 5280).
fn public_key(pkcs8: &[u8]) -> Option<Vec<u8>> {
    /// `rsaEncryption`, with its empty parameters.
    const ALGORITHM: [u8; 15] = [
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ];
    let (_, info, _) = element(pkcs8)?;
    let (_, _version, rest) = element(info)?;
    let (_, _algorithm, rest) = element(rest)?;
    let (_, key, _) = element(rest)?;
    let (_, key, _) = element(key)?;
    let (_, _version, rest) = element(key)?;
    let (_, modulus, rest) = element(rest)?;
    let (_, exponent, _) = element(rest)?;
    let numbers = [tagged(0x02, modulus), tagged(0x02, exponent)].concat();
    let mut bits = vec![0];
    bits.extend(tagged(0x30, &numbers));
    let whole = [ALGORITHM.to_vec(), tagged(0x03, &bits)].concat();
    Some(tagged(0x30, &whole))
}

/// The first element of DER: its tag, its contents, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    let length = if *first < 0x80 {
        usize::from(*first)
    } else {
        let (bytes, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
        rest = after;
        let add = |sum: usize, byte: &u8| sum.checked_mul(256)?.checked_add(usize::from(*byte));
        bytes.iter().try_fold(0, add)?
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((*tag, contents, rest))
}

fn tagged(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    match u8::try_from(contents.len()) {
        Ok(length) if length < 0x80 => der.push(length),
        _ => {
            let length = contents.len().to_be_bytes();
            let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
            der.push(0x80 | u8::try_from(length.len()).unwrap_or(8));
            der.extend(length);
        }
    }
    der.extend_from_slice(contents);
    der
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_has_no_public_half() {
        for der in [
            &[][..],
            &[0x30],
            &[0x30, 0x82, 0xff],
            &[0x30, 0x03, 0x02, 0x01, 0x00],
        ] {
            assert_eq!(public_key(der), None, "{der:?}");
        }
    }

    #[test]
    fn a_statement_names_each_column_once_on_each_side() {
        let text = statement("T");
        for (name, _) in COLUMNS {
            assert!(text.contains(&format!(" AS {name}")), "{name}");
            assert!(text.contains(&format!("s.{name}")), "{name}");
        }
        assert_eq!(text.matches('?').count(), 1);
    }
}
