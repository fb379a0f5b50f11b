//! The architecture that a row spells out.

use super::{ARCHITECTURE_COLUMNS, Row, missing, whole};
use slimfit_arch::{
    Architecture, Attention, FeedForward, LayerRun, Loops, MAX_STORED_LAYERS, Mlp, Moe, Rope,
};
use slimfit_document::DocumentError;

impl Row<'_> {
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
        match ARCHITECTURE_COLUMNS.iter().find_map(|(name, _)| Some((*name, self.text(name)?))) {
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

fn whole_share(hidden_size: u64, heads: u64) -> Result<u64, DocumentError> {
    if heads > 0 && hidden_size.is_multiple_of(heads) {
        return Ok(hidden_size / heads);
    }
    let error = missing("head_size");
    Err(error.hint(format!("{heads} heads share out a width of {hidden_size} to no whole number")))
}

fn out_of_range(column: &str, found: impl std::fmt::Display, allowed: &str) -> DocumentError {
    DocumentError::new("bad-cell", "out of range").field(column).found(found).allowed(allowed)
}
