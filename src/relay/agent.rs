//! The loop of server tools: a model answers with calls of tools that the gateway runs, reads their results, and goes on.
//!
//! ```text
//! hold ─ (search) ─ answer 1 ─ calls ─ tools ─ answer 2 ─ … ─ last answer ─ settle ─ usage and end mark
//! ```
//!
//! Each answer is a part of the request ([`Tab`](super::tab::Tab)): falling over to other endpoints works within each, and one settlement
//! pays for all. For the client they are one message; a stream hears of each call when it was run. What a tool fails at is told
//! to the model. The loop ends with an answer that calls none of the gateway's tools, with calls of the client's own, or, after
//! the last step, with one answer that may call nothing. A call of the catalog's tools that somebody has to confirm ends it too: the
//! client gets the call as one of its own, and may have it run with a confirmation (`/tools/run`). What was run for a client that watches is paid once the client was told of
//! it, even if it leaves then; an answer in one piece is paid whole or not at all.

use super::{
    fallback::Queue,
    flow::{MAX_COST, timed_out},
    job::Job,
    pipe::Whole,
    ports::Platform,
    race::Raced,
    resume::Draft,
    run::Running,
    tools,
    turn::{Told, Turn, shown_calls, told_call},
    watch::Denied,
};
use crate::{
    chat::{
        ChatRequest, Delta, Event, FinishReason, Message, Part, Role, ServerToolKind, ToolCall,
        ToolChoice,
    },
    credits::money::Nanos,
    dialects::{report::Meta, surface::Writer},
    error::{Error, ErrorType},
    server_tools::{Begun, Called, Kit, Progress, Session, Source, annotations, cite},
    transforms::Note,
};

/// How a message ends whose calls wait for somebody's yes.
const CONFIRM: &str = "confirmation_required";

/// The conversation of one request with the model.
#[derive(Default)]
struct Talk {
    /// What is asked next.
    request: ChatRequest,
    session: Session,
    sources: Vec<Source>,
    told: Told,
    /// Writes the message of a stream, once an answer serves.
    writer: Option<Writer>,
    /// What the client of an answer in one piece gets.
    shown: Vec<Event>,
    /// What was run, and whether it failed: a search before the model, and calls of the model's.
    first: Option<bool>,
    ran: Vec<(ServerToolKind, bool)>,
    steps: u32,
    /// The next answer may call nothing.
    is_last: bool,
    /// The step of the plan that served last.
    preferred: Option<usize>,
}

impl Talk {
    /// Shows events to the client: bytes for a stream.
    fn show(&mut self, events: Vec<Event>) -> Vec<u8> {
        let mut bytes = Vec::new();
        match &mut self.writer {
            Some(writer) => {
                for event in &events {
                    writer.write(event, &mut bytes);
                }
            }
            None => self.shown.extend(events),
        }
        bytes
    }

    /// The end of the message: its sources, and how it ended.
    fn ending(&mut self, finish: Option<Event>) -> Vec<u8> {
        let cited = annotations(&self.sources, &self.told.text);
        let cited = cited
            .into_iter()
            .map(|one| Event::delta(0, Delta::Annotation(one)));
        let events = cited.chain(finish).collect();
        self.show(events)
    }

    /// What the gateway itself did, as the metadata tells it.
    fn notes(&self) -> Vec<Note> {
        let note = |kind, name, summary| Note {
            kind,
            name,
            summary,
            data: None,
            is_warning: false,
        };
        let first = self.first.map(|is_error| {
            let result = if is_error {
                "failed"
            } else {
                "was put into the prompt"
            };
            note("plugin", "web", format!("A search of the web {result}"))
        });
        let kinds = ServerToolKind::ALL
            .into_iter()
            .chain([ServerToolKind::Catalog]);
        let tools = kinds.filter_map(|kind| {
            let ran = self.ran.iter().filter(|(of, _)| *of == kind);
            let (count, failed) = ran.fold((0, 0), |(count, failed), (_, is_error)| {
                (count + 1, failed + u32::from(*is_error))
            });
            let summary = format!("Called {count} times, of which {failed} failed");
            (count > 0).then(|| note("server_tools", kind.as_str(), summary))
        });
        first.into_iter().chain(tools).collect()
    }

    /// The results of calls go back to the model.
    fn answer_calls(&mut self, results: &[(ToolCall, Called)]) {
        for (call, called) in results {
            cite(&mut self.sources, called);
            self.request.messages.push(Message {
                role: Role::Tool,
                name: None,
                parts: vec![Part::ToolResult {
                    call_id: call.id.clone(),
                    content: vec![Part::text(called.told.clone())],
                    is_error: called.is_error,
                    cache: None,
                }],
            });
        }
        self.steps += 1;
        // A tool that had to be called was.
        if matches!(
            self.request.tool_choice,
            Some(ToolChoice::Required | ToolChoice::Function(_))
        ) {
            self.request.tool_choice = None;
        }
    }
}

impl<P: Platform> Running<'_, P> {
    /// Runs a request with server tools. The failure to tell, if nothing was told yet.
    pub(super) async fn agent(&mut self, job: &Job, kit: &Kit) -> Result<Option<Error>, Denied> {
        let mut talk = Talk {
            request: ChatRequest {
                server_tools: Vec::new(),
                ..job.request.clone()
            },
            ..Talk::default()
        };
        let owned = kit.names();
        self.search_first(job, kit, &mut talk).await?;
        loop {
            if talk.is_last {
                talk.request.tool_choice = Some(ToolChoice::None);
            }
            let turn = Turn::new(owned.clone(), &talk.told);
            let spent = self.tab().so_far().0;
            let draft = Draft::of_turn(std::mem::take(&mut talk.request), turn, spent);
            let turn = match self.turn(job, &draft, &mut talk).await? {
                Ok(turn) => turn,
                Err(over) => return self.give_up(job, talk, over).await,
            };
            talk.request = draft.into_request();
            talk.preferred = self.served(job);
            turn.add_to(&mut talk.told);
            let calls = if talk.is_last {
                Vec::new()
            } else {
                turn.to_run()
            };
            if calls.is_empty() {
                self.last(job, talk, turn).await;
                return Ok(None);
            }
            let finish = turn.finish();
            talk.request.messages.push(turn.message());
            let Some(results) = self.run_calls(job, kit, &mut talk, calls).await? else {
                self.over(job, talk, Some(timed_out("the tools of the request")))
                    .await;
                return Ok(None);
            };
            if results.iter().any(|(_, called)| called.is_pending) {
                self.pass_on(job, talk, &results).await;
                return Ok(None);
            }
            let called: Vec<&str> = results.iter().map(|(call, _)| call.name.as_str()).collect();
            talk.answer_calls(&results);
            let (cost, tokens) = self.tab().so_far();
            let cost = cost.checked_add(self.tab().executions()).unwrap_or(cost);
            talk.is_last = kit.stop.is_due(&Progress {
                steps: talk.steps,
                called: &called,
                cost,
                tokens,
                finish,
            });
        }
    }

    /// The search before the model is called, if one is wanted. Nothing is searched before the hold is granted.
    async fn search_first(&mut self, job: &Job, kit: &Kit, talk: &mut Talk) -> Result<(), Denied> {
        let Some((run, request)) = kit.first(&talk.request, &mut talk.session) else {
            return Ok(());
        };
        self.granted().await?;
        let called = if self.rest(job).is_some_and(|rest| rest < kit.search_price()) {
            too_dear()
        } else {
            let platform = self.platform.clone();
            let search = tools::finish(&platform, run, request);
            let called = self.wait(self.end_ms, search).await?;
            called.unwrap_or_else(|| Called::failed("The search took too long"))
        };
        let mut called = called;
        tools::screen(job.filters.as_ref(), &mut called);
        self.tab().ran_first(&called);
        talk.first = Some(called.is_error);
        kit.inject(&mut talk.request, &called);
        cite(&mut talk.sources, &called);
        Ok(())
    }

    /// One answer of the model, shown to the client as far as it is for the client; or why there is none.
    async fn turn(
        &mut self,
        job: &Job,
        draft: &Draft,
        talk: &mut Talk,
    ) -> Result<Result<Turn, Over>, Denied> {
        let mut queue = Queue::preferring(&job.plan.attempts, talk.preferred);
        match self.race(job, &mut queue, Some(draft)).await? {
            Raced::Nobody(unsayable) => {
                let is_spent = talk.steps > 0
                    && unsayable
                        .as_ref()
                        .is_some_and(|error| error.error_type == ErrorType::PaymentRequired);
                Ok(Err(if is_spent {
                    Over::Spent
                } else {
                    Over::Failed(self.verdict(job, unsayable))
                }))
            }
            Raced::Answered | Raced::Sound(_) | Raced::Pieces(_) => Ok(Err(Over::Failed(
                Error::internal("an answer of a loop was told"),
            ))),
            Raced::Turn(events) => {
                let mut turn = draft.turn().cloned().unwrap_or_default();
                let shown = turn.take(&events);
                if job.request.stream {
                    let meta = self.tab().meta();
                    talk.writer
                        .get_or_insert_with(|| job.recipient(&meta).writer());
                }
                let bytes = talk.show(shown);
                self.send(bytes).await;
                Ok(Ok(turn))
            }
            Raced::Stream(attempt) => {
                let meta = self.tab().meta_at(attempt.at);
                let writer = talk.writer.take();
                let writer = writer.unwrap_or_else(|| job.recipient(&meta).writer());
                let Some((flow, failure)) = self.carry(attempt, Some(writer)).await? else {
                    return Ok(Err(Over::Failed(Error::internal("a stream is no stream"))));
                };
                let Some((turn, writer, pending)) = flow.into_turn() else {
                    return Ok(Err(Over::Failed(Error::internal(
                        "a stream of a loop has no turn",
                    ))));
                };
                talk.writer = Some(writer);
                self.send(pending).await;
                Ok(match failure {
                    Some(error) => Err(Over::Failed(error)),
                    None => Ok(turn),
                })
            }
        }
    }

    /// Runs the calls of an answer side by side. `None`: the time of the request is over.
    async fn run_calls(
        &mut self,
        job: &Job,
        kit: &Kit,
        talk: &mut Talk,
        calls: Vec<ToolCall>,
    ) -> Result<Option<Vec<(ToolCall, Called)>>, Denied> {
        self.tab().lead_on(calls.len());
        let now = self.platform.now_ms();
        let platform = self.platform.clone();
        let zones = |zone: &str| platform.utc_offset(zone);
        let mut rest = self.rest(job);
        let session = &mut talk.session;
        let begin = |call: &ToolCall| {
            let price = kit.price(&call.name);
            // Calls of one answer are run together: each takes its price from what is left.
            match rest.map(|rest| rest.checked_sub(price)) {
                Some(Ok(left)) if left >= Nanos::ZERO => rest = Some(left),
                Some(_) if price > Nanos::ZERO => return Begun::Done(too_dear()),
                _ => {}
            }
            kit.begin(call, session, now, &zones)
        };
        let begun: Vec<Begun> = calls.iter().map(begin).collect();
        let results = self
            .wait(self.end_ms, tools::run_all(&platform, begun))
            .await?;
        let Some(results) = results else {
            return Ok(None);
        };
        let mut results: Vec<(ToolCall, Called)> = calls.into_iter().zip(results).collect();
        let filters = job.filters.as_ref();
        results
            .iter_mut()
            .for_each(|(_, called)| tools::screen(filters, called));
        let mut events = Vec::with_capacity(results.len());
        for (call, called) in &results {
            self.tab().ran(called);
            let kind = kit.owns(&call.name);
            talk.ran.extend(kind.map(|kind| (kind, called.is_error)));
            let name = kit.label(&call.name);
            events.push(told_call(&mut talk.told, &name, call, &called.result));
        }
        let bytes = talk.show(events);
        self.send(bytes).await;
        Ok(Some(results))
    }

    /// Calls that have to be confirmed are the client's: the message ends with them.
    async fn pass_on(&mut self, job: &Job, mut talk: Talk, results: &[(ToolCall, Called)]) {
        let pending = results.iter().filter(|(_, called)| called.is_pending);
        let events = shown_calls(pending.map(|(call, _)| call));
        let mut bytes = talk.show(events);
        let finish = Event::Finish {
            choice: 0,
            reason: FinishReason::ToolCalls,
            native: CONFIRM.to_owned(),
            stop_sequence: None,
        };
        self.tab().cut_last(FinishReason::ToolCalls, CONFIRM);
        bytes.extend(talk.ending(Some(finish)));
        self.send(bytes).await;
        self.over(job, talk, None).await;
    }

    /// The last answer: its end, and the end of the request.
    async fn last(&mut self, job: &Job, mut talk: Talk, mut turn: Turn) {
        let bytes = talk.ending(turn.ending());
        self.send(bytes).await;
        self.over(job, talk, None).await;
    }

    /// No answer came. The failure to tell, if the client has seen nothing of the message.
    async fn give_up(
        &mut self,
        job: &Job,
        mut talk: Talk,
        over: Over,
    ) -> Result<Option<Error>, Denied> {
        match over {
            Over::Failed(error) if talk.writer.is_none() => return Ok(Some(error)),
            Over::Failed(error) => self.over(job, talk, Some(error)).await,
            Over::Spent => {
                self.tab().cut_last(FinishReason::Length, MAX_COST);
                let finish = Event::Finish {
                    choice: 0,
                    reason: FinishReason::Length,
                    native: MAX_COST.to_owned(),
                    stop_sequence: None,
                };
                let bytes = talk.ending(Some(finish));
                self.send(bytes).await;
                self.over(job, talk, None).await;
            }
        }
        Ok(None)
    }

    /// Settles and ends the message.
    async fn over(&mut self, job: &Job, talk: Talk, failure: Option<Error>) {
        let failure = failure.map(|error| self.tab().explain(error));
        if let Some(error) = &failure {
            self.tab().fail(error.to_string());
        }
        self.tab().note_last(talk.notes());
        let report = self.settle().await;
        let Some(mut writer) = talk.writer else {
            let meta: Meta = self.tab().meta();
            return match failure {
                Some(error) => self.tell_failure(error).await,
                None => {
                    let body = Whole::Translated(talk.shown).write(job, &meta, &report);
                    let tokens = (report.usage.prompt, report.usage.completion);
                    self.answer(body, tokens).await;
                }
            };
        };
        let mut bytes = Vec::new();
        match &failure {
            Some(error) => writer.error(error, &report, &mut bytes),
            None => writer.finish(&report, &mut bytes),
        }
        self.write(bytes).await;
    }

    /// Sends bytes of the stream, if there are any.
    async fn send(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.write(bytes).await;
        }
    }

    /// What the request may still cost, where it says so.
    fn rest(&self, job: &Job) -> Option<Nanos> {
        let cap = job.wishes.max_cost?;
        let executions = self.tab().executions();
        let spent = self.tab().so_far().0.checked_add(executions);
        let rest = spent.and_then(|spent| cap.checked_sub(spent));
        Some(rest.unwrap_or_default().max(Nanos::ZERO))
    }

    /// The step of the plan that served last.
    fn served(&self, job: &Job) -> Option<usize> {
        let tab = self.tab();
        let serving = tab.parts.last().and_then(|at| tab.tries.get(*at))?;
        let endpoint = &serving.route.endpoint;
        job.plan.attempts.iter().position(|step| {
            std::rc::Rc::ptr_eq(&step.route.endpoint, endpoint)
                && step.credential.is_own() == serving.credential.is_own()
        })
    }
}

/// Why there is no further answer.
enum Over {
    /// Nobody answered, or the stream broke.
    Failed(Error),
    /// What is left of `max_cost` does not buy another answer.
    Spent,
}

fn too_dear() -> Called {
    Called::failed(
        "Not run: it would cost more than the rest of what this request may cost. Answer with what is known",
    )
}
