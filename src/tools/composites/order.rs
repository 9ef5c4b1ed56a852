//! Which steps run beside each other, which one after another.

use std::collections::HashMap;

use super::row::{Composite, StepRow};

/// The steps in waves: those of a wave run at the same time. A step comes behind all that it needs; one that changes something is alone in its
/// wave, behind everything that stands before it and before everything that stands behind it, so what cannot be undone comes as late as its
/// author put it.
pub fn waves(chain: &Composite, changes: impl Fn(&StepRow) -> bool) -> Vec<Vec<&StepRow>> {
    let mut waves: Vec<Vec<&StepRow>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut floor = 0;
    for step in &chain.steps {
        let needs = step.needs();
        let needed = needs
            .iter()
            .filter_map(|name| places.get(name.as_str()))
            .map(|place| place + 1);
        let mut place = needed.max().unwrap_or(0).max(floor);
        if changes(step) {
            place = waves.len();
            floor = place + 1;
        }
        places.insert(&step.id, place);
        if waves.len() <= place {
            waves.resize_with(place + 1, Vec::new);
        }
        if let Some(wave) = waves.get_mut(place) {
            wave.push(step);
        }
    }
    waves
}
