//! slimfit's own architecture files: the fields of an [`Architecture`], with or without `schema` before them, or a whole
//! point that was cut out of a front.

use crate::FormatsError;
use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, IgnoredAny, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use slimfit_arch::Architecture;
use slimfit_document::Document;
use slimfit_quantity::NumberFormat;
use std::fmt;

/// The schema of an architecture file.
pub const ARCHITECTURE_SCHEMA: &str = "slimfit/architecture/v1";

/// Reads and validates an architecture: its fields, or the point of a front that holds it.
///
/// # Errors
/// What [`Document`] refuses, another schema, an unknown or wrong field, an architecture that cannot exist, and a whole
/// front, which holds more than one.
pub fn read_architecture(document: &Document) -> Result<Architecture, FormatsError> {
    read_point(document).map(|point| point.architecture)
}

/// The fields of an architecture file, `schema` among them.
pub fn architecture_json(architecture: &Architecture) -> serde_json::Value {
    let mut fields = serde_json::to_value(architecture).expect("an architecture is plain data");
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("schema".to_owned(), ARCHITECTURE_SCHEMA.into());
    }
    fields
}

/// What a file says of one model. A point's other fields are results of the search and are left alone.
#[derive(Deserialize)]
pub(crate) struct Point {
    pub(crate) architecture: Architecture,
    #[serde(default)]
    pub(crate) weights: Option<NumberFormat>,
}

pub(crate) fn read_point(document: &Document) -> Result<Point, FormatsError> {
    if document.has("points") {
        let error = document.error_at("points", "a front holds several architectures").code("architecture");
        return Err(error.allowed("one point of it, in a file of its own").into());
    }
    let is_point = document.has("architecture");
    let point = if is_point {
        document.parse()?
    } else {
        if document.has("schema") {
            document.schema(&[ARCHITECTURE_SCHEMA])?;
        }
        let Whole(architecture) = document.parse()?;
        Point { architecture, weights: None }
    };
    validate(document, &point.architecture, if is_point { "architecture." } else { "" })?;
    Ok(point)
}

/// The architecture under the field `architecture` of a document that holds more, its own `schema` left to the caller.
pub(crate) fn read_held(document: &Document) -> Result<Architecture, FormatsError> {
    #[derive(Deserialize)]
    struct Holder {
        architecture: Whole,
    }
    let Holder { architecture: Whole(architecture) } = document.parse()?;
    validate(document, &architecture, "architecture.")?;
    Ok(architecture)
}

/// `prefix` is where its fields stand.
fn validate(document: &Document, architecture: &Architecture, prefix: &str) -> Result<(), FormatsError> {
    architecture.validate().map_err(|error| match error {
        slimfit_arch::ArchitectureError::Field { field, found, allowed } => {
            let error = document.error_at(&format!("{prefix}{field}"), "no such architecture can exist");
            error.code("architecture").found(found).allowed(allowed).into()
        }
        other => document.error_at("", other.to_string()).code("architecture").into(),
    })
}

/// An architecture whose map may also hold `schema`.
struct Whole(Architecture);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("the fields of an architecture")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Whole, A::Error> {
                Architecture::deserialize(MapAccessDeserializer::new(WithoutSchema(map))).map(Whole)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// The entries of a map, `schema` left out.
struct WithoutSchema<A>(A);

impl<'de, A: MapAccess<'de>> MapAccess<'de> for WithoutSchema<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.0.next_key::<String>()? {
            if key == "schema" {
                self.0.next_value::<IgnoredAny>()?;
                continue;
            }
            let key: StringDeserializer<A::Error> = key.into_deserializer();
            return seed.deserialize(key).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.0.next_value_seed(seed)
    }
}
