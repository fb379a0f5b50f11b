//! One tensor of an architecture as it lies in the files: which stored rows are its rows.

use super::names::{Place, Rows};
use super::table::Table;
use crate::FormatsError;
use crate::gguf::GgufType;
use slimfit_arch::Tensor;
use slimfit_quantity::NumberFormat;

/// A tensor, in one piece or several of equal size below each other.
#[derive(Debug)]
pub(super) struct View {
    pieces: Vec<Piece>,
    rows_per_piece: u64,
    columns: u64,
}

#[derive(Debug)]
struct Piece {
    stored: usize,
    rows: Rows,
    /// Of the stored tensor: its row length where it is transposed.
    transposed: Option<u64>,
}

impl View {
    /// Takes the first place that the files have, and checks that it fits.
    pub(super) fn find(table: &mut Table, tensor: &Tensor, places: &[Place]) -> Result<Self, FormatsError> {
        let found = places.iter().find(|place| place.names.iter().any(|name| table.find(name).is_some()));
        let Some(place) = found else {
            let mut names: Vec<String> = places
                .iter()
                .filter_map(|place| place.names.first())
                .map(|name| format!("`{name}`"))
                .collect();
            names.dedup();
            let message =
                format!("`{}` is missing: the files have no {}", tensor.name(), names.join(", no "));
            return Err(table.error(message));
        };
        let columns = if tensor.shape.len() > 1 { tensor.shape[tensor.shape.len() - 1] } else { 1 };
        let all_rows = tensor.parameters() / columns;
        let count = place.names.len() as u64;
        let rows_per_piece = all_rows / count;
        let mut pieces = Vec::with_capacity(place.names.len());
        for name in &place.names {
            let Some(stored) = table.find(name) else {
                let message = format!("`{}` is missing: the files have no `{name}`", tensor.name());
                return Err(table.error(message));
            };
            let found = table.stored(stored);
            let (values, last) = (found.values(), found.shape.last().copied().unwrap_or(1));
            let stored_rows = match () {
                () if columns == 1 => values,
                () if place.transposed && found.shape.len() == 2 && found.shape[0] == columns => last,
                () if !place.transposed && last == columns => values / columns,
                // One row may be stored as a vector, and heads of a norm as rows.
                () => 0,
            };
            let end = if rows_per_piece == 0 { 0 } else { place.rows.of(rows_per_piece - 1) + 1 };
            if !all_rows.is_multiple_of(count) || end > stored_rows {
                let message = format!(
                    "`{}` has the shape {:?}, which does not hold `{}` of shape {:?}",
                    found.name,
                    found.shape,
                    tensor.name(),
                    tensor.shape
                );
                return Err(table.error_at(stored, message));
            }
            if let Err(message) = found.blocks.supported() {
                let message = format!("`{}`: {message}", found.name);
                return Err(table.error_at(stored, message));
            }
            let transposed = place.transposed.then_some(last).filter(|_| columns > 1);
            pieces.push(Piece { stored, rows: place.rows, transposed });
            table.claim(stored, rows_per_piece * columns);
        }
        Ok(Self { pieces, rows_per_piece, columns })
    }

    /// How the values are stored; of the first piece where there are several.
    pub(super) fn kind(&self, table: &Table) -> GgufType {
        table.stored(self.pieces[0].stored).kind
    }

    pub(super) fn read(&self, table: &Table, first: u64, values: &mut [f32]) -> Result<(), FormatsError> {
        let total = self.pieces.len() as u64 * self.rows_per_piece * self.columns;
        if first.checked_add(values.len() as u64).is_none_or(|end| end > total) {
            return Err(
                table.error_at(self.pieces[0].stored, format!("more than its {total} values are asked for"))
            );
        }
        let (mut at, mut rest) = (first, values);
        while !rest.is_empty() {
            let (row, column) = (at / self.columns, at % self.columns);
            let piece = &self.pieces[(row / self.rows_per_piece) as usize];
            let row = row % self.rows_per_piece;
            let run = piece.rows.run(row).min(self.rows_per_piece - row);
            let count = (run * self.columns - column).min(rest.len() as u64);
            let (values, later) = rest.split_at_mut(count as usize);
            let stored_row = piece.rows.of(row);
            match piece.transposed {
                None => table.read(piece.stored, stored_row * self.columns + column, values)?,
                Some(length) => self.read_transposed(table, piece, length, stored_row, column, values)?,
            }
            at += count;
            rest = later;
        }
        Ok(())
    }

    /// `length`: values from one stored row to the next, which are columns here.
    fn read_transposed(
        &self,
        table: &Table,
        piece: &Piece,
        length: u64,
        row: u64,
        column: u64,
        values: &mut [f32],
    ) -> Result<(), FormatsError> {
        let columns = self.columns as usize;
        if column == 0 && values.len().is_multiple_of(columns) {
            let mut along = vec![0.0; values.len() / columns];
            for column in 0..columns {
                table.read(piece.stored, column as u64 * length + row, &mut along)?;
                for (line, value) in values.chunks_exact_mut(columns).zip(&along) {
                    line[column] = *value;
                }
            }
            return Ok(());
        }
        for (place, value) in (column..).zip(values) {
            let (row, column) = (row + place / self.columns, place % self.columns);
            table.read(piece.stored, column * length + row, std::slice::from_mut(value))?;
        }
        Ok(())
    }

    pub(super) fn read_encoded(
        &self,
        table: &Table,
        format: NumberFormat,
        first: u64,
        bytes: &mut [u8],
    ) -> Result<bool, FormatsError> {
        let same = |piece: &Piece| {
            piece.transposed.is_none() && table.stored(piece.stored).kind.number_format() == Some(format)
        };
        let kind = self.kind(table);
        if !self.pieces.iter().all(same) || !self.columns.is_multiple_of(kind.block_values) {
            return Ok(false);
        }
        let blocks = self.columns / kind.block_values;
        let row_bytes = (blocks * kind.block_bytes) as usize;
        let (mut row, mut rest) = (first, bytes);
        while !rest.is_empty() {
            let Some(piece) = self.pieces.get((row / self.rows_per_piece) as usize) else {
                return Err(table.error_at(self.pieces[0].stored, format!("row {row} is beyond the last")));
            };
            let local = row % self.rows_per_piece;
            let run = piece.rows.run(local).min(self.rows_per_piece - local);
            let count = run.min((rest.len() / row_bytes).max(1) as u64);
            let (own, later) = rest.split_at_mut((count as usize * row_bytes).min(rest.len()));
            table.read_blocks(piece.stored, piece.rows.of(local) * blocks, own)?;
            row += count;
            rest = later;
        }
        Ok(true)
    }
}
