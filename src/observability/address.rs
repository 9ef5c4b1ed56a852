//! Which addresses a destination, or a notice of an account's, may have.
//!
//! The account chooses the address, the gateway sends there with its own network's reach, so: `https` only, no credentials in the
//! address, no host that is private by its name or number (`server_tools::Address` reads every way of writing one), no port of
//! another protocol, and no name that resolves to an address that is not public. Names are resolved over HTTPS (RFC 8484's JSON
//! form, at `DESTINATION_RESOLVER`) before a configuration is saved, before each test and once per run of the cron. What resolves
//! differently a moment later (rebinding) is kept from private networks by the platform, whose `fetch` reaches public addresses
//! only. Redirects are never followed: an answer of 3xx is a refusal.
//!
//! The operator may name hosts (`DESTINATION_TRUSTED_HOSTS`: `host` or `host:port`, with commas between) that are exempt: a
//! collector in the operator's own network, and the tests' receivers.

use serde_json::Value;

use super::port::{Outgoing, Port};
use crate::server_tools::Address;

/// The variable with the hosts that are exempt.
pub const TRUSTED: &str = "DESTINATION_TRUSTED_HOSTS";
/// The variable with the resolver's address.
pub const RESOLVER: &str = "DESTINATION_RESOLVER";
/// The resolver where the operator names none.
const DEFAULT_RESOLVER: &str = "https://cloudflare-dns.com/dns-query";
/// How long the resolver may take, in milliseconds.
const RESOLVE_MS: u64 = 5_000;
/// Ports above 1023 where other protocols listen; the list of the Fetch standard, and databases.
const BAD_PORTS: [u16; 22] = [
    1719, 1720, 1723, 2049, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 6000, 6379, 6566, 6665,
    6667, 6697, 10080, 11211, 25565, 27017,
];

/// Why nothing is sent to an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It may not be sent to. A sentence.
    Forbidden(String),
    /// It could not be found out.
    Unknown(String),
}

/// Refuses ports of other protocols.
///
/// # Errors
/// A sentence.
pub fn check_port(address: &Address) -> Result<(), &'static str> {
    match address.port() {
        None | Some(80 | 443) => Ok(()),
        Some(port) if port >= 1_024 && !BAD_PORTS.contains(&port) => Ok(()),
        Some(_) => Err("this port belongs to another protocol"),
    }
}

/// Checks an address: its form, its name, and what the name resolves to. `trusted` is the variable with the hosts that are exempt.
///
/// # Errors
/// Why it may not be sent to, or that it is not known.
pub async fn check<P: Port>(port: &P, url: &str, trusted: &str) -> Result<(), Refusal> {
    let forbidden = |what: &str| Refusal::Forbidden(what.to_owned());
    let address = Address::parse(url).map_err(|refused| forbidden(&refused.to_string()))?;
    if is_trusted(port, &address, trusted) {
        return Ok(());
    }
    if !address.is_https() {
        return Err(forbidden("only https addresses can be sent to"));
    }
    check_port(&address).map_err(forbidden)?;
    if !address.is_public() {
        return Err(forbidden("only public hosts can be sent to"));
    }
    if address.is_number() {
        return Ok(());
    }
    let mut found = 0_usize;
    for kind in ["A", "AAAA"] {
        for number in resolve(port, address.host(), kind).await? {
            let number = if number.contains(':') {
                format!("[{number}]")
            } else {
                number
            };
            let resolved = Address::parse(&format!("https://{number}/"));
            if !resolved.is_ok_and(|resolved| resolved.is_public()) {
                let message = format!(
                    "{} resolves to an address that is not public",
                    address.host()
                );
                return Err(Refusal::Forbidden(message));
            }
            found += 1;
        }
    }
    if found == 0 {
        return Err(Refusal::Unknown(format!(
            "{} resolves to no address",
            address.host()
        )));
    }
    Ok(())
}

fn is_trusted<P: Port>(port: &P, address: &Address, trusted: &str) -> bool {
    let trusted = port.var(trusted).unwrap_or_default();
    trusted
        .split(',')
        .map(|host| host.trim().to_ascii_lowercase())
        .any(|host| !host.is_empty() && (host == address.authority() || host == address.host()))
}

/// The numbers that a name has, of this kind.
async fn resolve<P: Port>(port: &P, host: &str, kind: &str) -> Result<Vec<String>, Refusal> {
    let resolver = port
        .var(RESOLVER)
        .unwrap_or_else(|| DEFAULT_RESOLVER.to_owned());
    let unknown = || Refusal::Unknown(format!("{host} could not be resolved"));
    let request = Outgoing {
        method: "GET",
        url: format!("{resolver}?name={host}&type={kind}"),
        headers: vec![("accept".into(), "application/dns-json".into())],
        body: Vec::new(),
        gzip: false,
    };
    let answer = port
        .send_within(request, RESOLVE_MS)
        .await
        .map_err(|_| unknown())?;
    if answer.status != 200 {
        return Err(unknown());
    }
    let body: Value = crate::json::from_slice(&answer.body).map_err(|_| unknown())?;
    let wanted = if kind == "A" { 1 } else { 28 };
    match body.get("Status").and_then(Value::as_i64) {
        // No such name.
        Some(3) => return Ok(Vec::new()),
        Some(0) => {}
        _ => return Err(unknown()),
    }
    let answers = body.get("Answer").and_then(Value::as_array);
    let numbers = answers
        .into_iter()
        .flatten()
        .filter(|answer| answer.get("type").and_then(Value::as_i64) == Some(wanted));
    Ok(numbers
        .filter_map(|answer| Some(answer.get("data")?.as_str()?.to_owned()))
        .collect())
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
