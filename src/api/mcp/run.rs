//! One call: how far it is, when it is given up, and what is done where it has to be confirmed first.
//!
//! In the modern era a client cancels by leaving; in the legacy one it says so, and leaving means nothing. What was admitted is never
//! dropped half-way: it runs on to its end, so that its outcome is known and charged, and the same idempotency key tells it. A job that
//! would go on at its provider is stopped there.

use std::rc::Rc;

use futures::{
    FutureExt,
    channel::oneshot,
    future::{Either, LocalBoxFuture, select},
};
use serde_json::{Map, Value};

use super::{
    super::{World, intents},
    Ask, Reply,
    desk::Desk,
    stream::{self, Voice},
    tasks,
};
use crate::tools::{
    composites::MAX_CALLS,
    envelope::{Confirmation, Envelope, Status},
    execute::Call,
    mcp::{
        CAPABILITIES, Era,
        confirm::{self, Answer},
        message::{Fault, INVALID_REQUEST},
        outcome,
        session::can_ask,
        task, write,
    },
};

/// After this time a call becomes a task, where the client takes them, in milliseconds.
const PATIENCE_MS: u64 = 2_000;
/// How often a call that is on its way is looked at, in milliseconds.
const LOOK_MS: u64 = 1_000;
/// What a person who said no has done.
const DECLINED: &str = "The person declined: nothing was done.";

/// What is wished for.
#[derive(Clone)]
pub(super) struct Wish {
    /// The tool.
    pub tool: String,
    /// Its input.
    pub input: Map<String, Value>,
    /// What makes it happen once.
    pub idempotency_key: Option<String>,
    /// The token that confirms it.
    pub confirmation: Option<String>,
    /// The token of an earlier round, and what was answered there.
    pub state: Option<String>,
    /// What was answered.
    pub answer: Answer,
}

/// Runs a call.
pub(super) async fn run<W: World>(
    desk: &Rc<Desk<W>>,
    ask: Ask,
    mut wish: Wish,
) -> Result<Reply, Fault> {
    match (wish.answer, wish.state.take()) {
        (Answer::No, _) => return Ok(ask.result(outcome::failure(DECLINED))),
        (Answer::Yes, Some(state)) => wish.confirmation = Some(state),
        // Whoever lost the state, or the answer, is asked again.
        (Answer::Yes | Answer::None, _) => {}
    }
    if tasks::are_taken(&ask) && !desk.is_chain(&wish.tool) {
        return deferred(desk, &ask, &wish).await;
    }
    let token = ask.request.meta("progressToken").cloned();
    if ask.takes_streams && token.is_some() {
        return Ok(spoken(desk, ask, wish, None));
    }
    let Some(envelope) = performed(desk, &ask, &wish, None).await? else {
        return Ok(ask.result(outcome::failure("The call was cancelled.")));
    };
    if ask.era == Era::Legacy && asks_on_stream(&ask) && waits(&envelope).is_some() {
        return Ok(spoken(desk, ask, wish, Some(envelope)));
    }
    concluded(&ask, &wish, envelope).map(|result| ask.result(result))
}

/// Whether a client of the legacy era shows a form that comes on the stream of its call.
fn asks_on_stream(ask: &Ask) -> bool {
    ask.takes_streams && ask.session.as_ref().is_some_and(|session| session.asks)
}

/// What a call waits for, if it does.
fn waits(envelope: &Envelope) -> Option<&Confirmation> {
    let waits = envelope.status == Status::ConfirmationRequired;
    envelope.confirmation.as_ref().filter(|_| waits)
}

/// The result of what came of a call.
fn concluded(ask: &Ask, wish: &Wish, envelope: Envelope) -> Result<Value, Fault> {
    if let Some(confirmation) = waits(&envelope) {
        let capabilities = ask.request.meta(CAPABILITIES);
        if ask.era == Era::Modern && can_ask(capabilities) {
            return Ok(confirm::required(confirmation));
        }
        return Ok(outcome::unconfirmed(envelope.to_value()));
    }
    // A state that was changed on its way is a fault of the protocol.
    if let (Some(error), Answer::Yes) = (&envelope.error, wish.answer)
        && error.code == "confirmation_invalid"
    {
        return Err(Fault::params(format!("requestState: {}", error.message)));
    }
    Ok(outcome::result(envelope.to_value()))
}

/// The same on a stream. `so_far` is what came of it before the stream began.
fn spoken<W: World>(desk: &Rc<Desk<W>>, ask: Ask, wish: Wish, so_far: Option<Envelope>) -> Reply {
    let desk = Rc::clone(desk);
    Reply::Stream(stream::response(move |voice| async move {
        let told = match told(&desk, &ask, &wish, so_far, &voice).await {
            Ok(Some(result)) => write::result(ask.era, &ask.request.id, result),
            // Nobody wants an answer any more.
            Ok(None) => return,
            Err(fault) => fault.render(&ask.request.id),
        };
        voice.say(&told);
    }))
}

async fn told<W: World>(
    desk: &Rc<Desk<W>>,
    ask: &Ask,
    wish: &Wish,
    so_far: Option<Envelope>,
    voice: &Voice,
) -> Result<Option<Value>, Fault> {
    let mut wish = wish.clone();
    let mut envelope = so_far;
    // A chain asks about each step that wants a yes.
    for _ in 0..=MAX_CALLS {
        let so_far = match envelope.take() {
            Some(envelope) => Some(envelope),
            None => performed(desk, ask, &wish, Some(voice)).await?,
        };
        let Some(so_far) = so_far else {
            return Ok(None);
        };
        let wanted = waits(&so_far).filter(|_| ask.era == Era::Legacy && asks_on_stream(ask));
        let Some(wanted) = wanted else {
            return concluded(ask, &wish, so_far).map(Some);
        };
        match asked(desk, wanted, voice).await? {
            Answer::No => return Ok(Some(outcome::failure(DECLINED))),
            Answer::None => return Ok(Some(outcome::unconfirmed(so_far.to_value()))),
            Answer::Yes => wish.confirmation = Some(wanted.token.clone()),
        }
        // The yes is to what was chosen, not to another choice.
        if let Some((tool, input)) = intents::chosen(&so_far) {
            (wish.tool, wish.input) = (tool, input);
        }
    }
    Ok(Some(outcome::failure(
        "It wants to be confirmed without end.",
    )))
}

/// Asks the person at a client of the legacy era.
async fn asked<W: World>(
    desk: &Rc<Desk<W>>,
    wanted: &Confirmation,
    voice: &Voice,
) -> Result<Answer, Fault> {
    let mut form = confirm::form(wanted);
    if let Some(fields) = form.as_object_mut() {
        // The legacy era knows forms alone, and most of its versions have no word for them.
        fields.remove("mode");
    }
    let answer = stream::ask(
        &desk.world,
        &desk.owner(),
        voice,
        "elicitation/create",
        &form,
    )
    .await;
    let answer = answer.map_err(|error| super::broken(&desk.world, &error))?;
    let read = answer.as_ref().and_then(|answer| answer.get("result"));
    Ok(read.map_or(Answer::None, confirm::read))
}

/// Runs the call for a client that takes tasks: what is not done soon goes on as one, whether or not anybody asks.
async fn deferred<W: World>(desk: &Rc<Desk<W>>, ask: &Ask, wish: &Wish) -> Result<Reply, Fault> {
    let call = call(desk, wish)?;
    let id = call.id.clone();
    let mut envelope = started(desk, desk.execute(call), true);
    let mut waited_ms = 0;
    loop {
        match select(&mut envelope, desk.world.sleep(LOOK_MS)).await {
            Either::Left((Ok(envelope), _)) if envelope.status == Status::Running => {
                return Ok(ask.result(task::created(&envelope.id, desk.now())));
            }
            Either::Left((Ok(envelope), _)) => {
                return concluded(ask, wish, envelope).map(|result| ask.result(result));
            }
            Either::Left((Err(_), _)) => return Err(dropped()),
            Either::Right(((), _)) => waited_ms += LOOK_MS,
        }
        if waited_ms < PATIENCE_MS {
            continue;
        }
        // Nobody is told of a task that could not be found.
        let found = desk.look(&id).await;
        if found.is_ok_and(|found| found.status == Status::Running) {
            return Ok(ask.result(task::created(&id, desk.now())));
        }
    }
}

/// What is executed.
fn call<W: World>(desk: &Desk<W>, wish: &Wish) -> Result<Call, Fault> {
    let id = desk
        .id()
        .map_err(|error| super::broken(&desk.world, &error))?;
    Ok(Call {
        id,
        tool: wish.tool.clone(),
        input: Value::Object(wish.input.clone()),
        idempotency_key: wish.idempotency_key.clone(),
        confirmation: wish.confirmation.clone(),
        surface: "mcp",
        ..Call::default()
    })
}

/// A call whose end nobody tells.
fn dropped() -> Fault {
    let fault = Fault::new(INVALID_REQUEST, "The call was dropped");
    Fault {
        status: 500,
        ..fault
    }
}

/// Runs the call to its end; nothing comes of it where it was cancelled.
async fn performed<W: World>(
    desk: &Rc<Desk<W>>,
    ask: &Ask,
    wish: &Wish,
    voice: Option<&Voice>,
) -> Result<Option<Envelope>, Fault> {
    let work = desk.execute(call(desk, wish)?);
    if voice.is_none() && ask.era == Era::Modern {
        return Ok(Some(work.await));
    }
    let mut envelope = started(desk, work, false);
    let token = ask.request.meta("progressToken");
    let say = |seconds: f64, message: &str| match (voice, token) {
        (Some(voice), Some(token)) => {
            voice.say(&write::progress(token, seconds, None, message));
        }
        (Some(voice), None) => voice.keep_alive(),
        (None, _) => {}
    };
    say(0.0, &format!("Calling {}", wish.tool));
    let mut seconds = 0.0;
    let request = super::request_name((ask.header)(super::SESSION), &ask.request.id);
    loop {
        match select(&mut envelope, desk.world.sleep(LOOK_MS)).await {
            Either::Left((Ok(envelope), _)) => return Ok(Some(envelope)),
            Either::Left((Err(_), _)) => return Err(dropped()),
            Either::Right(((), _)) => {}
        }
        seconds += 1.0;
        say(seconds, &format!("{seconds} s"));
        let is_cancelled = ask.era == Era::Legacy
            && stream::is_cancelled(&desk.world, &desk.owner(), &request)
                .await
                .map_err(|error| super::broken(&desk.world, &error))?;
        if is_cancelled {
            return Ok(None);
        }
    }
}

/// Starts a call that goes its way by itself. A job is stopped when nobody waits for it, unless it is `kept`.
fn started<W: World>(
    desk: &Rc<Desk<W>>,
    work: LocalBoxFuture<'static, Envelope>,
    kept: bool,
) -> oneshot::Receiver<Envelope> {
    let (done, envelope) = oneshot::channel();
    let after = Rc::clone(desk);
    desk.world.spawn(
        async move {
            // Who asked may have left, or does not want it any more.
            if let Err(unwanted) = done.send(work.await)
                && unwanted.status == Status::Running
                && !kept
            {
                after.stop(&unwanted.id).await;
            }
        }
        .boxed_local(),
    );
    envelope
}
