//! The objects of a document and its tree of pages.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    MAX_INFLATED, MAX_PAGES, Unreadable, filters,
    object::{Dict, Lexer, Object, is_space, whole},
};

/// How often references are followed from one object to the next.
const MAX_HOPS: usize = 16;
/// The deepest tree of pages.
const MAX_DEPTH: usize = 32;
/// The most objects.
const MAX_OBJECTS: usize = 1_000_000;

/// A document.
pub(super) struct File<'a> {
    bytes: &'a [u8],
    objects: BTreeMap<u32, Entry>,
    root: Option<Object>,
    /// How much may still be unfolded.
    room: Cell<usize>,
}

/// An object, and where its stream is.
#[derive(Debug, Clone)]
struct Entry {
    object: Object,
    stream: Option<(usize, usize)>,
}

/// A page.
#[derive(Debug)]
pub(super) struct Page {
    /// Its own dictionary.
    pub(super) dict: Dict,
    /// Its own, or its ancestors', resources.
    pub(super) resources: Dict,
}

impl<'a> File<'a> {
    /// Finds the objects.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let head = bytes.get(..bytes.len().min(1_024)).unwrap_or_default();
        if find(head, b"%PDF-", 0).is_none() {
            return Err(Unreadable::NotPdf);
        }
        let mut file = Self {
            bytes,
            objects: BTreeMap::new(),
            root: None,
            room: Cell::new(MAX_INFLATED),
        };
        file.trailers()?;
        file.scan()?;
        Ok(file)
    }

    /// Notes what a trailer says of the document.
    fn trailer(&mut self, dict: &Dict) -> Result<(), Unreadable> {
        if dict
            .get("Encrypt")
            .is_some_and(|encrypt| *encrypt != Object::Null)
        {
            return Err(Unreadable::Encrypted);
        }
        if let Some(root) = dict.get("Root") {
            self.root = Some(root.clone());
        }
        Ok(())
    }

    fn trailers(&mut self) -> Result<(), Unreadable> {
        let mut from = 0;
        while let Some(at) = find(self.bytes, b"trailer", from) {
            from = at + 7;
            if let Some(Object::Dict(dict)) = Lexer::new(self.bytes, from).object() {
                self.trailer(&dict)?;
            }
        }
        Ok(())
    }

    /// Looks through the file for `12 0 obj`; a later object of the same number replaces an earlier one.
    fn scan(&mut self) -> Result<(), Unreadable> {
        let mut from = 0;
        while let Some(at) = find(self.bytes, b"obj", from) {
            from = at + 3;
            let Some(id) = self.id_before(at) else {
                continue;
            };
            let mut lexer = Lexer::new(self.bytes, from);
            let Some(object) = lexer.object() else {
                continue;
            };
            from = lexer.at;
            let stream = match &object {
                Object::Dict(dict) => self.stream(dict, &mut lexer),
                _ => None,
            };
            if let Some((_, end)) = stream {
                from = end;
            }
            self.keep(id, Entry { object, stream })?;
        }
        Ok(())
    }

    /// The number of the object whose word `obj` is here.
    fn id_before(&self, at: usize) -> Option<u32> {
        let before = self.bytes.get(at.saturating_sub(24)..at)?;
        let mut rest = before;
        let spaces = |rest: &mut &[u8]| {
            let length = rest.len();
            while let Some((last, more)) = rest.split_last().filter(|(last, _)| is_space(**last)) {
                let _ = last;
                *rest = more;
            }
            rest.len() < length
        };
        let digits = |rest: &mut &[u8]| {
            let is_digit = |byte: &u8| byte.is_ascii_digit();
            let start = rest
                .iter()
                .rposition(|byte| !is_digit(byte))
                .map_or(0, |at| at + 1);
            let (more, digits) = rest.split_at_checked(start)?;
            *rest = more;
            std::str::from_utf8(digits).ok()?.parse::<u32>().ok()
        };
        spaces(&mut rest);
        digits(&mut rest)?;
        spaces(&mut rest).then_some(())?;
        digits(&mut rest)
    }

    /// Where the stream behind a dictionary is.
    fn stream(&self, dict: &Dict, lexer: &mut Lexer<'_>) -> Option<(usize, usize)> {
        lexer.skip();
        let rest = self.bytes.get(lexer.at..)?;
        let mut start = lexer.at + rest.strip_prefix(b"stream").map(|_| 6)?;
        if self.bytes.get(start) == Some(&b'\r') {
            start += 1;
        }
        if self.bytes.get(start) == Some(&b'\n') {
            start += 1;
        }
        let said = dict.get("Length").and_then(Object::number).and_then(whole);
        let is_end = |end: &usize| {
            let behind = self.bytes.get(*end..).unwrap_or_default();
            let text = behind.iter().position(|byte| !is_space(*byte)).unwrap_or(0);
            behind
                .get(text..)
                .is_some_and(|behind| behind.starts_with(b"endstream"))
        };
        let end = said
            .map(|length| start.saturating_add(length))
            .filter(is_end);
        let end = end.or_else(|| find(self.bytes, b"endstream", start));
        Some((start, end.unwrap_or(self.bytes.len())))
    }

    fn keep(&mut self, id: u32, entry: Entry) -> Result<(), Unreadable> {
        if self.objects.len() >= MAX_OBJECTS {
            return Err(Unreadable::TooMuch);
        }
        let kind = match (&entry.object, entry.stream) {
            (Object::Dict(dict), Some(_)) => dict.get("Type").and_then(Object::name),
            _ => None,
        };
        match (kind, &entry.object) {
            (Some("XRef"), Object::Dict(dict)) => {
                let dict = dict.clone();
                self.trailer(&dict)?;
            }
            (Some("ObjStm"), Object::Dict(dict)) => {
                let dict = dict.clone();
                let bytes = self.unfold(&dict, entry.stream)?.unwrap_or_default();
                self.inner_objects(&dict, &bytes)?;
            }
            _ => {}
        }
        self.objects.insert(id, entry);
        Ok(())
    }

    /// The objects that are folded into a stream.
    fn inner_objects(&mut self, dict: &Dict, bytes: &[u8]) -> Result<(), Unreadable> {
        let number = |key: &str| dict.get(key).and_then(Object::number).and_then(whole);
        let (Some(count), Some(first)) = (number("N"), number("First")) else {
            return Ok(());
        };
        let mut head = Lexer::new(bytes, 0);
        for _ in 0..count.min(MAX_OBJECTS) {
            let mut next = || head.token()?.number().and_then(whole);
            let (Some(id), Some(offset)) = (next(), next()) else {
                break;
            };
            let object = Lexer::new(bytes, first.saturating_add(offset)).object();
            if let (Ok(id), Some(object)) = (u32::try_from(id), object) {
                if self.objects.len() >= MAX_OBJECTS {
                    return Err(Unreadable::TooMuch);
                }
                let stream = None;
                self.objects.insert(id, Entry { object, stream });
            }
        }
        Ok(())
    }

    /// The object that is meant, behind any references.
    pub(super) fn resolve<'o>(&'o self, object: &'o Object) -> &'o Object {
        let mut object = object;
        for _ in 0..MAX_HOPS {
            let Object::Reference(id) = object else {
                return object;
            };
            match self.objects.get(id) {
                Some(entry) => object = &entry.object,
                None => return &Object::Null,
            }
        }
        &Object::Null
    }

    /// The value under a key, behind any references.
    pub(super) fn get<'o>(&'o self, dict: &'o Dict, key: &str) -> Option<&'o Object> {
        Some(self.resolve(dict.get(key)?)).filter(|object| **object != Object::Null)
    }

    /// The dictionary under a key.
    pub(super) fn dict<'o>(&'o self, dict: &'o Dict, key: &str) -> Option<&'o Dict> {
        match self.get(dict, key)? {
            Object::Dict(dict) => Some(dict),
            _ => None,
        }
    }

    /// The bytes of the stream that an object refers to.
    pub(super) fn data(&self, object: &Object) -> Result<Option<(&Dict, Vec<u8>)>, Unreadable> {
        let mut object = object;
        for _ in 0..MAX_HOPS {
            let Object::Reference(id) = object else {
                return Ok(None);
            };
            let Some(entry) = self.objects.get(id) else {
                return Ok(None);
            };
            match (&entry.object, entry.stream) {
                (Object::Dict(dict), Some(_)) => {
                    let bytes = self.unfold(dict, entry.stream)?;
                    return Ok(bytes.map(|bytes| (dict, bytes)));
                }
                (next, _) => object = next,
            }
        }
        Ok(None)
    }

    fn unfold(
        &self,
        dict: &Dict,
        stream: Option<(usize, usize)>,
    ) -> Result<Option<Vec<u8>>, Unreadable> {
        let bytes = stream.and_then(|(start, end)| self.bytes.get(start..end));
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        let listed = |key: &str| match self.get(dict, key) {
            Some(Object::Array(items)) => items.iter().map(|item| self.resolve(item)).collect(),
            Some(one) => vec![one],
            None => Vec::new(),
        };
        let names = listed("Filter");
        let names: Vec<String> = names
            .iter()
            .filter_map(|name| name.name().map(str::to_owned))
            .collect();
        let parameters = listed("DecodeParms").into_iter().map(|one| match one {
            Object::Dict(dict) => Some(dict.clone()),
            _ => None,
        });
        let parameters: Vec<Option<Dict>> = parameters.collect();
        let room = self.room.get();
        let data = filters::decode(bytes, &names, &parameters, room)?;
        let used = data.as_ref().map_or(0, Vec::len);
        self.room.set(room.saturating_sub(used));
        Ok(data)
    }

    /// The pages in their order.
    pub(super) fn pages(&self) -> Result<Vec<Page>, Unreadable> {
        let mut pages = Vec::new();
        let mut seen = BTreeSet::new();
        let root = self.root.as_ref().map(|root| self.resolve(root));
        if let Some(Object::Dict(root)) = root.or_else(|| self.of_type("Catalog").next())
            && let Some(tree) = root.get("Pages")
        {
            self.walk(tree, &Dict::new(), &mut pages, &mut seen, 0)?;
        }
        if pages.is_empty() {
            for object in self.of_type("Page") {
                if let Object::Dict(dict) = object {
                    self.page(dict, &Dict::new(), &mut pages)?;
                }
            }
        }
        if pages.is_empty() {
            return Err(Unreadable::NoPages);
        }
        Ok(pages)
    }

    fn of_type<'o>(&'o self, kind: &'o str) -> impl Iterator<Item = &'o Object> {
        let objects = self.objects.values().map(|entry| &entry.object);
        objects.filter(move |object| match object {
            Object::Dict(dict) => dict.get("Type").and_then(Object::name) == Some(kind),
            _ => false,
        })
    }

    fn walk(
        &self,
        node: &Object,
        inherited: &Dict,
        pages: &mut Vec<Page>,
        seen: &mut BTreeSet<u32>,
        depth: usize,
    ) -> Result<(), Unreadable> {
        if let Object::Reference(id) = node
            && !seen.insert(*id)
        {
            return Ok(());
        }
        let Object::Dict(dict) = self.resolve(node) else {
            return Ok(());
        };
        let Some(Object::Array(kids)) = self.get(dict, "Kids") else {
            return self.page(dict, inherited, pages);
        };
        if depth >= MAX_DEPTH {
            return Ok(());
        }
        let resources = self.dict(dict, "Resources").unwrap_or(inherited);
        for kid in kids {
            self.walk(kid, resources, pages, seen, depth + 1)?;
        }
        Ok(())
    }

    fn page(&self, dict: &Dict, inherited: &Dict, pages: &mut Vec<Page>) -> Result<(), Unreadable> {
        if pages.len() >= MAX_PAGES {
            return Err(Unreadable::TooManyPages);
        }
        pages.push(Page {
            dict: dict.clone(),
            resources: self.dict(dict, "Resources").unwrap_or(inherited).clone(),
        });
        Ok(())
    }
}

/// Where `word` is next.
fn find(bytes: &[u8], word: &[u8], from: usize) -> Option<usize> {
    let (first, rest) = word.split_first()?;
    let mut at = from;
    loop {
        let ahead = bytes.get(at..)?;
        at += ahead.iter().position(|byte| byte == first)?;
        if bytes.get(at + 1..)?.starts_with(rest) {
            return Some(at);
        }
        at += 1;
    }
}
