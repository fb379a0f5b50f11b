//! slimfit's own architecture files: the fields of an [`Architecture`], with `schema` before them in a file of their own
//! and without where they were cut out of a front.

use crate::FormatsError;
use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, IgnoredAny, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use slimfit_arch::Architecture;
use slimfit_document::Document;
use std::fmt;

/// The schema of an architecture file.
pub const ARCHITECTURE_SCHEMA: &str = "slimfit/architecture/v1";

/// Reads and validates an architecture.
///
/// # Errors
/// What [`Document`] refuses, another schema, an unknown or wrong field, and an architecture that cannot exist.
pub fn read_architecture(document: &Document) -> Result<Architecture, FormatsError> {
    if document.has("schema") {
        document.schema(&[ARCHITECTURE_SCHEMA])?;
    }
    let Whole(architecture) = document.parse()?;
    if let Err(error) = architecture.validate() {
        return Err(match error {
            slimfit_arch::ArchitectureError::Field { field, found, allowed } => {
                let error = document.error_at(&field, "no such architecture can exist");
                error.code("architecture").found(found).allowed(allowed).into()
            }
            other => document.error_at("", other.to_string()).code("architecture").into(),
        });
    }
    Ok(architecture)
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
