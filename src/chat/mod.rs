//! What is a conversation? The canonical request, messages, events and usage that every dialect reads into and writes from.
//!
//! In scope: the hub's types and the fold of events into a whole answer. Out of scope: any wire format (`dialects/`).

mod completion;
pub mod estimate;
mod event;
mod image_size;
mod reasoning;
mod request;
mod server_tool;
mod units;
mod usage;

pub use completion::{Choice, Completion, ToolCall};
pub use event::{Delta, Event, FinishReason};
pub use reasoning::{
    Effort, ReasoningDetail, ReasoningFormat, ReasoningKind, ReasoningRequest, ReasoningWish,
};
pub use request::{
    CacheMark, CacheTtl, ChatRequest, JsonSchema, Media, Message, Part, ResponseFormat, Role,
    Sampling, Tool, ToolChoice,
};
pub use server_tool::{NativeSearch, ServerTool, ServerToolKind};
pub use units::{Quality, Units};
pub use usage::Usage;
