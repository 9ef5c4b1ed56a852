//! `/tools`: what a key may call, as objects of this API or as functions of others'.

use std::rc::Rc;

use serde_json::{Value, json};

use super::super::{
    World, any_key, beliefs,
    http::{Request, Response},
    toolbox,
};
use crate::{
    credits::money::Nanos,
    error::{Error, ErrorType, Next, Result, Source},
    tools::{
        beliefs::book::View,
        catalog::{Offer, Refused, Tool, ToolView},
        execute::{MARGIN, Margin},
        export::{self, Format, MANY, meta},
        listing::{self, Detail, Filter},
    },
};

/// Tools of a page, where the client does not say.
const LIMIT: usize = 100;
/// The most tools of a page.
const MOST: usize = 1_000;

/// What a client wants to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Query {
    filter: Filter,
    offer: Option<Wanted>,
    limit: Option<usize>,
    offset: usize,
    format: Option<Format>,
    strict: bool,
    /// The tools themselves, however many.
    all: bool,
    /// The functions that stand for them, however few.
    meta: bool,
    /// And the one that confirms.
    confirm: bool,
    schemas: bool,
}

/// Which tools, by whether they can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Those too that need an own key, or cannot be called here.
    All,
    Only(Offer),
}

impl Query {
    fn read(request: &Request) -> Result<Self> {
        let word = |name: &str| {
            request
                .query(name)
                .map(str::to_owned)
                .filter(|word| !word.is_empty())
        };
        let flag = |name: &'static str| match request.query(name) {
            None | Some("" | "false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(Error::invalid(name, "expected true or false")),
        };
        let number = |name: &'static str| {
            let read = word(name).map(|text| text.parse::<usize>());
            read.transpose()
                .map_err(|_| Error::invalid(name, "expected a whole number"))
        };
        let effect = word("effect").map(|word| {
            let told = "expected read, write, destructive or money";
            listing::effect(&word).ok_or_else(|| Error::invalid("effect", told))
        });
        let offer = word("offerability").map(|word| {
            Ok(match word.as_str() {
                "all" => Wanted::All,
                "native" => Wanted::Only(Offer::Native),
                "customer_byok" => Wanted::Only(Offer::CustomerByok),
                "byok_required" => Wanted::Only(Offer::ByokRequired),
                "unavailable" => Wanted::Only(Offer::Unavailable),
                _ => {
                    let told = "expected native, customer_byok, byok_required, unavailable or all";
                    return Err(Error::invalid("offerability", told));
                }
            })
        });
        let format = word("format").map(|word| {
            let words = Format::ALL.map(Format::as_str).join(", ");
            Format::parse(&word)
                .ok_or_else(|| Error::invalid("format", format!("expected one of {words}")))
        });
        let limit = number("limit")?;
        if limit.is_some_and(|limit| limit == 0 || limit > MOST) {
            return Err(Error::invalid("limit", format!("expected 1 to {MOST}")));
        }
        let names = word("names").map(|names| {
            names
                .split(',')
                .map(|name| name.trim().to_owned())
                .collect()
        });
        Ok(Self {
            filter: Filter {
                words: word("q"),
                category: word("category"),
                provider: word("provider"),
                capability: word("capability"),
                effect: effect.transpose()?,
                names,
            },
            offer: offer.transpose()?,
            limit,
            offset: number("offset")?.unwrap_or_default(),
            format: format.transpose()?,
            strict: flag("strict")?,
            all: flag("all")?,
            meta: flag("meta")?,
            confirm: flag("confirm")?,
            schemas: flag("schemas")?,
        })
    }

    /// The tools that fit, each with whether it can be called, in order.
    fn select<'a>(&self, view: &'a ToolView) -> Vec<(&'a Tool, Offer)> {
        let candidates: Vec<(&Tool, Offer)> = match self.offer {
            None => view
                .tools()
                .iter()
                .map(|(tool, offer)| (tool.as_ref(), *offer))
                .collect(),
            Some(wanted) => {
                let all = view.catalog().tools().iter();
                let offered = all.filter_map(|tool| Some((tool.as_ref(), offer(view, &tool.id)?)));
                let fits = |(_, offer): &(&Tool, Offer)| match wanted {
                    Wanted::All => true,
                    Wanted::Only(only) => only == *offer,
                };
                offered.filter(fits).collect()
            }
        };
        let chosen = self.filter.select(candidates.iter().map(|(tool, _)| *tool));
        chosen
            .into_iter()
            .filter_map(|at| candidates.get(at).copied())
            .collect()
    }
}

/// Whether a tool can be called; nothing where the key must not even know of it.
fn offer(view: &ToolView, id: &str) -> Option<Offer> {
    match view.get(id) {
        Ok((_, offer)) => Some(offer),
        Err(Refused::ByokRequired(_)) => Some(Offer::ByokRequired),
        Err(Refused::Unavailable) => Some(Offer::Unavailable),
        Err(Refused::Denied(_) | Refused::Unknown(_)) => None,
    }
}

/// What a key sees, and what its account believes of it; without a key, what every key sees.
async fn seen<W: World>(world: &W, request: &Request) -> Result<(Rc<ToolView>, View)> {
    let is_sent = ["authorization", "x-api-key"]
        .iter()
        .any(|name| request.header(name).is_some());
    let key = match is_sent {
        true => Some(any_key(world, request).await?),
        false => None,
    };
    let account = key.as_ref().map(|key| key.account.as_str());
    let account = account.unwrap_or_default();
    beliefs::know(world, account).await;
    let believed = world.memory().beliefs.view(account);
    Ok((toolbox::seen(world, key.as_ref()).await?, believed))
}

/// Prices as they are charged.
fn prices<W: World>(world: &W) -> impl Fn(Nanos) -> Nanos {
    let margin = Margin::parse(world.var(MARGIN).as_deref()).unwrap_or_default();
    move |price| margin.on(price)
}

/// `GET /tools`.
pub(in crate::api) async fn list<W: World>(world: &W, request: &Request) -> Result<Response> {
    let query = Query::read(request)?;
    let (view, believed) = seen(world, request).await?;
    let found = query.select(&view);
    let body = match query.format {
        Some(format) => functions(&query, &found, format),
        None => objects(world, &query, (&view, &believed), &found),
    };
    Ok(Response::json(200, &body))
}

fn objects<W: World>(
    world: &W,
    query: &Query,
    (view, believed): (&ToolView, &View),
    found: &[(&Tool, Offer)],
) -> Value {
    let limit = query.limit.unwrap_or(LIMIT);
    let page: Vec<&(&Tool, Offer)> = found.iter().skip(query.offset).take(limit).collect();
    let detail = if query.schemas {
        Detail::Schema
    } else {
        Detail::Short
    };
    let (prices, now_ms) = (prices(world), world.now_ms());
    let told = |(tool, offer): &&(&Tool, Offer)| {
        let standing = beliefs::standing(believed, tool, now_ms);
        listing::object(tool, *offer, &prices, &standing, detail)
    };
    let data: Vec<Value> = page.iter().map(told).collect();
    json!({
        "object": "list",
        "data": data,
        "total_count": found.len(),
        "limit": limit,
        "offset": query.offset,
        "has_more": query.offset + page.len() < found.len(),
        "version": view.catalog().version(),
    })
}

/// The tools as functions; with many of them the functions that stand for the catalog.
fn functions(query: &Query, found: &[(&Tool, Offer)], format: Format) -> Value {
    let is_meta = query.meta || (found.len() > MANY && !query.all);
    let most = format
        .most()
        .unwrap_or(MOST)
        .saturating_sub(usize::from(query.confirm));
    let limit = query.limit.unwrap_or(MOST).min(most);
    let confirm = query.confirm.then(meta::confirm);
    let told: Vec<Value> = if is_meta {
        let all = meta::functions().into_iter().chain(confirm);
        all.map(|one| export::write(&one, format, query.strict))
            .collect()
    } else {
        let page = found.iter().skip(query.offset).take(limit);
        let own = page.map(|(tool, _)| listing::function(tool));
        own.chain(confirm)
            .map(|one| export::write(&one, format, query.strict))
            .collect()
    };
    let shown = if is_meta { found.len() } else { limit };
    json!({
        "object": "list",
        "format": format.as_str(),
        "meta": is_meta,
        "data": export::list(told, format),
        "total_count": found.len(),
        "has_more": query.offset.saturating_add(shown) < found.len(),
    })
}

/// `GET /tools/categories`.
pub(in crate::api) async fn categories<W: World>(world: &W, request: &Request) -> Result<Response> {
    let (view, _) = seen(world, request).await?;
    let data = listing::categories(&view);
    let total = data.len();
    Ok(Response::json(
        200,
        &json!({"object": "list", "data": data, "total_count": total}),
    ))
}

/// `GET /tools/{provider}/{operation}`.
pub(in crate::api) async fn one<W: World>(
    world: &W,
    request: &Request,
    provider: &str,
    operation: &str,
) -> Result<Response> {
    let (view, believed) = seen(world, request).await?;
    let id = format!("{provider}/{operation}");
    let found = offer(&view, &id).zip(view.catalog().get(&id));
    let Some((offer, tool)) = found else {
        let told = view.get(&id).err().map(|refused| refused.to_string());
        let error = Error::new(
            Source::Client,
            Next::Final,
            ErrorType::NotFound,
            told.unwrap_or_default(),
        );
        return Err(error);
    };
    let standing = beliefs::standing(&believed, tool, world.now_ms());
    let data = listing::object(tool, offer, &prices(world), &standing, Detail::Whole);
    Ok(Response::json(200, &json!({ "data": data })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &[(&str, &str)]) -> Result<Query> {
        let query = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Query::read(&Request {
            method: "GET".into(),
            origin: "http://localhost".into(),
            path: "/api/v1/tools".into(),
            query,
            header: Box::new(|_| None),
            body: Box::pin(async { Ok(Vec::new()) }),
        })
    }

    #[test]
    fn filters_are_read_and_wrong_ones_are_told() {
        assert_eq!(read(&[]).unwrap(), Query::default());
        let query = read(&[
            ("q", "mail"),
            ("effect", "write"),
            ("format", "gemini"),
            ("strict", "true"),
            ("limit", "5"),
            ("offset", "10"),
            ("offerability", "all"),
            ("names", "a/b, c__d"),
        ])
        .unwrap();
        assert_eq!(
            (query.filter.words.as_deref(), query.format, query.strict),
            (Some("mail"), Some(Format::Gemini), true)
        );
        assert_eq!(
            (query.limit, query.offset, query.offer),
            (Some(5), 10, Some(Wanted::All))
        );
        assert_eq!(
            query.filter.names,
            Some(vec!["a/b".to_owned(), "c__d".to_owned()])
        );
        for (name, value) in [
            ("effect", "harmless"),
            ("format", "grok"),
            ("limit", "0"),
            ("limit", "1001"),
            ("limit", "x"),
            ("offset", "-1"),
            ("strict", "yes"),
            ("offerability", "some"),
        ] {
            assert_eq!(
                read(&[(name, value)]).unwrap_err().param.as_deref(),
                Some(name),
                "{name}={value}"
            );
        }
    }
}
