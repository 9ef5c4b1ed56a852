//! What a request finds of its conversation's past, and what it leaves: hints out of memory or KV, and back.

use std::rc::Rc;

use futures::future::{Either, select};

use super::World;
use crate::{
    catalog::ServedModel,
    chat::ChatRequest,
    error::{Error, Result},
    relay::OnServed,
    routing::{
        Asked, ProviderPreferences,
        sticky::{Affinity, Hint, Key, LIFETIME_MS, READ_LIMIT_MS},
    },
};

/// The longest `X-Session-Id`.
const MAX_SESSION_ID: usize = 256;

/// Takes the session's id out of the header where the body names none.
///
/// # Errors
/// 400 where it is too long.
pub fn session_id(sent: Option<String>, chat: &mut ChatRequest) -> Result<()> {
    if let Some(id) = sent.filter(|id| !id.is_empty())
        && chat.session_id.is_none()
    {
        if id.chars().count() > MAX_SESSION_ID {
            let message = format!("X-Session-Id: at most {MAX_SESSION_ID} characters");
            return Err(Error::invalid("x-session-id", message));
        }
        chat.session_id = Some(id);
    }
    Ok(())
}

/// What is known of the conversation: out of memory, else out of KV where that is worth the wait. Without KV the request is
/// merely a cold one.
pub async fn recall<W: World>(
    world: &W,
    account: &str,
    chat: &ChatRequest,
    prompt_tokens: u64,
    preferences: &ProviderPreferences,
    models: &[Asked],
) -> Affinity {
    let models: Vec<&ServedModel> = models.iter().map(|asked| asked.model.as_ref()).collect();
    let can_call = |provider: &_| world.can_call(provider);
    let mut affinity = Affinity::of(account, chat, prompt_tokens, preferences, &models, can_call);
    let Some(key) = affinity.key().copied() else {
        return affinity;
    };
    let hints = hints(world, &key, affinity.is_worth_reading()).await;
    affinity.adopt(hints, &models);
    affinity
}

/// The model that served the conversation last, for a request that names a router.
pub async fn remembered<W: World>(world: &W, account: &str, chat: &ChatRequest) -> Option<String> {
    let key = Key::of(account, chat)?;
    let is_worth_reading = chat.session_id.is_some() || chat.messages.len() > 1;
    let hints = hints(world, &key, is_worth_reading).await;
    hints.into_iter().next().map(|hint| hint.model)
}

/// The conversation's hints, newest first: out of memory, else out of KV where that is worth the wait.
async fn hints<W: World>(world: &W, key: &Key, is_worth_reading: bool) -> Vec<Hint> {
    let memory = world.memory();
    if let Some(hints) = memory.hints.get(key, world.now_ms()) {
        return hints;
    }
    if !is_worth_reading {
        return Vec::new();
    }
    let text = key.text();
    let read = std::pin::pin!(world.hint(&text));
    match select(read, world.sleep(READ_LIMIT_MS)).await {
        Either::Left((Ok(Some(text)), _)) => memory.hints.learn(key, &text, world.now_ms()),
        Either::Left((Err(error), _)) => {
            world.report(&format!("a sticky hint could not be read: {error}"));
            Vec::new()
        }
        Either::Left((Ok(None), _)) | Either::Right(_) => Vec::new(),
    }
}

/// Leaves a hint behind each good answer; KV is written behind the response.
pub fn remember<W: World>(world: &W, affinity: &Rc<Affinity>) -> OnServed {
    let (world, affinity) = (world.clone(), Rc::clone(affinity));
    Rc::new(move |served| {
        let now = world.now_ms();
        let (Some(key), Some(hint)) = (affinity.key().copied(), affinity.hint(served, now)) else {
            return;
        };
        let Some(text) = world.memory().hints.note(&key, hint, now) else {
            return;
        };
        let behind = world.clone();
        world.spawn(Box::pin(async move {
            let name = key.text();
            let written = behind.put_hint(&name, &text, LIFETIME_MS / 1_000);
            if let Err(error) = written.await {
                behind.memory().hints.lost(&key);
                behind.report(&format!("a sticky hint could not be written: {error}"));
            }
        }));
    })
}
