//! Where may a request go whose address somebody else chose? To the public web: by its form, its name, and what the name resolves to.
//!
//! The same guard as of destinations. A host that was found good is not asked for again for a while.

use futures::{FutureExt, future::LocalBoxFuture};

use crate::{
    api::{World, destinations::Desk},
    observability::address::{self, Refusal},
    server_tools::Address,
    tools::{
        connector::{Answer, Outgoing},
        execute::SendError,
    },
};

/// The variable with hosts that are exempt: `host` or `host:port`, with commas between.
const TRUSTED: &str = "TOOLS_TRUSTED_HOSTS";
/// How long a host is known to be good, in milliseconds.
const MAX_AGE_MS: u64 = 60_000;
/// The most hosts that are known; all are forgotten then.
const MOST_HOSTS: usize = 512;

/// Asks a provider; where the address is somebody else's choice, only once it is found good.
pub(in crate::api) fn send<W: World>(
    world: &W,
    request: Outgoing,
) -> LocalBoxFuture<'static, Result<Answer, SendError>> {
    if !request.is_guarded {
        return world.exchange(request);
    }
    let world = world.clone();
    async move {
        let admitted = admits(&world, &request.url).await;
        admitted.map_err(SendError::NotSent)?;
        world.exchange(request).await
    }
    .boxed_local()
}

/// Whether it may go there.
///
/// # Errors
/// Why not: a sentence.
pub(in crate::api) async fn admits<W: World>(world: &W, url: &str) -> Result<(), String> {
    let address = Address::parse(url).map_err(|refused| refused.to_string())?;
    // What is checked beside the host is in the key.
    let key = format!("{} {}", address.is_https(), address.authority());
    let (memory, now_ms) = (world.memory(), world.now_ms());
    let known = memory.public_hosts.borrow().get(&key).copied();
    if known.is_some_and(|at| now_ms.saturating_sub(at) < MAX_AGE_MS) {
        return Ok(());
    }
    match address::check(&Desk(world.clone()), url, TRUSTED).await {
        Ok(()) => {}
        Err(Refusal::Forbidden(why) | Refusal::Unknown(why)) => return Err(why),
    }
    let mut hosts = memory.public_hosts.borrow_mut();
    if hosts.len() >= MOST_HOSTS {
        hosts.clear();
    }
    hosts.insert(key, now_ms);
    Ok(())
}
