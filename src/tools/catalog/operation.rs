//! An operation of a provider: what it does and costs, what it takes, how it is asked for and how its answer is read.

use std::collections::BTreeMap;

use super::{Condition, ErrorRule, Json, ToolProvider, row, words};
use crate::credits::money::Nanos;
pub use crate::credits::ops::Effect;

/// How long a call may take, where no row says otherwise.
pub const TIMEOUT_MS: u64 = 30_000;
/// How much of an answer is read, where no row says otherwise.
pub const MAX_BYTES: u64 = 4 * 1024 * 1024;

words! {
    /// Whether a call whose outcome is unknown may be sent again.
    RetryKind {
        /// It may.
        Safe "safe",
        /// It must not.
        None "none",
        /// It may, with the same key.
        Key "key",
    }
}

words! {
    /// How a derived key is written.
    IdempotencyForm {
        /// 64 hexadecimal digits.
        Hex "hex",
        /// A UUID.
        Uuid "uuid",
        /// 26 characters of 0–9 and a–v.
        Base32hex "base32hex",
    }
}

row! {
    /// Whether and how a call may be sent again.
    Retry {
        /// Whether.
        kind: RetryKind,
        /// The header that the derived key goes into.
        header: Option<String>,
        /// The pointer into the body that it goes to.
        field: Option<String>,
        /// How it is written.
        form: IdempotencyForm,
        /// How many of its characters are sent; all where absent.
        max: Option<usize>,
    }
}

words! {
    /// How much of an effect an undo takes back.
    UndoClass {
        /// All of it.
        Clean "clean",
        /// People saw it, or something is left.
        Partial "partial",
    }
}

row! {
    /// What takes an effect back.
    Undo {
        /// The operation of the same provider.
        operation: String,
        /// Template of its input, over `input`, `data` and `before`.
        input: Json,
        /// How much it takes back.
        class: UndoClass,
        /// When it can, over the same.
        when: Option<Condition>,
        /// What to know of it.
        note: Option<String>,
    }
}

row! {
    /// What is read first, so that it can be put back.
    Before {
        /// The operation of the same provider.
        operation: String,
        /// Template of its input, over `input`.
        input: Json,
    }
}

row! {
    /// What differs in the price of some inputs.
    PriceCase {
        /// Which ones.
        when: Condition,
        /// Instead of the price's.
        call: Option<Nanos>,
        /// Instead of the price's.
        unit: Option<Nanos>,
        /// Instead of the price's.
        included: Option<u64>,
        /// Instead of the price's.
        chars: Option<Nanos>,
        /// Instead of the price's.
        hold: Option<Nanos>,
    }
}

row! {
    /// What is charged for a success: all of it added up.
    Price {
        /// Per call.
        call: Nanos,
        /// For each one counted.
        unit: Nanos,
        /// What is counted: a pointer into the answer, or `input:` and a pointer into the input.
        count: Option<String>,
        /// How many make a unit, rounded up.
        per: Option<u64>,
        /// How many cost nothing.
        included: u64,
        /// Per character.
        chars: Nanos,
        /// Of the input field here (with `chars`); the unit of `stated`.
        of: Option<String>,
        /// Where the answer says what it cost.
        stated: Option<String>,
        /// The most it may come to, where that is not known before.
        hold: Option<Nanos>,
        /// What differs for some inputs.
        when: Vec<PriceCase>,
    }
}

words! {
    /// A method.
    Method {
        /// `GET`.
        Get "GET",
        /// `POST`.
        Post "POST",
        /// `PUT`.
        Put "PUT",
        /// `PATCH`.
        Patch "PATCH",
        /// `DELETE`.
        Delete "DELETE",
    }
}

words! {
    /// How lists are written in queries and forms.
    Arrays {
        /// `a=1&a=2`.
        Repeat "repeat",
        /// `a=1,2`.
        Comma "comma",
        /// `a[]=1&a[]=2`.
        Brackets "brackets",
        /// `a[0]=1&a[1]=2`.
        Index "index",
    }
}

words! {
    /// What a body is.
    BodyKind {
        /// JSON.
        Json "json",
        /// A form.
        Form "form",
        /// There is none.
        None "none",
        /// One field as it is.
        Text "text",
    }
}

row! {
    /// The body of a request.
    Body {
        /// What it is.
        kind: BodyKind,
        /// What it is made from; the fields that are left where absent.
        template: Option<Json>,
        /// The field that it is.
        field: Option<String>,
        /// Its `content-type`, where the kind does not say.
        content_type: Option<String>,
    }
}

row! {
    /// How an operation is asked for.
    Request {
        /// The method.
        method: Method,
        /// The path, with placeholders.
        path: String,
        /// Input fields that go to the query.
        query: Option<Vec<String>>,
        /// How lists are written there.
        query_arrays: Arrays,
        /// Template of more parameters.
        params: Option<Json>,
        /// The body; where absent, JSON unless the method has none.
        body: Option<Body>,
        /// How lists are written in forms.
        form_arrays: Option<Arrays>,
        /// Fields that are always there.
        constants: Option<Json>,
        /// Our name → the vendor's, or a pointer.
        rename: BTreeMap<String, String>,
        /// Templates of headers.
        headers: BTreeMap<String, String>,
        /// Input fields with addresses that the vendor fetches.
        urls: Vec<String>,
    }
}

row! {
    /// Where an answer tells what failed in it.
    Partial {
        /// Pointer to the list of what failed.
        failed: String,
        /// Pointer to the list of what did not.
        ok: Option<String>,
        /// Pointer inside a failed one to what names it.
        item: Option<String>,
        /// Pointer inside a failed one to why.
        message: Option<String>,
    }
}

row! {
    /// How items are read out of XML.
    Xml {
        /// The path of the elements that are items.
        each: String,
        /// Name → path inside an item.
        fields: BTreeMap<String, String>,
        /// Name → path inside the root.
        root: BTreeMap<String, String>,
    }
}

row! {
    /// How a listing goes on.
    Page {
        /// Pointer to a cursor.
        cursor: Option<String>,
        /// The input field that takes it.
        into: Option<String>,
        /// Pointer, or `header:link`, to the next address.
        next_url: Option<String>,
        /// Its parameter that is the cursor.
        param: Option<String>,
        /// Pointer to the list whose last item's id is the cursor.
        last: Option<String>,
        /// Pointer to the id inside an item.
        id: Option<String>,
        /// Pointer to whether there is more.
        more: Option<String>,
        /// The input field with how many are skipped.
        offset: Option<String>,
        /// The input field with the number of the page.
        number: Option<String>,
        /// Pointer to the list.
        by: Option<String>,
        /// Pointer to how many there are.
        total: Option<String>,
        /// The number of the first page.
        first: Option<u64>,
    }
}

row! {
    /// A call about a job.
    JobCall {
        /// The method.
        method: Method,
        /// The path; `{id}` is the job's.
        path: String,
    }
}

row! {
    /// What is started by a call and goes on after it.
    Job {
        /// Pointer to its id.
        id: String,
        /// Pointer to its status.
        status: Option<String>,
        /// Statuses that mean that it is done.
        done: Vec<String>,
        /// Statuses that mean that it failed.
        failed: Vec<String>,
        /// HTTP statuses that mean that it runs.
        pending: Vec<u16>,
        /// Where the reason of a failure is.
        error: Vec<String>,
        /// Pointer to how far it is.
        progress: Option<String>,
        /// How long to wait before asking again.
        every_ms: u64,
        /// How long to ask within one call.
        max_ms: u64,
        /// Where it is asked about, where that is elsewhere.
        base_url: Option<String>,
        /// How its status is asked for.
        poll: JobCall,
        /// How its result is asked for, where that is elsewhere.
        fetch: Option<JobCall>,
        /// How it is cancelled, where it can be.
        cancel: Option<JobCall>,
    }
}

row! {
    /// How an answer is read.
    Response {
        /// Kind of the normalised result.
        kind: Option<String>,
        /// Template of the normalised result.
        result: Option<Json>,
        /// Pointers to lists that may be absent.
        empty: Vec<String>,
        /// Where it tells what failed in it.
        partial: Option<Partial>,
        /// Pointer, or `header:name`, to what names the thing made.
        id: Option<String>,
        /// Pointer to what was used.
        units: Option<String>,
        /// The body is bytes of this MIME type; of the one that the answer says where empty.
        binary: Option<String>,
        /// The body is text.
        text: bool,
        /// The body is XML.
        xml: Option<Xml>,
        /// How a listing goes on.
        page: Option<Page>,
        /// It starts a job.
        job: Option<Job>,
    }
}

row! {
    /// An operation.
    Operation {
        /// Its name at its provider.
        name: String,
        /// What it does, in a few words.
        title: String,
        /// What it does.
        description: String,
        /// What a caller must know beside it.
        note: Option<String>,
        /// Its category, where it is not the provider's.
        category: Option<String>,
        /// The class of interchangeable operations that it is of.
        capability: Option<String>,
        /// Template of its input over the capability's.
        normal: Option<Json>,
        /// What it does to the world.
        effect: Effect,
        /// It costs at the provider each time, though nothing changes.
        costs_money: bool,
        /// Whether it may be sent again.
        retry: Retry,
        /// Pointers into the input to whom it reaches: texts, lists of texts, or objects with a text in `email`, `phone` or `address`.
        recipients: Vec<String>,
        /// What takes it back.
        undo: Option<Undo>,
        /// The chain that it is (`tools::composites`); it has no request of its own then.
        composite: Option<Json>,
        /// Its name at the MCP server that it is a tool of, as that server writes it.
        remote: Option<String>,
        /// What is read first.
        before: Option<Before>,
        /// What is charged.
        price: Price,
        /// Where the price was read.
        price_source: Option<String>,
        /// Schema of its input.
        input: Json,
        /// Schema of its result.
        output: Option<Json>,
        /// What users ask for when they want it.
        intents: Vec<String>,
        /// Its address, where it is not the provider's.
        base_url: Option<String>,
        /// How long it may take, where that is not the provider's.
        timeout_ms: u64,
        /// How much of its answer is read, where that is not the provider's.
        max_bytes: u64,
        /// How it tells failures; before the provider's.
        errors: Vec<ErrorRule>,
        /// How it is asked for.
        request: Request,
        /// How its answer is read.
        response: Response,
    }
}

impl Operation {
    /// Whether a repeat changes nothing and costs nothing at the provider.
    pub fn is_harmless(&self) -> bool {
        self.effect == Effect::Read && !self.costs_money
    }

    /// How long a call may take.
    pub fn timeout_ms(&self, provider: &ToolProvider) -> u64 {
        let told = [self.timeout_ms, provider.timeout_ms];
        told.into_iter().find(|ms| *ms > 0).unwrap_or(TIMEOUT_MS)
    }

    /// How much of an answer is read.
    pub fn max_bytes(&self, provider: &ToolProvider) -> u64 {
        let told = [self.max_bytes, provider.max_bytes];
        told.into_iter().find(|n| *n > 0).unwrap_or(MAX_BYTES)
    }
}
