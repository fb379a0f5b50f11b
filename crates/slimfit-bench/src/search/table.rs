//! Every valid point of a small space, as `--dump-all` writes it.

use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::path::Path;

/// The points.
pub struct PointTable {
    /// Their ids.
    pub ids: Vec<String>,
    /// Columns that say what they are.
    pub axes: usize,
    /// For each point the place of each axis's value among all values of that axis.
    pub codes: Vec<u32>,
    /// Their objectives, in the order asked for.
    pub values: Vec<f64>,
}

impl PointTable {
    /// Reads a dump.
    ///
    /// # Errors
    /// When a column is missing, or an objective is no number.
    pub fn read(file: &Path, objectives: &[String]) -> Result<Self> {
        let mut reader = csv::Reader::from_path(file).with_context(|| format!("`{}`", file.display()))?;
        let head: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
        let column = |name: &str| head.iter().position(|known| known == name);
        let column = |name: &str| column(name).with_context(|| format!("the dump has no column `{name}`"));
        let (id, loss) = (column("id")?, column("loss")?);
        // Axes stand between the id and the first metric.
        let axes: Vec<usize> = (id + 1..loss).collect();
        let chosen: Vec<usize> = objectives.iter().map(|name| column(name)).collect::<Result<_>>()?;
        let (mut ids, mut named, mut values) = (Vec::new(), vec![Vec::new(); axes.len()], Vec::new());
        for record in reader.records() {
            let record = record?;
            ids.push(record[id].to_owned());
            for (axis, column) in axes.iter().enumerate() {
                named[axis].push(record[*column].to_owned());
            }
            for column in &chosen {
                let text = &record[*column];
                values.push(text.parse().with_context(|| format!("`{}` holds `{text}`", head[*column]))?);
            }
        }
        let coded: Vec<Vec<u32>> = named.iter().map(|values| codes(values)).collect();
        let codes = (0..ids.len()).flat_map(|row| coded.iter().map(move |axis| axis[row])).collect();
        Ok(Self { ids, axes: axes.len(), codes, values })
    }
}

/// Places of values in their order, by size where all are numbers.
fn codes(values: &[String]) -> Vec<u32> {
    let mut known: Vec<&String> = values.iter().collect::<BTreeSet<_>>().into_iter().collect();
    let number = |text: &str| text.parse::<f64>().ok();
    if known.iter().all(|text| number(text).is_some()) {
        known.sort_by(|a, b| number(a).partial_cmp(&number(b)).unwrap_or(std::cmp::Ordering::Equal));
    }
    let places: std::collections::HashMap<&str, u32> =
        known.into_iter().zip(0..).map(|(text, place)| (text.as_str(), place)).collect();
    values.iter().map(|value| places[value.as_str()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_coded_by_size_and_objectives_stand_in_the_order_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dump.csv");
        let text =
            "id,layers,weights,loss,memory_bytes,feasible\na,12,q8_0,3.5,100,true\nb,8,bf16,3.25,200,true\n";
        std::fs::write(&file, text).unwrap();
        let table = PointTable::read(&file, &["memory_bytes".to_owned(), "loss".to_owned()]).unwrap();
        assert_eq!((table.ids.as_slice(), table.axes), (["a".to_owned(), "b".to_owned()].as_slice(), 2));
        assert_eq!(table.codes, [1, 1, 0, 0]);
        assert_eq!(table.values, [100.0, 3.5, 200.0, 3.25]);
        let error = PointTable::read(&file, &["ttft_seconds".to_owned()]).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("`ttft_seconds`"));
    }
}
