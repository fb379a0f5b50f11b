//! A row of `--batch`: one model in columns that are named as the fields of an architecture.

use csv::StringRecord;
use slimfit_arch::{
    Architecture, Attention, FeedForward, LayerRun, Loops, MAX_STORED_LAYERS, Mlp, Moe, Rope,
};
use slimfit_document::{DocumentError, suggestion};
use slimfit_quantity::NumberFormat;
use std::str::FromStr;

/// Every column that is read, and what it holds. The default stands after the dash.
pub const COLUMNS: [(&str, &str); 26] = [
    ("name", "what the row is called in the output"),
    ("model", "a built-in model or a file, instead of the architecture's columns"),
    ("layers", "stored layers"),
    ("hidden_size", "width of the residual stream"),
    ("heads", "query heads"),
    ("kv_heads", "key and value heads - `heads`"),
    ("head_size", "values of one head - hidden_size / heads"),
    ("ffn", "inner width of dense layers"),
    ("gated", "whether a third matrix gates it - true"),
    ("experts", "experts of a layer, 1: dense - 1"),
    ("top_k", "experts that a token visits; layers with experts need it"),
    ("expert_size", "inner width of one expert; layers with experts need it"),
    ("shared_size", "inner width that every token visits beside its experts - 0"),
    ("window", "keys that a query sees, 0: all - 0"),
    ("full_every", "every this-many-th layer sees all keys in spite of `window`, 0: none does - 0"),
    ("vocabulary_size", "rows of the embedding table"),
    ("tied_embeddings", "whether the output head is that table - false"),
    ("embedding_size", "width of the table where it is not hidden_size - hidden_size"),
    ("loops", "passes through the looped layers - 1"),
    ("loop_first", "the first looped layer, from 0 - 0"),
    ("loop_layers", "how many layers loop - all from loop_first on"),
    (
        "tokens",
        "training tokens in the recipe's tokenizer - --tokens, or what the built-in model was trained on",
    ),
    ("weights", "weight format - --weights"),
    ("kv", "KV format - --kv"),
    ("recipe", "quality recipe - --recipe"),
    ("bytes_per_token", "measured with the model's own tokenizer - the recipe's table"),
];

/// Where each column stands.
#[derive(Debug)]
pub struct Columns {
    places: [Option<usize>; COLUMNS.len()],
    count: usize,
}

/// One row; a cell that is empty says nothing.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    columns: &'a Columns,
    record: &'a StringRecord,
}

impl Columns {
    /// Reads the first line.
    pub fn read(header: &StringRecord) -> Result<Self, DocumentError> {
        let mut places = [None; COLUMNS.len()];
        for (place, name) in header.iter().enumerate() {
            let Some(column) = COLUMNS.iter().position(|(known, _)| *known == name) else {
                let names = COLUMNS.map(|(known, _)| known);
                let error = DocumentError::new("unknown-column", "no column of this name").field(name);
                let error = error.found(format!("`{name}`")).allowed(names.join(", "));
                return Err(error.maybe_hint(suggestion(name, names)));
            };
            if places[column].replace(place).is_some() {
                return Err(DocumentError::new("duplicate-column", "the column stands twice").field(name));
            }
        }
        Ok(Self { places, count: header.len() })
    }

    /// The row that a record is.
    pub fn row<'a>(&'a self, record: &'a StringRecord) -> Result<Row<'a>, DocumentError> {
        if record.len() == self.count {
            return Ok(Row { columns: self, record });
        }
        let error =
            DocumentError::new("row-length", "the row has another number of cells than the first line");
        Err(error.found(record.len()).allowed(self.count))
    }
}

impl Row<'_> {
    /// The text of a cell.
    pub fn text(&self, column: &str) -> Option<&str> {
        let index = COLUMNS.iter().position(|(known, _)| *known == column)?;
        let cell = self.record.get(self.columns.places[index]?)?.trim();
        (!cell.is_empty()).then_some(cell)
    }

    /// The value of a cell that `read` understands.
    pub fn cell<T>(
        &self,
        column: &str,
        allowed: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, DocumentError> {
        let Some(text) = self.text(column) else { return Ok(None) };
        read(text).map(Some).ok_or_else(|| {
            let error = DocumentError::new("bad-cell", "the cell cannot be read").field(column);
            let error = error.found(format!("`{text}`")).allowed(allowed);
            let is_nothing =
                ["nan", "na", "n/a", "none", "null", "-"].contains(&text.to_lowercase().as_str());
            error.maybe_hint(is_nothing.then(|| "leave the cell empty where nothing is known".to_owned()))
        })
    }

    /// A number format.
    pub fn format(&self, column: &str) -> Result<Option<NumberFormat>, DocumentError> {
        let allowed = NumberFormat::ALL.map(NumberFormat::name).join(", ");
        self.cell(column, &allowed, |text| NumberFormat::from_str(text).ok())
    }

    /// The architecture that the row spells out.
    pub fn architecture(&self) -> Result<Architecture, DocumentError> {
        let layers = self.needed("layers")?;
        if !(1..=MAX_STORED_LAYERS).contains(&layers) {
            return Err(out_of_range("layers", layers, &format!("1 to {MAX_STORED_LAYERS}")));
        }
        let hidden_size = self.needed("hidden_size")?;
        let list = |column| self.by_layer(column, layers);
        let heads = list("heads")?.ok_or_else(|| missing("heads"))?;
        let (kv_heads, head_sizes) = (list("kv_heads")?, list("head_size")?);
        let (ffn, experts, windows) = (list("ffn")?, list("experts")?, list("window")?);
        let (top_k, expert_sizes, shared) = (list("top_k")?, list("expert_size")?, list("shared_size")?);
        let gated = self.truth("gated")?.unwrap_or(true);
        let full_every = self.whole("full_every")?.unwrap_or(0);
        if full_every > 0 && windows.is_none() {
            return Err(missing("window").hint("`full_every` says which layers a window leaves out"));
        }
        let at = |values: &Option<ByLayer>, layer| values.as_ref().map(|values| values.at(layer));
        let (mut any_dense, mut any_mixture) = (false, false);
        let mut runs: Vec<LayerRun> = Vec::new();
        let lists = [&kv_heads, &head_sizes, &ffn, &experts, &windows, &top_k, &expert_sizes, &shared];
        let even = full_every == 0 && lists.iter().all(|list| list.as_ref().is_none_or(ByLayer::is_one));
        let (count, repeat) = if even && heads.is_one() { (1, layers) } else { (layers, 1) };
        for layer in 0..count {
            let own_heads = heads.at(layer);
            let sees_all = full_every > 0 && (layer + 1) % full_every == 0;
            let window = at(&windows, layer).filter(|window| *window > 0 && !sees_all);
            let attention = Attention {
                heads: own_heads,
                kv_heads: at(&kv_heads, layer).unwrap_or(own_heads),
                head_size: match at(&head_sizes, layer) {
                    Some(size) => size,
                    None => whole_share(hidden_size, own_heads)?,
                },
                window,
                rope: Some(Rope { base: 10_000.0, rotated: None, interleaved: false, scaling: None }),
                bias: Default::default(),
                qk_norm: Default::default(),
                scale: None,
                softcap: None,
                qkv_clip: None,
            };
            let own_experts = at(&experts, layer).unwrap_or(1);
            let own_ffn = if own_experts > 1 {
                any_mixture = true;
                FeedForward::Moe(Moe {
                    experts: own_experts,
                    top_k: at(&top_k, layer).ok_or_else(|| missing("top_k"))?,
                    expert_size: at(&expert_sizes, layer).ok_or_else(|| {
                        missing("expert_size")
                            .hint("it is the inner width of one expert; `ffn` is that of dense layers")
                    })?,
                    gated,
                    activation: Default::default(),
                    shared_size: at(&shared, layer).unwrap_or(0),
                    shared_gate: false,
                    normalise_top_k: false,
                    router_bias: false,
                })
            } else {
                any_dense = true;
                let size = at(&ffn, layer).ok_or_else(|| missing("ffn"))?;
                FeedForward::Dense(Mlp { size, gated, activation: Default::default(), bias: false })
            };
            match runs.last_mut() {
                Some(last) if last.attention == attention && last.ffn == own_ffn => last.repeat += 1,
                _ => runs.push(LayerRun { repeat, attention, ffn: own_ffn }),
            }
        }
        self.no_leftovers(any_dense, any_mixture)?;
        Ok(Architecture {
            hidden_size,
            vocabulary_size: self.needed("vocabulary_size")?,
            tied_embeddings: self.truth("tied_embeddings")?.unwrap_or(false),
            embedding_size: self.whole("embedding_size")?.filter(|size| *size != hidden_size),
            layers: runs,
            positions: Default::default(),
            norm: Default::default(),
            norm_placement: Default::default(),
            embedding_norm: false,
            final_norm: true,
            head_bias: false,
            scales: Default::default(),
            loops: self.loops(layers)?,
        })
    }

    /// Refuses architecture cells beside a named model.
    pub fn no_architecture(&self) -> Result<(), DocumentError> {
        let first = COLUMNS.iter().position(|(name, _)| *name == "layers").unwrap_or_default();
        let last = COLUMNS.iter().position(|(name, _)| *name == "tokens").unwrap_or_default();
        match COLUMNS[first..last].iter().find_map(|(name, _)| Some((*name, self.text(name)?))) {
            None => Ok(()),
            Some((name, text)) => {
                let message = "the row names a model, which has its own architecture";
                let error = DocumentError::new("bad-cell", message).field(name).found(format!("`{text}`"));
                Err(error.allowed("an empty cell").hint("leave `model` empty to spell the architecture out"))
            }
        }
    }

    /// Cells that no layer reads would be lost without a word.
    fn no_leftovers(&self, any_dense: bool, any_mixture: bool) -> Result<(), DocumentError> {
        if !any_dense && let Some(text) = self.text("ffn") {
            let error =
                DocumentError::new("bad-cell", "no layer is dense, so `ffn` says nothing").field("ffn");
            let hint = "give `expert_size`, the inner width of one expert, and leave `ffn` empty";
            return Err(error.found(format!("`{text}`")).allowed("an empty cell").hint(hint));
        }
        if any_mixture {
            return Ok(());
        }
        // A dense part is one expert that every token visits.
        for (column, nothing) in [("top_k", 1), ("expert_size", 0), ("shared_size", 0)] {
            if let Some(value) = self.whole(column)?.filter(|value| *value > nothing) {
                let error = out_of_range(column, value, "an empty cell where no layer has experts");
                return Err(error.hint("`experts` says how many there are"));
            }
        }
        Ok(())
    }

    fn loops(&self, layers: u64) -> Result<Option<Loops>, DocumentError> {
        let count = self.whole("loops")?.unwrap_or(1);
        if count == 0 {
            return Err(out_of_range("loops", 0, "1 or more passes"));
        }
        let first = self.whole("loop_first")?;
        let looped = self.whole("loop_layers")?;
        if count == 1 {
            return Ok(None);
        }
        let first = first.unwrap_or(0);
        Ok(Some(Loops {
            first,
            layers: looped.unwrap_or(layers.saturating_sub(first)),
            count,
            immediate: false,
        }))
    }

    fn needed(&self, column: &str) -> Result<u64, DocumentError> {
        self.whole(column)?.ok_or_else(|| missing(column))
    }

    fn whole(&self, column: &str) -> Result<Option<u64>, DocumentError> {
        self.cell(column, "a whole number", whole)
    }

    fn truth(&self, column: &str) -> Result<Option<bool>, DocumentError> {
        self.cell(column, "true, false, 1, 0", |text| match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        })
    }

    /// One number for all layers, or `12;12;16` and `12*2;16` for each in turn.
    fn by_layer(&self, column: &str, layers: u64) -> Result<Option<ByLayer>, DocumentError> {
        let allowed = "a whole number, or one for each layer: `12;16*3` is 12 once and 16 three times";
        let runs = self.cell(column, allowed, |text| {
            let item = |item: &str| match item.split_once('*') {
                None => Some((whole(item)?, 1)),
                Some((value, times)) => Some((whole(value)?, whole(times).filter(|times| *times > 0)?)),
            };
            text.split(';').map(item).collect::<Option<Vec<(u64, u64)>>>()
        })?;
        let Some(runs) = runs else { return Ok(None) };
        if let [(value, 1)] = runs[..] {
            return Ok(Some(ByLayer::One(value)));
        }
        let mut values = Vec::new();
        for (value, times) in runs {
            if times > layers - values.len() as u64 {
                return Err(out_of_range(column, "more", &format!("values for {layers} layers")));
            }
            values.extend(std::iter::repeat_n(value, times as usize));
        }
        if values.len() as u64 != layers {
            let found = format!("{} values", values.len());
            return Err(out_of_range(
                column,
                found,
                &format!("one value, or one for each of {layers} layers"),
            ));
        }
        Ok(Some(ByLayer::Each(values)))
    }
}

/// What a field holds in each layer.
#[derive(Debug)]
enum ByLayer {
    One(u64),
    Each(Vec<u64>),
}

impl ByLayer {
    fn at(&self, layer: u64) -> u64 {
        match self {
            Self::One(value) => *value,
            Self::Each(values) => values[layer as usize],
        }
    }

    fn is_one(&self) -> bool {
        matches!(self, Self::One(_))
    }
}

/// Tables written by other programs often carry whole numbers as `12.0`.
fn whole(text: &str) -> Option<u64> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let value: f64 = text.parse().ok()?;
        (value >= 0.0 && value.fract() == 0.0 && value < (1_u64 << 53) as f64).then_some(value as u64)
    })
}

fn whole_share(hidden_size: u64, heads: u64) -> Result<u64, DocumentError> {
    if heads > 0 && hidden_size.is_multiple_of(heads) {
        return Ok(hidden_size / heads);
    }
    let error = missing("head_size");
    Err(error.hint(format!("{heads} heads share out a width of {hidden_size} to no whole number")))
}

fn missing(column: &str) -> DocumentError {
    DocumentError::new("missing-cell", "the row needs a value here").field(column)
}

fn out_of_range(column: &str, found: impl std::fmt::Display, allowed: &str) -> DocumentError {
    DocumentError::new("bad-cell", "out of range").field(column).found(found).allowed(allowed)
}

/// The columns as the help lists them.
pub fn help() -> String {
    let lines = COLUMNS.iter().map(|(name, what)| format!("  {name:<16} {what}"));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Architecture, DocumentError> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        let columns = Columns::read(&reader.headers().unwrap().clone())?;
        let record = reader.records().next().unwrap().unwrap();
        columns.row(&record)?.architecture()
    }

    const DENSE: &str = "layers,hidden_size,heads,ffn,vocabulary_size\n";

    #[test]
    fn what_is_left_out_takes_its_default() {
        let short = read(&format!("{DENSE}24,1024,16,4096,50304")).unwrap();
        let long = read(
            "layers,hidden_size,heads,kv_heads,head_size,ffn,gated,experts,top_k,window,vocabulary_size,\
             tied_embeddings,embedding_size,loops\n24.0,1024,16,16,64,4096,True,1,1,0,50304,0,1024,1",
        );
        assert_eq!(short, long.unwrap());
        assert_eq!((short.depth(), short.layers.len()), (24, 1));
        assert!(short.validate().is_ok());
    }

    #[test]
    fn layers_of_unlike_shape_fold_into_runs() {
        let head = "layers,hidden_size,heads,kv_heads,head_size,ffn,vocabulary_size\n";
        let found = read(&format!("{head}4,1280,12;16*3,3;4*3,64,768;1536;2048*2,32000")).unwrap();
        let runs: Vec<_> = found.layers.iter().map(|run| (run.repeat, run.attention.heads)).collect();
        assert_eq!(runs, [(1, 12), (1, 16), (2, 16)]);
        assert!(found.validate().is_ok());
        for wrong in ["12;16*2", "12;16*4", "12;;16", "12*0", "12;16*18446744073709551615"] {
            let error = read(&format!("{head}4,1280,{wrong},4,64,768,32000")).unwrap_err();
            assert_eq!(error.field.as_deref(), Some("heads"), "{wrong}: {error}");
        }
    }

    #[test]
    fn experts_windows_and_loops() {
        let head = "layers,hidden_size,heads,ffn,experts,top_k,expert_size,shared_size,window,full_every,\
                    vocabulary_size,loops,loop_first,loop_layers\n";
        let found = read(&format!("{head}12,768,12,3072,1;8*11,2,1024,512,1024,6,50304,3,2,8")).unwrap();
        assert!(matches!(found.layers[0].ffn, FeedForward::Dense(_)));
        let global = found.each_layer().enumerate().filter(|(_, run)| run.attention.window.is_none());
        assert_eq!(global.map(|(layer, _)| layer).collect::<Vec<_>>(), [5, 11]);
        assert_eq!(found.loops, Some(Loops { first: 2, layers: 8, count: 3, immediate: false }));
        assert!(found.validate().is_ok());
    }

    #[test]
    fn wrong_cells_name_their_column() {
        let wide =
            "layers,hidden_size,heads,kv_heads,ffn,gated,experts,top_k,expert_size,vocabulary_size,loops\n";
        for (text, field) in [
            (format!("{DENSE},1024,16,4096,50304"), "layers"),
            (format!("{DENSE}65537,1024,16,4096,50304"), "layers"),
            (format!("{DENSE}24,1024,16,,50304"), "ffn"),
            (format!("{DENSE}24,1024,16,4096.5,50304"), "ffn"),
            (format!("{DENSE}24,1000,16,4096,50304"), "head_size"),
            (format!("{DENSE}24,1024,0,4096,50304"), "head_size"),
            (format!("{wide}24,1024,16,nan,4096,,,,,50304,"), "kv_heads"),
            (format!("{wide}24,1024,16,,4096,maybe,,,,50304,"), "gated"),
            (format!("{wide}24,1024,16,,4096,,8,2,512,50304,"), "ffn"),
            (format!("{wide}24,1024,16,,,,8,,512,50304,"), "top_k"),
            (format!("{wide}24,1024,16,,,,8,2,,50304,"), "expert_size"),
            (format!("{wide}24,1024,16,,4096,,,,512,50304,"), "expert_size"),
            (format!("{wide}24,1024,16,,4096,,,,,50304,0"), "loops"),
        ] {
            let error = read(&text).unwrap_err();
            assert_eq!(error.field.as_deref(), Some(field), "{text}: {error}");
        }
        let error = read(&format!("{DENSE}24,1024,16")).unwrap_err();
        assert_eq!(error.code, "row-length");
    }

    #[test]
    fn unknown_and_doubled_columns_are_refused() {
        let error = read("layers,hidden\n1,2").unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("did you mean `hidden_size`?"));
        let error = read("layers,layers\n1,2").unwrap_err();
        assert_eq!(error.code, "duplicate-column");
    }
}
