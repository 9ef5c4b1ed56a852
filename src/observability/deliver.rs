//! One run of the cron: what happened since the last one goes to the accounts' destinations.
//!
//! A few workers run side by side. Each takes the destination that waits longest and has something to do, under a lease, so that
//! no other run sends the same; deals with some batches of it, each progress kept in one transaction that names the lease; and
//! gives it back. A batch that may arrive later stays as it is until it is due again, and its destination with it: the rows
//! behind it wait in D1, in their order, and no other destination waits for them. A batch that the receiver blames on its contents is halved until the
//! generation at fault is found; that one is put aside (dead letters), the rest arrives. At least once: a run that is cut off after
//! sending and before keeping its progress sends the same again, under the same ids.
//!
//! Rows of status *expired* are not told: if a settlement comes late, the row moves to the end and is told then.

use std::collections::VecDeque;

use futures::future::join_all;

use super::{
    address::{self, Refusal},
    answer::{MAX_TRIES, Verdict, scrubbed, verdict, wait_ms},
    config::Config,
    forms::{self, Target},
    port::{Outgoing, Port},
    rules::Rules,
    sample,
    store::{self, Dead, Destination, Progress},
    trace::Record,
};
use crate::{
    credits::ops::Outcome,
    error::Result,
    identity::{keys::hex, own_keys::seal::Keyring},
    time::rfc3339,
};

/// Destinations that are served at a time. The platform opens six connections at once.
const WORKERS: usize = 5;
/// A run begins nothing new after so long, in milliseconds.
const RUN_MS: u64 = 40_000;
/// How long one destination is served in a run, in milliseconds.
const SERVE_MS: u64 = 20_000;
/// How long a destination belongs to a run, in milliseconds: longer than a run may work on it.
const LEASE_MS: i64 = 120_000;
/// Rows read at a time.
const ROWS: i64 = 100;
/// Reads of [`ROWS`] for one destination, before others have their turn.
const READS: usize = 10;
/// What was asked and answered is kept behind the response: rows younger than this wait for it, in milliseconds.
const CONTENT_MS: i64 = 3_000;
/// A destination where nothing arrived for so long is switched off, in milliseconds.
const GIVES_UP_MS: i64 = 86_400_000;

/// What one run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Times that a destination was served.
    pub served: usize,
    /// Generations that arrived.
    pub generations: i64,
}

/// One run of the cron.
///
/// # Errors
/// When no destination could be looked up. What fails at one destination is in its state.
pub async fn run<P: Port>(port: &P) -> Result<Delivered> {
    let Some(ring) = keyring(port) else {
        return Ok(Delivered::default());
    };
    let began = port.now_ms();
    let workers = (0..WORKERS).map(|_| work(port, &ring, began));
    let mut all = Delivered::default();
    for done in join_all(workers).await {
        let done = done?;
        all.served += done.served;
        all.generations += done.generations;
    }
    Ok(all)
}

/// The deployment's master keys; without any there are no destinations.
fn keyring<P: Port>(port: &P) -> Option<Keyring> {
    let former = port.var("BYOK_MASTER_KEY_PREVIOUS");
    let current = port.var("BYOK_MASTER_KEY")?;
    Keyring::read(&current, former.as_deref())
        .inspect_err(|problem| port.report(problem))
        .ok()
}

async fn work<P: Port>(port: &P, ring: &Keyring, began: u64) -> Result<Delivered> {
    let mut all = Delivered::default();
    let mut done: Vec<String> = Vec::new();
    while port.now_ms().saturating_sub(began) < RUN_MS {
        let lease = hex(&port.random()?);
        let now = now(port);
        let Some(destination) = store::claim(port, &lease, now + LEASE_MS, now, &done).await?
        else {
            break;
        };
        all.served += 1;
        let served = serve(port, ring, &destination, &lease).await;
        match served {
            Ok((generations, has_more)) => {
                all.generations += generations;
                if !has_more {
                    done.push(destination.id.clone());
                }
            }
            Err(error) => {
                port.report(&format!("destination {}: {error}", destination.id));
                done.push(destination.id.clone());
            }
        }
        store::release(port, &destination.id, &lease).await?;
    }
    Ok(all)
}

/// Deals with some of what waits for a destination: how many generations arrived, and whether there is more that may be sent.
async fn serve<P: Port>(
    port: &P,
    ring: &Keyring,
    destination: &Destination,
    lease: &str,
) -> Result<(i64, bool)> {
    let deadline = port.now_ms() + SERVE_MS;
    let config = store::open(destination, ring)?;
    let mut run = Run {
        port,
        destination,
        config: &config,
        rules: destination.rules()?,
        lease,
        state: destination.state.clone(),
        checked: None,
        generations: 0,
    };
    for _ in 0..READS {
        if !run.letters().await? {
            break;
        }
        if port.now_ms() >= deadline {
            return Ok((run.generations, true));
        }
    }
    for _ in 0..READS {
        if run.is_waiting() {
            return Ok((run.generations, false));
        }
        if !run.rows().await? {
            return Ok((run.generations, false));
        }
        if port.now_ms() >= deadline {
            break;
        }
    }
    Ok((run.generations, !run.is_waiting()))
}

struct Run<'a, P> {
    port: &'a P,
    destination: &'a Destination,
    config: &'a Config,
    rules: Rules,
    lease: &'a str,
    state: store::State,
    /// The address that was found good in this run.
    checked: Option<String>,
    generations: i64,
}

/// What became of some generations.
#[derive(Default)]
struct Sent {
    /// The last that was dealt with, in the order of D1.
    through: Option<i64>,
    arrived: Vec<String>,
    rejected: u64,
    note: Option<String>,
    dead: Vec<Dead>,
    /// A batch that may arrive later: its generations, why, and when to ask.
    later: Option<Later>,
}

struct Later {
    generations: Vec<(i64, String)>,
    status: u16,
    reason: String,
    after_s: Option<u32>,
}

impl<P: Port> Run<'_, P> {
    fn is_waiting(&self) -> bool {
        self.state.next_at > now(self.port)
    }

    /// The next rows of the account: whether there may be more.
    async fn rows(&mut self) -> Result<bool> {
        let account = &self.destination.account;
        let (after, to) = (self.state.through, self.state.batch_end);
        let mut read = store::rows_since(self.port, account, after, to, ROWS).await?;
        let many = read.len();
        if self.reads_content() {
            let ripe = now(self.port) - CONTENT_MS;
            let young = read
                .iter()
                .position(|record| record.generation.finished_at > ripe);
            read.truncate(young.unwrap_or(many));
            if read.is_empty() && many > 0 {
                return Ok(false);
            }
        }
        let Some(last) = read.last().map(|record| record.seq) else {
            // The rows of the batch are gone: what follows has its turn.
            if self.state.batch_end.take().is_some() {
                return Ok(true);
            }
            return Ok(false);
        };
        let is_full = read.len() == many && (many as i64 >= ROWS || to.is_some());
        let wanted = self.wanted(read).await?;
        let sent = self.send(wanted).await?;
        let through = match &sent.later {
            None => last,
            Some(_) => sent.through.unwrap_or(after),
        };
        let goes_on = sent.later.is_none();
        self.keep(sent, through, false).await?;
        Ok(is_full && goes_on)
    }

    /// Some of what was put aside and is to be tried again: whether there may be more.
    async fn letters(&mut self) -> Result<bool> {
        if self.is_waiting() {
            return Ok(false);
        }
        let (found, gone) = store::queued(self.port, self.destination, ROWS).await?;
        if found.is_empty() && gone.is_empty() {
            return Ok(false);
        }
        let is_full = (found.len() + gone.len()) as i64 >= ROWS;
        let found = self.filled(found).await?;
        let mut sent = self.send(found).await?;
        sent.dead.extend(gone.into_iter().map(|generation| Dead {
            generation,
            status: 0,
            reason: "The generation's record is no longer kept".to_owned(),
            tries: 1,
        }));
        let goes_on = sent.later.is_none();
        let through = self.state.through;
        self.keep(sent, through, true).await?;
        Ok(is_full && goes_on)
    }

    /// Those rows that go there, with all that is told of them.
    async fn wanted(&self, rows: Vec<Record>) -> Result<Vec<Record>> {
        let destination = self.destination;
        let rows = rows.into_iter().filter(|record| {
            let generation = &record.generation;
            let hashes = destination.api_key_hashes.as_ref();
            generation.status != Outcome::Expired
                && hashes.is_none_or(|hashes| hashes.contains(&generation.key_hash))
                && sample::is_in(
                    destination.sampling_rate,
                    &destination.id,
                    generation.row.origin.session_id.as_deref(),
                    &generation.id,
                )
        });
        let mut rows = self.filled(rows.collect()).await?;
        rows.retain(|record| self.rules.admit(record));
        if destination.privacy_mode {
            // Rules may have looked at it.
            for record in &mut rows {
                record.content = Default::default();
            }
        }
        Ok(rows)
    }

    fn reads_content(&self) -> bool {
        !self.destination.privacy_mode || self.rules.read_content()
    }

    /// Rows with the names of their keys and their contents.
    async fn filled(&self, mut rows: Vec<Record>) -> Result<Vec<Record>> {
        if rows.is_empty() {
            return Ok(rows);
        }
        let destination = self.destination;
        let mut hashes: Vec<String> = rows
            .iter()
            .map(|record| record.generation.key_hash.clone())
            .collect();
        hashes.sort_unstable();
        hashes.dedup();
        let names = store::key_names(self.port, &destination.account, &hashes).await?;
        for record in &mut rows {
            let name = names
                .iter()
                .find(|(hash, _)| *hash == record.generation.key_hash);
            record.key_name = name.map(|(_, name)| name.clone()).unwrap_or_default();
        }
        if self.reads_content() {
            let ids: Vec<&str> = rows
                .iter()
                .map(|record| record.generation.id.as_str())
                .collect();
            let mut contents = self.port.contents(&destination.account, &ids).await?;
            for record in &mut rows {
                let at = contents
                    .iter()
                    .position(|(id, _)| *id == record.generation.id);
                if let Some(at) = at {
                    record.content = contents.swap_remove(at).1;
                }
            }
        }
        Ok(rows)
    }

    /// Sends generations in their order, in as many requests as they take, up to the first that may arrive later.
    async fn send(&mut self, records: Vec<Record>) -> Result<Sent> {
        let mut sent = Sent::default();
        let mut queue: VecDeque<Vec<Record>> = self.batches(records);
        while let Some(mut batch) = queue.pop_front() {
            let verdict = self.send_batch(&batch).await;
            let last = batch.last().map(|record| record.seq);
            match verdict {
                Answered::TooLarge if batch.len() > 1 => {
                    let rest = batch.split_off(batch.len() / 2);
                    queue.push_front(rest);
                    queue.push_front(batch);
                }
                Answered::TooLarge => {
                    let reason = "It is larger than the receiver takes in one request".to_owned();
                    bury(&mut sent.dead, &batch, 0, &reason, 1);
                    sent.through = last;
                }
                Answered::Read(Verdict::Taken { rejected, note }) => {
                    sent.arrived
                        .extend(batch.into_iter().map(|record| record.generation.id));
                    sent.rejected += rejected;
                    sent.note = note.or(sent.note);
                    sent.through = last;
                }
                Answered::Read(Verdict::Never {
                    is_contents: true, ..
                }) if batch.len() > 1 => {
                    let rest = batch.split_off(batch.len() / 2);
                    queue.push_front(rest);
                    queue.push_front(batch);
                }
                Answered::Read(Verdict::Never { status, reason, .. }) => {
                    let tries = self.state.tries + 1;
                    bury(&mut sent.dead, &batch, status, &reason, tries);
                    sent.through = last;
                }
                Answered::Read(Verdict::Later {
                    status,
                    reason,
                    after_s,
                }) => {
                    let generations = batch
                        .iter()
                        .map(|record| (record.seq, record.generation.id.clone()));
                    sent.later = Some(Later {
                        generations: generations.collect(),
                        status,
                        reason,
                        after_s,
                    });
                    break;
                }
            }
        }
        Ok(sent)
    }

    /// One batch; where the layout of objects asks for it, one for each key that follows another.
    fn batches(&self, records: Vec<Record>) -> VecDeque<Vec<Record>> {
        let by_key = self
            .config
            .text(self.destination.kind, "pathTemplate")
            .is_some_and(|template| template.contains("{apiKeyName}"));
        let mut batches: VecDeque<Vec<Record>> = VecDeque::new();
        for record in records {
            match batches.back_mut() {
                Some(batch)
                    if !by_key
                        || batch
                            .last()
                            .is_some_and(|last| last.key_name == record.key_name) =>
                {
                    batch.push(record);
                }
                _ => batches.push_back(vec![record]),
            }
        }
        batches
    }

    async fn send_batch(&mut self, batch: &[Record]) -> Answered {
        let target = Target {
            id: &self.destination.id,
            kind: self.destination.kind,
            config: self.config,
            switches: self.destination.switches,
        };
        let records: Vec<&Record> = batch.iter().collect();
        let never = |reason: String| {
            Answered::Read(Verdict::Never {
                status: 0,
                reason,
                is_contents: false,
            })
        };
        let request = match forms::request(self.port, &target, &records).await {
            Ok(request) => request,
            Err(error) => return never(error.message),
        };
        if request.body.len() > self.destination.kind.max_bytes {
            return Answered::TooLarge;
        }
        if self.checked.as_deref() != Some(origin(&request.url)) {
            match address::check(self.port, &request.url, address::TRUSTED).await {
                Ok(()) => self.checked = Some(origin(&request.url).to_owned()),
                Err(Refusal::Forbidden(reason)) => return never(reason),
                Err(Refusal::Unknown(reason)) => {
                    return Answered::Read(Verdict::Later {
                        status: 0,
                        reason,
                        after_s: None,
                    });
                }
            }
        }
        let secrets = self.config.secrets(self.destination.kind);
        let answer = self
            .port
            .send_within(request, self.port.patience_ms())
            .await;
        Answered::Read(verdict(answer, &secrets))
    }

    /// Keeps what a piece of the run came to.
    async fn keep(&mut self, mut sent: Sent, through: i64, are_letters: bool) -> Result<()> {
        let now = now(self.port);
        let state = &mut self.state;
        let mut progress = Progress {
            through,
            delivered: sent.arrived.len() as i64,
            rejected: i64::try_from(sent.rejected).unwrap_or(i64::MAX >> 10),
            next_at: now,
            ..Progress::default()
        };
        if !sent.arrived.is_empty() {
            progress.success_at = Some(now);
            state.failing_since = None;
            state.tries = 0;
            if let Some(note) = sent.note.take() {
                progress.error = Some((now, note));
            }
        }
        if let Some(dead) = sent.dead.last() {
            progress.error = Some((now, dead.reason.clone()));
            state.tries = 0;
        }
        state.batch_end = None;
        if let Some(later) = sent.later.take() {
            state.tries += 1;
            progress.error = Some((now, later.reason.clone()));
            if state.tries >= MAX_TRIES {
                let reason = format!("{} (after {} tries)", later.reason, state.tries);
                let last = later.generations.last().map(|(seq, _)| *seq);
                sent.dead
                    .extend(later.generations.into_iter().map(|(_, generation)| Dead {
                        generation,
                        status: later.status,
                        reason: reason.clone(),
                        tries: state.tries,
                    }));
                if !are_letters {
                    progress.through = last.unwrap_or(through);
                }
                state.tries = 0;
            } else {
                progress.next_at = now + wait_ms(state.tries, later.after_s, &self.port.random()?);
                if !are_letters {
                    state.batch_end = later.generations.last().map(|(seq, _)| *seq);
                }
            }
        }
        if let Some((at, reason)) = &progress.error
            && progress.success_at.is_none()
        {
            let since = *state.failing_since.get_or_insert(*at);
            if at - since >= GIVES_UP_MS {
                let notice = format!(
                    "Switched off at {}: nothing has arrived since {}. The last error: {reason}. Switch it on again to send what has waited.",
                    rfc3339(now),
                    rfc3339(since)
                );
                progress.notice = Some(scrubbed(&notice, &[]));
            }
        }
        progress.tries = state.tries;
        progress.batch_end = state.batch_end;
        progress.dead = sent.dead;
        if are_letters {
            progress.arrived = sent.arrived;
        }
        store::keep(self.port, self.destination, self.lease, &progress, now).await?;
        state.through = state.through.max(progress.through);
        state.next_at = progress.next_at;
        self.generations += progress.delivered;
        Ok(())
    }
}

enum Answered {
    /// Nothing was sent.
    TooLarge,
    /// What the answer means.
    Read(Verdict),
}

fn bury(dead: &mut Vec<Dead>, batch: &[Record], status: u16, reason: &str, tries: i64) {
    dead.extend(batch.iter().map(|record| Dead {
        generation: record.generation.id.clone(),
        status,
        reason: reason.to_owned(),
        tries,
    }));
}

/// Scheme and authority.
fn origin(url: &str) -> &str {
    let after = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(after..).and_then(|rest| rest.find(['/', '?']));
    end.and_then(|end| url.get(..after + end)).unwrap_or(url)
}

fn now<P: Port>(port: &P) -> i64 {
    i64::try_from(port.now_ms()).unwrap_or(i64::MAX)
}

/// What a test of the connection came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// Whether the receiver would take traces, as far as an empty one tells.
    pub ok: bool,
    /// Its status, 0 where there was none.
    pub status: u16,
    /// Its words, or what went wrong.
    pub message: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Sends an empty payload, marked as a test. A 400 counts as an answer: some receivers refuse what is empty.
///
/// # Errors
/// When the request cannot be made.
pub async fn test<P: Port>(port: &P, destination: &Destination, config: &Config) -> Result<Tested> {
    let target = Target {
        id: &destination.id,
        kind: destination.kind,
        config,
        switches: destination.switches,
    };
    let request: Outgoing = forms::request(port, &target, &[]).await?;
    let failed = |message: String| Tested {
        ok: false,
        status: 0,
        message,
        took_ms: 0,
    };
    match address::check(port, &request.url, address::TRUSTED).await {
        Ok(()) => {}
        Err(Refusal::Forbidden(reason) | Refusal::Unknown(reason)) => return Ok(failed(reason)),
    }
    let began = port.now_ms();
    let answer = port.send_within(request, port.patience_ms()).await;
    let took_ms = port.now_ms().saturating_sub(began);
    let status = answer.as_ref().map_or(0, |answer| answer.status);
    let secrets = config.secrets(destination.kind);
    let takes_empty = matches!(
        destination.kind.form,
        super::kind::Form::Otlp(_) | super::kind::Form::Webhook | super::kind::Form::Posthog
    );
    let words = answer.as_ref().map_or_else(
        |_| String::new(),
        |answer| scrubbed(String::from_utf8_lossy(&answer.body).trim(), &secrets),
    );
    let read = verdict(answer, &secrets);
    let (ok, message) = match read {
        Verdict::Taken { .. } => (true, words),
        Verdict::Never { .. } if status == 400 && takes_empty => (true, words),
        Verdict::Later { reason, .. } | Verdict::Never { reason, .. } => (false, reason),
    };
    Ok(Tested {
        ok,
        status,
        message,
        took_ms,
    })
}

#[cfg(test)]
#[path = "deliver_tests.rs"]
mod tests;
