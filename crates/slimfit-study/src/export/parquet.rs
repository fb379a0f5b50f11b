//! Tables as Parquet.

use super::{Table, Values};
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;
use std::io::{Error, Write};
use std::ops::Range;
use std::sync::Arc;

/// Rows of a row group.
const GROUP: usize = 1 << 17;

pub(super) fn write(table: &Table, writer: &mut dyn Write) -> Result<(), Error> {
    let bytes = encode(table).map_err(Error::other)?;
    writer.write_all(&bytes)
}

fn encode(table: &Table) -> Result<Vec<u8>, ParquetError> {
    let fields = table.columns.iter().map(|column| {
        let (physical, logical) = match column.values {
            Values::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Values::Integer(_) => (Physical::INT64, None),
            Values::Real(_) => (Physical::DOUBLE, None),
            Values::Flag(_) => (Physical::BOOLEAN, None),
        };
        let field = Type::primitive_type_builder(&column.name, physical);
        field.with_repetition(Repetition::OPTIONAL).with_logical_type(logical).build().map(Arc::new)
    });
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    let schema = Arc::new(Type::group_type_builder(table.name).with_fields(fields).build()?);
    let created_by = concat!("slimfit version ", env!("CARGO_PKG_VERSION")).to_owned();
    let properties = Arc::new(WriterProperties::builder().set_created_by(created_by).build());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, properties)?;
    for start in (0..table.rows).step_by(GROUP) {
        let rows = start..table.rows.min(start + GROUP);
        let mut group = file.next_row_group()?;
        for column in &table.columns {
            let Some(mut writer) = group.next_column()? else {
                return Err(ParquetError::General("fewer columns than the schema says".to_owned()));
            };
            write_column(&column.values, rows.clone(), &mut writer)?;
            writer.close()?;
        }
        group.close()?;
    }
    file.into_inner()
}

fn write_column(
    values: &Values,
    rows: Range<usize>,
    writer: &mut SerializedColumnWriter<'_>,
) -> Result<(), ParquetError> {
    match values {
        Values::Text(values) => {
            write_values::<ByteArrayType, _>(&values[rows], writer, |text| ByteArray::from(text.as_str()))
        }
        Values::Integer(values) => write_values::<Int64Type, _>(&values[rows], writer, |value| *value),
        Values::Real(values) => write_values::<DoubleType, _>(&values[rows], writer, |value| *value),
        Values::Flag(values) => write_values::<BoolType, _>(&values[rows], writer, |value| *value),
    }
}

/// The values that are there, and for each row whether it has one.
fn write_values<D: DataType, T>(
    values: &[Option<T>],
    writer: &mut SerializedColumnWriter<'_>,
    convert: impl Fn(&T) -> D::T,
) -> Result<(), ParquetError> {
    let present: Vec<D::T> = values.iter().flatten().map(convert).collect();
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    writer.typed::<D>().write_batch(&present, Some(&levels), None)?;
    Ok(())
}
