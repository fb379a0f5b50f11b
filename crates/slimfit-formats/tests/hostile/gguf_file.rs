//! A GGUF file as its parts, each of which can be made false before it is written.

/// One metadata entry: its type by number, and the bytes of its value.
#[derive(Debug, Clone)]
pub struct Entry {
    pub key: String,
    pub kind: u32,
    pub value: Vec<u8>,
}

/// One entry of the tensor table.
#[derive(Debug, Clone)]
pub struct Record {
    pub name: String,
    pub sizes: Vec<u64>,
    pub kind: u32,
    pub offset: u64,
}

/// A file before it is written. Counts are the true ones unless they are given.
#[derive(Debug, Clone)]
pub struct Parts {
    pub version: u32,
    pub entry_count: Option<u64>,
    pub record_count: Option<u64>,
    pub entries: Vec<Entry>,
    pub records: Vec<Record>,
    pub data: Vec<u8>,
}

pub const F32: u32 = 0;
pub const Q4_0: u32 = 2;
pub const Q8_0: u32 = 8;

/// Bytes of one entry of a type of 1 or 32 values.
fn bytes_of(kind: u32, values: u64) -> u64 {
    match kind {
        Q4_0 => values / 32 * 18,
        Q8_0 => values / 32 * 34,
        _ => values * 4,
    }
}

pub fn text(value: &str) -> Vec<u8> {
    let mut bytes = (value.len() as u64).to_le_bytes().to_vec();
    bytes.extend(value.as_bytes());
    bytes
}

/// A whole model of Llama's kind: two layers, matrices in `q8_0` and `q4_0`, norms in f32.
pub fn tiny_llama() -> Parts {
    let entry = |key: &str, kind, value: Vec<u8>| Entry { key: key.to_owned(), kind, value };
    let whole = |key: &str, value: u32| entry(&format!("llama.{key}"), 4, value.to_le_bytes().to_vec());
    let number = |key: &str, value: f32| entry(&format!("llama.{key}"), 6, value.to_le_bytes().to_vec());
    let words: Vec<u8> = ["<s>", "a", "b"].into_iter().flat_map(text).collect();
    let tokens = [8_u32.to_le_bytes().to_vec(), 3_u64.to_le_bytes().to_vec(), words].concat();
    let kinds = [5_u32.to_le_bytes().to_vec(), 3_u64.to_le_bytes().to_vec(), vec![1; 12]].concat();
    let entries = vec![
        entry("general.architecture", 8, text("llama")),
        entry("general.name", 8, text("Tiny")),
        entry("general.alignment", 4, 32_u32.to_le_bytes().to_vec()),
        whole("embedding_length", 32),
        whole("block_count", 2),
        whole("context_length", 64),
        whole("attention.head_count", 4),
        whole("attention.head_count_kv", 2),
        number("attention.layer_norm_rms_epsilon", 1e-5),
        number("rope.freq_base", 10_000.0),
        entry("tokenizer.ggml.tokens", 9, tokens),
        entry("tokenizer.ggml.token_type", 9, kinds),
    ];
    let mut parts = Parts {
        version: 3,
        entry_count: None,
        record_count: None,
        entries,
        records: Vec::new(),
        data: Vec::new(),
    };
    parts.append("token_embd.weight", &[32, 48], Q8_0);
    parts.append("output_norm.weight", &[32], F32);
    parts.append("output.weight", &[32, 48], Q8_0);
    for layer in 0..2 {
        for (name, sizes, kind) in [
            ("attn_norm", &[32][..], F32),
            ("attn_q", &[32, 32], Q4_0),
            ("attn_k", &[32, 16], Q4_0),
            ("attn_v", &[32, 16], Q8_0),
            ("attn_output", &[32, 32], Q4_0),
            ("ffn_norm", &[32], F32),
            ("ffn_gate", &[32, 64], Q4_0),
            ("ffn_up", &[32, 64], Q4_0),
            ("ffn_down", &[64, 32], Q8_0),
        ] {
            parts.append(&format!("blk.{layer}.{name}.weight"), sizes, kind);
        }
    }
    parts
}

impl Parts {
    /// Adds a tensor behind the others.
    pub fn append(&mut self, name: &str, sizes: &[u64], kind: u32) {
        let (name, offset) = (name.to_owned(), self.data.len() as u64);
        let length = bytes_of(kind, sizes.iter().product()).next_multiple_of(32) as usize;
        // Any bytes are blocks of small numbers; 60 and 0 make tiny factors.
        self.data.extend([0, 0x20, 60, 7].into_iter().cycle().take(length));
        self.records.push(Record { name, sizes: sizes.to_vec(), kind, offset });
    }

    pub fn record(&mut self, name: &str) -> &mut Record {
        self.records.iter_mut().find(|record| record.name == name).unwrap()
    }

    pub fn entry(&mut self, key: &str) -> &mut Entry {
        self.entries.iter_mut().find(|entry| entry.key == key).unwrap()
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.record_count.unwrap_or(self.records.len() as u64).to_le_bytes());
        bytes.extend(self.entry_count.unwrap_or(self.entries.len() as u64).to_le_bytes());
        for Entry { key, kind, value } in &self.entries {
            bytes.extend(text(key));
            bytes.extend(kind.to_le_bytes());
            bytes.extend(value);
        }
        for Record { name, sizes, kind, offset } in &self.records {
            bytes.extend(text(name));
            bytes.extend((sizes.len() as u32).to_le_bytes());
            sizes.iter().for_each(|size| bytes.extend(size.to_le_bytes()));
            bytes.extend(kind.to_le_bytes());
            bytes.extend(offset.to_le_bytes());
        }
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes.extend(&self.data);
        bytes
    }
}
