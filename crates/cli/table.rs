//! Tables as every command prints them.

use comfy_table::{ContentArrangement, Table, presets};

/// A table without lines, so that a row is a line: easy to read, and to cut with other tools.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.to_vec());
    table
}
