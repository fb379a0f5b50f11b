//! Where each field of a document stands.

use crate::path::Step;

/// A place in the text, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub line: u64,
    pub column: u64,
}

/// A value and its place, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub place: Place,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Scalar,
    List(Vec<Node>),
    Mapping(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub key: String,
    pub place: Place,
    pub value: Node,
}

impl Node {
    /// The place of the value at `steps` (of its key, where the last step is one and the value is a container), or of
    /// the nearest parent that exists.
    pub fn find(&self, steps: &[Step]) -> Place {
        let mut node = self;
        let mut place = self.place;
        for step in steps {
            let next = match (&node.kind, step) {
                (Kind::List(items), Step::Index(index)) => items.get(*index).map(|item| (item, item.place)),
                (Kind::Mapping(entries), Step::Key(key)) => {
                    entries.iter().find(|entry| entry.key == *key).map(|entry| {
                        let scalar = matches!(entry.value.kind, Kind::Scalar);
                        (&entry.value, if scalar { entry.value.place } else { entry.place })
                    })
                }
                _ => None,
            };
            let Some((child, child_place)) = next else { return place };
            node = child;
            place = child_place;
        }
        place
    }

    /// The node at `steps`, if it exists.
    pub fn get(&self, steps: &[Step]) -> Option<&Node> {
        steps.iter().try_fold(self, |node, step| match (&node.kind, step) {
            (Kind::List(items), Step::Index(index)) => items.get(*index),
            (Kind::Mapping(entries), Step::Key(key)) => {
                entries.iter().find(|entry| entry.key == *key).map(|entry| &entry.value)
            }
            _ => None,
        })
    }

    /// The place of a key of this mapping.
    pub fn key_place(&self, key: &str) -> Option<Place> {
        let Kind::Mapping(entries) = &self.kind else { return None };
        entries.iter().find(|entry| entry.key == key).map(|entry| entry.place)
    }

    /// The steps below this node to the first mapping that has `key`, the key included.
    pub fn search_key(&self, key: &str) -> Option<Vec<Step>> {
        match &self.kind {
            Kind::Scalar => None,
            Kind::List(items) => items.iter().enumerate().find_map(|(index, item)| {
                let mut steps = item.search_key(key)?;
                steps.insert(0, Step::Index(index));
                Some(steps)
            }),
            Kind::Mapping(entries) => {
                if entries.iter().any(|entry| entry.key == key) {
                    return Some(vec![Step::Key(key.to_owned())]);
                }
                entries.iter().find_map(|entry| {
                    let mut steps = entry.value.search_key(key)?;
                    steps.insert(0, Step::Key(entry.key.clone()));
                    Some(steps)
                })
            }
        }
    }
}
