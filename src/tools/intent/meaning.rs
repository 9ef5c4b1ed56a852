//! Which of some deeds that fit alike is nearest in meaning: by vectors of a model of embeddings, where the operator names one. Pure.
//!
//! Asked only where words leave it open, so what words decide costs nothing and is never overruled. The vectors decide where one deed is
//! clearly nearer than the next: by a part of what lies between the deeds themselves, because models differ in how far apart they put any two
//! texts. Out of scope: asking the model (`api::intents`).

use serde_json::{Value, json};

use super::router::{Candidate, Deed};

/// How much nearer the nearest deed has to be than the next, as a part of the distance between the deeds. Chosen by reason: no model could be
/// measured.
pub const LEAST_LEAD: f64 = 0.1;
/// The most characters of a deed's text.
const MOST_CHARS: usize = 600;

/// What became of the comparison.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Meaning {
    /// The model.
    pub model: String,
    /// The id of its generation, where it answered.
    pub generation: Option<String>,
    /// What that cost, in dollars.
    pub cost: Option<Value>,
    /// How near each candidate is: cosines, in the order of the candidates.
    pub near: Vec<f64>,
    /// How much nearer the nearest is than the next, as a part of the distance between the candidates.
    pub lead: f64,
    /// Why there is no comparison.
    pub problem: Option<String>,
}

impl Meaning {
    /// The place of the nearest candidate, where it is clearly the nearest.
    pub fn nearest(&self) -> Option<usize> {
        let places = self.near.iter().enumerate();
        let best = places.max_by(|(_, one), (_, other)| one.total_cmp(other));
        best.map(|(place, _)| place)
            .filter(|_| self.lead >= LEAST_LEAD)
    }

    /// Takes over what a model said of [`body`]'s texts.
    pub fn read(&mut self, answer: &Value, candidates: usize) {
        let compared = vectors(answer).filter(|vectors| vectors.len() == candidates + 1);
        match compared.as_deref().and_then(compare) {
            Some((near, lead)) => (self.near, self.lead) = (near, lead),
            None => self.problem = Some("the model's vectors cannot be compared".to_owned()),
        }
    }
}

/// The request to `/embeddings`: the words, then each candidate.
pub fn body(model: &str, intent: &str, candidates: &[Candidate]) -> Value {
    let deeds = candidates.iter().map(|candidate| text(&candidate.deed));
    let input: Vec<String> = [intent.to_owned()].into_iter().chain(deeds).collect();
    json!({"model": model, "input": input, "encoding_format": "float"})
}

/// What a deed is, in words.
fn text(deed: &Deed) -> String {
    let about = deed.members.first().map(|tool| tool.description());
    let all = format!("{}: {}", deed.title, about.unwrap_or_default());
    all.chars().take(MOST_CHARS).collect()
}

/// The vectors of an answer of `/embeddings`, in the order of the inputs.
fn vectors(answer: &Value) -> Option<Vec<Vec<f64>>> {
    let items = answer.get("data")?.as_array()?;
    let mut found = vec![Vec::new(); items.len()];
    for item in items {
        let place = usize::try_from(item.get("index")?.as_u64()?).ok()?;
        let numbers = item.get("embedding")?.as_array()?.iter();
        *found.get_mut(place)? = numbers.map(Value::as_f64).collect::<Option<_>>()?;
    }
    Some(found)
}

/// How near each text is to the first one, and the lead of the nearest.
fn compare(vectors: &[Vec<f64>]) -> Option<(Vec<f64>, f64)> {
    let (asked, deeds) = vectors.split_first()?;
    let near: Vec<f64> = deeds
        .iter()
        .map(|deed| cosine(asked, deed))
        .collect::<Option<_>>()?;
    let (mut apart, mut pairs) = (0.0, 0.0);
    for (place, one) in deeds.iter().enumerate() {
        for other in deeds.iter().skip(place + 1) {
            apart += 1.0 - cosine(one, other)?;
            pairs += 1.0;
        }
    }
    let mut sorted = near.clone();
    sorted.sort_by(|one, other| other.total_cmp(one));
    let [best, next, ..] = sorted.as_slice() else {
        return None;
    };
    let apart = apart / pairs;
    let lead = if apart > 1e-9 {
        (best - next) / apart
    } else {
        0.0
    };
    Some((near, lead))
}

/// The cosine of two vectors; none where they have no common length, or no direction.
fn cosine(one: &[f64], other: &[f64]) -> Option<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let size = (dot(one, one) * dot(other, other)).sqrt();
    let cosine = dot(one, other) / size;
    (one.len() == other.len() && cosine.is_finite()).then_some(cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(vectors: &[&[f64]]) -> Value {
        let items = vectors.iter().enumerate().rev();
        let data: Vec<Value> = items
            .map(|(index, vector)| json!({"object": "embedding", "index": index, "embedding": vector}))
            .collect();
        json!({"object": "list", "data": data})
    }

    fn read(vectors: &[&[f64]]) -> Meaning {
        let mut meaning = Meaning::default();
        meaning.read(&answer(vectors), vectors.len() - 1);
        meaning
    }

    #[test]
    fn the_nearest_is_told_where_it_is_clearly_nearer_than_the_next() {
        let clear = read(&[&[1.0, 0.1], &[0.0, 1.0], &[2.0, 0.0], &[-1.0, 0.0]]);
        assert_eq!((clear.nearest(), clear.problem.as_ref()), (Some(1), None));
        assert!(clear.near[1] > 0.99 && clear.near[2] < -0.99, "{clear:?}");
        let open = read(&[&[1.0, 1.0], &[1.0, 0.95], &[0.95, 1.0], &[1.0, -1.0]]);
        assert_eq!((open.nearest(), open.problem.as_ref()), (None, None));
    }

    #[test]
    fn a_lead_is_a_part_of_what_lies_between_the_deeds_in_any_model() {
        // The second model puts all texts close together: what they share outweighs what tells them apart.
        let wide = read(&[&[0.9, 0.3, 0.0], &[1.0, 0.0, 0.0], &[0.0, 1.0, 0.0]]);
        let close = read(&[&[0.9, 0.3, 9.0], &[1.0, 0.0, 9.0], &[0.0, 1.0, 9.0]]);
        assert!(close.near[0] - close.near[1] < 0.01, "{close:?}");
        assert_eq!((wide.nearest(), close.nearest()), (Some(0), Some(0)));
    }

    #[test]
    fn vectors_that_cannot_be_compared_decide_nothing() {
        for vectors in [
            [&[1.0, 0.0][..], &[1.0][..], &[0.0, 1.0][..]],
            [&[0.0, 0.0], &[1.0, 0.0], &[0.0, 1.0]],
            [&[], &[], &[]],
        ] {
            let meaning = read(&vectors);
            assert!(meaning.problem.is_some() && meaning.nearest().is_none());
        }
        for answer in [
            json!({}),
            json!({"data": [{"index": 0, "embedding": [1.0]}]}),
            json!({"data": [{"index": 7, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0]}]}),
            json!({"data": [{"index": 0, "embedding": "AAAA"}, {"index": 1, "embedding": [1.0]}, {"index": 2, "embedding": [1.0]}]}),
        ] {
            let mut meaning = Meaning::default();
            meaning.read(&answer, 2);
            assert!(meaning.problem.is_some() && meaning.near.is_empty());
        }
        assert_eq!(
            read(&[&[1.0], &[1.0], &[1.0]]).nearest(),
            None,
            "all the same"
        );
    }
}
