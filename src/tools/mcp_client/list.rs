//! All pages of a server's tools.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Client, LIST_MS, MAX_LIST_BYTES, MAX_PAGES, MAX_TOOLS, Trouble, Wire};
use crate::tools::{connector::Outgoing, imports::mcp::Listing};

/// Asks a server what tools it has. `base` is a request without a body: the address, and the key.
///
/// # Errors
/// Where it cannot be asked, or speaks no MCP.
pub async fn list<W: Wire>(
    wire: &W,
    mut base: Outgoing,
    protocol: Option<&str>,
) -> Result<Listing, Trouble> {
    base.max_bytes = MAX_LIST_BYTES;
    base.timeout_ms = LIST_MS;
    let until_ms = wire.now_ms() + LIST_MS;
    let mut client = Client::new(wire.clone(), base, protocol, until_ms);
    let listed = pages(&mut client).await;
    let (protocol, server) = (client.version(), client.server());
    client.close();
    let (tools, is_cut) = listed?;
    Ok(Listing {
        server,
        protocol,
        tools,
        is_cut,
    })
}

/// The tools, and whether there were more. A server that begins anew, or never ends, is read so far.
async fn pages<W: Wire>(client: &mut Client<W>) -> Result<(Vec<Value>, bool), Trouble> {
    let mut tools = Vec::new();
    let mut seen = BTreeSet::new();
    let mut params = Map::new();
    let mut room = MAX_LIST_BYTES;
    for _ in 0..MAX_PAGES {
        let mut page = client.ask("tools/list", params, None).await?;
        let Some(Value::Array(found)) = page.remove("tools") else {
            return Err(Trouble::malformed("The server lists no tools"));
        };
        for tool in found {
            let Some(left) = room.checked_sub(tool.to_string().len()) else {
                return Ok((tools, true));
            };
            if tools.len() >= MAX_TOOLS {
                return Ok((tools, true));
            }
            room = left;
            tools.push(tool);
        }
        let next = page.get("nextCursor").and_then(Value::as_str);
        let Some(cursor) = next.map(str::to_owned) else {
            return Ok((tools, false));
        };
        if !seen.insert(cursor.clone()) {
            return Ok((tools, true));
        }
        params = Map::new();
        params.insert("cursor".to_owned(), cursor.into());
    }
    Ok((tools, true))
}
