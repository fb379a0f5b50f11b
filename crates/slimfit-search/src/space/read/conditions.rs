//! Expressions and conditions, and what is wrong with them.

use super::Reader;
use crate::space::Condition;
use crate::space::axes::Axis;
use crate::space::expression::{Expression, Fault};
use slimfit_document::DocumentError;

impl Reader<'_> {
    pub(super) fn expression(&self, field: &str, text: &str) -> Result<Expression, DocumentError> {
        Expression::parse(text).map_err(|fault| match fault {
            Fault::Name(name) => {
                let known: Vec<&str> = Axis::ALL.iter().map(|axis| axis.name()).collect();
                self.unknown(field, "unknown name in an expression", &name, &known)
            }
            Fault::Syntax { found, expected } => {
                let error =
                    self.document.error_at(field, format!("`{text}` is no expression")).code("syntax");
                error.found(format!("`{found}`")).allowed(expected)
            }
        })
    }

    /// Combinations that are no points.
    pub(super) fn exclusions(&self, texts: &[String]) -> Result<Vec<Condition>, DocumentError> {
        let condition = |(index, text): (usize, &String)| {
            let expression = self.expression(&format!("exclude[{index}]"), text)?;
            Ok(Condition::new(text.clone(), expression))
        };
        texts.iter().enumerate().map(condition).collect()
    }
}
