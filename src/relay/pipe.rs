//! Upstream bytes in, client bytes out: spliced where both speak the same dialect, translated otherwise.

use super::{job::Job, resume::Draft, turn::Turn};
use crate::{
    catalog::Dialect,
    chat::{Delta, Event},
    dialects::{
        self, StreamReader, Surface, Target, anthropic_messages,
        openai_chat::{Passthrough, WholeAnswer},
        openai_responses,
        report::{Meta, UsageReport, WriterOptions},
        surface::Writer,
    },
    error::{Error, Result},
    transforms::{Filters, Note, Shape},
};

/// The way of one stream.
pub enum Pipe {
    /// Client and upstream both speak chat completions.
    Same(Box<Passthrough>),
    /// Client and upstream both speak messages.
    SameMessages(Box<anthropic_messages::Passthrough>),
    /// Client and upstream both speak Responses.
    SameResponses(Box<openai_responses::Passthrough>),
    /// They do not, the gateway changes the answer, or it goes on where another provider stopped.
    Translated {
        /// Reads the upstream's dialect.
        reader: Box<StreamReader>,
        /// What the gateway itself does to the events.
        filters: Filters,
        /// Writes the client's.
        writer: Box<Writer>,
        /// White space that the client already has and the provider may repeat.
        repeated: String,
    },
    /// It is an answer of a loop of tools.
    Turn(Box<TurnPipe>),
}

/// The way of an answer of a loop of tools. All of them have one writer, which an answer has once it serves.
pub struct TurnPipe {
    reader: StreamReader,
    /// What the gateway itself does to the events.
    filters: Filters,
    /// What the client sees of the answer.
    pub turn: Turn,
    /// What it is to see once there is a writer.
    held: Vec<Event>,
    writer: Option<Writer>,
}

impl TurnPipe {
    /// What came last is in `events`, and not all of it is for the client.
    fn pass(&mut self, events: &[Event], out: &mut Vec<u8>) {
        let shown = self.turn.take(events);
        match &mut self.writer {
            Some(writer) => write(writer, &shown, out),
            None => self.held.extend(shown),
        }
    }
}

impl Pipe {
    /// The way of a part that goes on where another provider stopped.
    pub fn resuming(
        job: &Job,
        target: &Target<'_>,
        meta: &Meta,
        filters: Filters,
        draft: &Draft,
    ) -> Self {
        let (dialect, quirks) = (target.dialect(), &target.provider.quirks);
        let known = draft.writer.as_ref().and_then(Writer::fork);
        let mut writer = Box::new(known.unwrap_or_else(|| job.recipient(meta).writer()));
        writer.resume(meta);
        Self::Translated {
            reader: Box::new(StreamReader::new(dialect, quirks)),
            filters,
            writer,
            repeated: draft.repeated.clone(),
        }
    }

    /// The way of an answer of a loop of tools.
    pub fn of_turn(target: &Target<'_>, filters: Filters, turn: Turn) -> Self {
        Self::Turn(Box::new(TurnPipe {
            reader: StreamReader::new(target.dialect(), &target.provider.quirks),
            filters,
            turn,
            held: Vec::new(),
            writer: None,
        }))
    }

    /// The answer serves: what was held back leaves through the writer of the whole message.
    pub fn adopt(&mut self, mut writer: Writer, out: &mut Vec<u8>) {
        if let Self::Turn(pipe) = self {
            write(&mut writer, &std::mem::take(&mut pipe.held), out);
            pipe.writer = Some(writer);
        }
    }

    /// The answer is over: what the client saw of it, and the writer for the next one.
    pub fn into_turn(self) -> Option<(Turn, Writer)> {
        match self {
            Self::Turn(pipe) => Some((pipe.turn, pipe.writer?)),
            _ => None,
        }
    }

    /// The way from this target to the job's client.
    pub fn new(job: &Job, target: &Target<'_>, meta: &Meta, filters: Filters) -> Self {
        let (dialect, quirks) = (target.dialect(), &target.provider.quirks);
        let options = WriterOptions::of(&job.request);
        match (job.surface, dialect) {
            _ if !filters.is_empty() => {}
            (Surface::ChatCompletions, Dialect::OpenaiChat) => {
                return Self::Same(Box::new(Passthrough::new(meta, options, quirks)));
            }
            (Surface::Messages, Dialect::AnthropicMessages) => {
                let pass = anthropic_messages::Passthrough::new(meta, options);
                return Self::SameMessages(Box::new(pass));
            }
            // An answer that may go on elsewhere needs a writer that knows all of it.
            (Surface::Responses, Dialect::OpenaiResponses)
                if !job.wishes.resume && openai_responses::passes(&job.request, &job.raw) =>
            {
                let pass = openai_responses::Passthrough::new(meta, &job.raw, options, quirks);
                return Self::SameResponses(Box::new(pass));
            }
            _ => {}
        }
        Self::Translated {
            reader: Box::new(StreamReader::new(dialect, quirks)),
            filters,
            writer: Box::new(job.recipient(meta).writer()),
            repeated: String::new(),
        }
    }

    /// A writer that knows what the client has, where going on needs one.
    pub fn fork(&self) -> Option<Writer> {
        match self {
            Self::Same(_) | Self::SameMessages(_) | Self::SameResponses(_) | Self::Turn(_) => None,
            Self::Translated { writer, .. } => writer.fork(),
        }
    }

    /// Reads upstream bytes; appends client bytes to `out` and what was seen to `events`.
    ///
    /// # Errors
    /// When the upstream's bytes are not its dialect. What came before is in `out` and `events`.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>, events: &mut Vec<Event>) -> Result<()> {
        match self {
            Self::Same(pass) => pass.feed(bytes, out, events),
            Self::SameMessages(pass) => pass.feed(bytes, out, events),
            Self::SameResponses(pass) => pass.feed(bytes, out, events),
            Self::Translated {
                reader,
                filters,
                writer,
                repeated,
            } => {
                let read = reader.feed(bytes, events);
                filters.filter(events);
                trim(events, repeated);
                write(writer, events, out);
                read
            }
            Self::Turn(pipe) => {
                let read = pipe.reader.feed(bytes, events);
                pipe.filters.filter(events);
                pipe.pass(events, out);
                read
            }
        }
    }

    /// The upstream's body ended: reads what is left.
    ///
    /// # Errors
    /// As [`Pipe::feed`].
    pub fn end(&mut self, out: &mut Vec<u8>, events: &mut Vec<Event>) -> Result<()> {
        match self {
            Self::Same(pass) => pass.end(out, events),
            Self::SameMessages(pass) => pass.end(out, events),
            Self::SameResponses(pass) => pass.end(out, events),
            Self::Translated {
                reader,
                filters,
                writer,
                repeated,
            } => {
                let read = reader.finish(events);
                filters.end(events);
                trim(events, repeated);
                write(writer, events, out);
                read
            }
            Self::Turn(pipe) => {
                let read = pipe.reader.finish(events);
                pipe.filters.end(events);
                pipe.pass(events, out);
                read
            }
        }
    }

    /// What was done to the answer since this was last asked.
    pub fn take_notes(&mut self) -> Vec<Note> {
        match self {
            Self::Same(_) | Self::SameMessages(_) | Self::SameResponses(_) => Vec::new(),
            Self::Translated { filters, .. } => filters.take_notes(),
            Self::Turn(pipe) => pipe.filters.take_notes(),
        }
    }

    /// Appends events of the gateway's own.
    pub fn write(&mut self, events: &[Event], out: &mut Vec<u8>) {
        match self {
            Self::Same(pass) => pass.write(events, out),
            Self::SameMessages(pass) => pass.write(events, out),
            Self::SameResponses(pass) => pass.write(events, out),
            Self::Translated { writer, .. } => write(writer, events, out),
            Self::Turn(pipe) => pipe.pass(events, out),
        }
    }

    /// Ends a complete stream with its usage and end mark.
    pub fn finish(&mut self, report: &UsageReport, out: &mut Vec<u8>) {
        match self {
            Self::Same(pass) => pass.finish(report, out),
            Self::SameMessages(pass) => pass.finish(report, out),
            Self::SameResponses(pass) => pass.finish(report, out),
            Self::Translated { writer, .. } => writer.finish(report, out),
            Self::Turn(pipe) => {
                if let Some(writer) = &mut pipe.writer {
                    writer.finish(report, out);
                }
            }
        }
    }

    /// Ends a broken stream with an error and the end mark.
    pub fn error(&mut self, error: &Error, report: &UsageReport, out: &mut Vec<u8>) {
        match self {
            Self::Same(pass) => pass.error(error, Some(report), out),
            Self::SameMessages(pass) => pass.error(error, Some(report), out),
            Self::SameResponses(pass) => pass.error(error, report, out),
            Self::Translated { writer, .. } => writer.error(error, report, out),
            Self::Turn(pipe) => {
                if let Some(writer) = &mut pipe.writer {
                    writer.error(error, report, out);
                }
            }
        }
    }
}

/// An answer in one piece, read once.
pub enum Whole<'a> {
    /// Client and upstream both speak chat completions.
    Same(Box<WholeAnswer<'a>>),
    /// Client and upstream both speak messages.
    SameMessages(Box<anthropic_messages::WholeMessage<'a>>),
    /// Client and upstream both speak Responses.
    SameResponses(Box<openai_responses::WholeResponse<'a>>),
    /// They do not.
    Translated(Vec<Event>),
}

impl<'a> Whole<'a> {
    /// Reads the body of this target's answer, and does to it what is to be done.
    ///
    /// # Errors
    /// When the body is no answer of the target's dialect.
    pub fn read(job: &Job, target: &Target<'_>, body: &'a [u8], shape: &mut Shape) -> Result<Self> {
        let (dialect, quirks) = (target.dialect(), &target.provider.quirks);
        let answer = match (job.surface, dialect) {
            (Surface::ChatCompletions, Dialect::OpenaiChat) if shape.filters.is_empty() => {
                Self::Same(Box::new(WholeAnswer::read(body, quirks)?))
            }
            (Surface::Messages, Dialect::AnthropicMessages) if shape.filters.is_empty() => {
                let message = anthropic_messages::WholeMessage::read(body)?;
                Self::SameMessages(Box::new(message))
            }
            (Surface::Responses, Dialect::OpenaiResponses)
                if shape.filters.is_empty() && openai_responses::passes(&job.request, &job.raw) =>
            {
                let response = openai_responses::WholeResponse::read(body, quirks)?;
                Self::SameResponses(Box::new(response))
            }
            _ => {
                let mut events = dialects::response(dialect, body, quirks)?;
                shape.filters.end(&mut events);
                Self::Translated(events)
            }
        };
        let mended = shape.settle(answer.events());
        Ok(mended.map_or(answer, Self::Translated))
    }

    /// What the answer means, without the bytes that it was read from.
    pub fn into_events(self) -> Vec<Event> {
        match self {
            Self::Same(answer) => answer.events,
            Self::SameMessages(answer) => answer.events,
            Self::SameResponses(answer) => answer.events,
            Self::Translated(events) => events,
        }
    }

    /// What the answer means.
    pub fn events(&self) -> &[Event] {
        match self {
            Self::Same(answer) => &answer.events,
            Self::SameMessages(answer) => &answer.events,
            Self::SameResponses(answer) => &answer.events,
            Self::Translated(events) => events,
        }
    }

    /// The answer as the job's client wants it: one body, or a stream with its end.
    pub fn write(&self, job: &Job, meta: &Meta, report: &UsageReport) -> Vec<u8> {
        let recipient = job.recipient(meta);
        if job.request.stream {
            let mut bytes = Vec::new();
            let mut writer = recipient.writer();
            write(&mut writer, self.events(), &mut bytes);
            writer.finish(report, &mut bytes);
            return bytes;
        }
        match self {
            Self::Same(answer) => answer.write(meta, report, WriterOptions::of(&job.request)),
            Self::SameMessages(answer) => {
                answer.write(meta, report, WriterOptions::of(&job.request))
            }
            Self::SameResponses(answer) => {
                let options = WriterOptions::of(&job.request);
                answer.write(meta, &job.raw, report, options)
            }
            Self::Translated(events) => recipient.whole(events, report),
        }
    }
}

/// Takes the white space out of the first words that the client already has.
fn trim(events: &mut [Event], repeated: &mut String) {
    if repeated.is_empty() {
        return;
    }
    for event in events {
        if let Event::Delta {
            delta: Delta::Text(text),
            ..
        } = event
        {
            let same = text.chars().zip(repeated.chars());
            let same: usize = same
                .take_while(|(a, b)| a == b)
                .map(|(a, _)| a.len_utf8())
                .sum();
            text.drain(..same);
            repeated.drain(..same);
            if !text.is_empty() {
                repeated.clear();
            }
        }
    }
}

fn write(writer: &mut Writer, events: &[Event], out: &mut Vec<u8>) {
    for event in events {
        writer.write(event, out);
    }
}
