//! The published tables, each as runs of the fits or as plain rows.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use slimfit_quality::Shape;
use slimfit_quality::fit::TrainingRun;
use std::collections::BTreeMap;
use std::path::Path;

/// Vocabulary of Morph's tokenizer, padded as it was trained.
const MORPH_VOCABULARY: u64 = 50_432;
/// Tokens of every Clark 2022 run: its steps times its batch. All alike, so it moves no comparison.
const CLARK_TOKENS: u64 = 130_000_000_000;

/// Everything that is read.
pub struct Data {
    /// 22 shapes at many lengths; groups are shapes, scores included.
    pub gemstones: Vec<TrainingRun>,
    /// Groups are training budgets: one size at one length, deep to wide.
    pub morph: Vec<TrainingRun>,
    /// Dense and S-Base models of Clark 2022; groups are dense sizes.
    pub clark: Vec<TrainingRun>,
    /// Dense shapes and experts of StepLaw; groups are shapes or arrangements of experts, the latter's begin with `moe`.
    pub steplaw: Vec<TrainingRun>,
    /// Groups are corpora.
    pub open_lm: Vec<OpenLm>,
    /// All settings.
    pub published: Vec<Published>,
    /// Checkpoints of Pythia.
    pub pythia: Vec<Pythia>,
    /// GPT-2 and Transformer-XL on WikiText-103.
    pub lts: BTreeMap<&'static str, Vec<TrainingRun>>,
}

#[derive(Deserialize)]
struct Gemstone {
    width: u64,
    depth: u64,
    tokens: f64,
    loss_fineweb_edu: Option<f64>,
    lr: String,
    heads: u64,
    kv_heads: u64,
    ffn: u64,
    vocab: u64,
    params_nonembed_calc: u64,
    arc_challenge: Option<f64>,
    arc_easy: Option<f64>,
    commonsense_qa: Option<f64>,
    hellaswag: Option<f64>,
    openbookqa: Option<f64>,
    piqa: Option<f64>,
    winogrande: Option<f64>,
}

#[derive(Deserialize)]
struct Morph {
    layers: u64,
    hidden: u64,
    params_total: u64,
    tokens: u64,
    mult: String,
    loss: f64,
}

#[derive(Deserialize)]
struct Clark {
    loss_validation: f64,
    num_experts: u64,
    d_model: u64,
    num_blocks: u64,
    k: u64,
    router_type: String,
    routing_frequency: f64,
    total_parameter_count: f64,
    dense_parameter_count: f64,
    model_size_label: String,
}

#[derive(Deserialize)]
struct StepLaw {
    hidden: u64,
    ffn: u64,
    layers: u64,
    params_nonembed_total: u64,
    params_nonembed_active: u64,
    tokens: u64,
    loss_best: f64,
    kind: String,
    experts: u64,
}

/// A model of open_lm.
#[derive(Debug, Clone, Deserialize)]
pub struct OpenLm {
    /// The corpus.
    pub dataset: String,
    /// Fraction of right answers, ten shots.
    pub hellaswag: f64,
    /// The mean of 46 tasks.
    pub avg46: f64,
    /// Nats per token of C4.
    pub loss_c4_val: f64,
}

/// A published model in one setting of evaluation.
#[derive(Debug, Clone, Deserialize)]
pub struct Published {
    /// Models of one maker and recipe.
    pub family: String,
    /// Non-embedding parameters.
    pub params_nonembed: f64,
    /// All parameters.
    pub params_total: f64,
    /// Layers.
    pub layers: u64,
    /// Width.
    pub hidden: u64,
    /// Vocabulary.
    pub vocab: u64,
    /// Billions of training tokens.
    #[serde(rename = "train_tokens_B")]
    pub train_tokens_billions: Option<f64>,
    /// How it was evaluated.
    pub eval_setting: String,
    /// Percent.
    pub hellaswag: Option<f64>,
    /// Percent.
    pub arc_challenge: Option<f64>,
    /// Percent.
    pub winogrande: Option<f64>,
}

impl Published {
    /// The score of a task, percent.
    pub fn score(&self, task: &str) -> Option<f64> {
        match task {
            "hellaswag" => self.hellaswag,
            "arc_challenge" => self.arc_challenge,
            "winogrande" => self.winogrande,
            _ => None,
        }
    }

    /// As the law sees it.
    pub fn run(&self) -> Option<TrainingRun> {
        let tokens = (self.train_tokens_billions? * 1e9) as u64;
        let shape = shape(
            self.params_nonembed as u64,
            self.params_nonembed as u64,
            (self.params_total - self.params_nonembed).max(0.0) as u64,
            (self.hidden, self.layers, self.vocab),
        );
        Some(run(shape, 4.0 * self.hidden as f64, tokens, f64::NAN, self.family.clone()))
    }
}

/// A checkpoint of Pythia.
#[derive(Debug, Clone, Deserialize)]
pub struct Pythia {
    /// The model.
    pub model: String,
    layers: u64,
    hidden: u64,
    vocab: u64,
    params_nonembed: f64,
    /// Billions of tokens up to this checkpoint.
    #[serde(rename = "tokens_B")]
    pub tokens_billions: f64,
    /// Fraction of right answers.
    pub lambada_acc: f64,
    /// Likewise.
    pub piqa: f64,
    /// Likewise.
    pub arc_easy: f64,
}

impl Pythia {
    /// As the law sees it.
    pub fn run(&self) -> TrainingRun {
        let stored = self.params_nonembed as u64;
        let shape =
            shape(stored, stored, 2 * self.vocab * self.hidden, (self.hidden, self.layers, self.vocab));
        let tokens = (self.tokens_billions * 1e9) as u64;
        run(shape, 4.0 * self.hidden as f64, tokens, f64::NAN, self.model.clone())
    }
}

#[derive(Deserialize)]
struct Lts {
    exp: String,
    n_layer: u64,
    d_model: u64,
    d_embed: u64,
    d_inner: String,
    n_token: u64,
    params_nonemb: f64,
    params_emb: f64,
    test_ppl: Option<f64>,
}

impl Data {
    /// Reads all tables.
    ///
    /// # Errors
    /// A folder or a file is missing, or a row does not fit its head.
    pub fn read(folder: &Path, lts: &Path) -> Result<Self> {
        for (name, folder) in [("--data", folder), ("--lts", lts)] {
            anyhow::ensure!(
                folder.is_dir(),
                "the folder of published runs `{}` ({name}) does not exist; nothing was scored",
                folder.display()
            );
        }
        let gemstones: Vec<Gemstone> = table(folder, "gemstones.csv")?;
        let morph: Vec<Morph> = table(folder, "morph-shape-loss.csv")?;
        let clark: Vec<Clark> = table(folder, "routing-clark2022-final.csv")?;
        let steplaw: Vec<StepLaw> = table(folder, "steplaw-best-loss.csv")?;
        let lts_rows: Vec<Lts> = table(lts, "lts-wt103-random.csv")?;
        let suite = |exp: &str| lts_rows.iter().filter(|row| row.exp == exp).filter_map(Lts::run).collect();
        Ok(Self {
            gemstones: gemstones.iter().filter_map(Gemstone::run).collect(),
            morph: morph.iter().map(Morph::run).collect(),
            clark: clark.iter().filter_map(Clark::run).collect(),
            steplaw: steplaw.iter().map(StepLaw::run).collect(),
            open_lm: table(folder, "open-lm-scaling.csv")?,
            published: table(folder, "published-slms.csv")?,
            pythia: table(folder, "pythia-checkpoints-zeroshot.csv")?,
            lts: BTreeMap::from([
                ("GPT-2", suite("random_GPT2_wt103")),
                ("Transformer-XL", suite("random_TransXL_wt103")),
            ]),
        })
    }
}

fn table<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Vec<T>> {
    let path = folder.join(name);
    let mut reader = csv::Reader::from_path(&path).with_context(|| format!("`{}`", path.display()))?;
    let rows: Result<Vec<T>, csv::Error> = reader.deserialize().collect();
    let rows = rows.with_context(|| format!("`{}`", path.display()))?;
    anyhow::ensure!(!rows.is_empty(), "`{}` holds no row", path.display());
    Ok(rows)
}

/// What the law reads of a model whose heads and windows play no part.
fn shape(
    non_embedding: u64,
    active: u64,
    embedding: u64,
    (hidden_size, layers, vocabulary_size): (u64, u64, u64),
) -> Shape {
    Shape {
        non_embedding,
        active,
        embedding,
        looped: None,
        hidden_size,
        layers,
        vocabulary_size,
        heads_per_kv_head: 1,
        single_kv_head: false,
        ffn_low: 4.0,
        ffn_high: 4.0,
        window: None,
        global_layers: layers,
        experts: 1,
        per_layer: false,
    }
}

fn run(shape: Shape, ffn_size: f64, tokens: u64, loss: f64, group: String) -> TrainingRun {
    TrainingRun {
        shape,
        ffn_size,
        embedding_size: shape.hidden_size,
        tokens,
        loss,
        scores: BTreeMap::new(),
        group,
    }
}

impl Gemstone {
    /// Nothing for rows of other schedules, whose losses are of the training text.
    fn run(&self) -> Option<TrainingRun> {
        let loss = self.loss_fineweb_edu.filter(|_| self.lr == "constant")?;
        let stored = self.params_nonembed_calc;
        let mut shape =
            shape(stored, stored, 2 * self.vocab * self.width, (self.width, self.depth, self.vocab));
        shape.heads_per_kv_head = self.heads / self.kv_heads;
        let group = format!("{}x{}", self.width, self.depth);
        let mut run = run(shape, self.ffn as f64, self.tokens as u64, loss, group);
        let scores = [
            ("arc_challenge", self.arc_challenge),
            ("arc_easy", self.arc_easy),
            ("commonsense_qa", self.commonsense_qa),
            ("hellaswag", self.hellaswag),
            ("openbookqa", self.openbookqa),
            ("piqa", self.piqa),
            ("winogrande", self.winogrande),
        ];
        let scores = scores.into_iter();
        run.scores = scores.filter_map(|(task, score)| Some((task.to_owned(), 100.0 * score?))).collect();
        Some(run)
    }
}

impl Morph {
    fn run(&self) -> TrainingRun {
        let embedding = 2 * MORPH_VOCABULARY * self.hidden;
        let stored = self.params_total - embedding;
        let shape = shape(stored, stored, embedding, (self.hidden, self.layers, MORPH_VOCABULARY));
        // Variants of one size are those trained on as many tokens for the same multiple of their size.
        let budget = self.tokens / self.mult.trim_end_matches('N').parse::<u64>().unwrap_or(1);
        run(shape, 4.0 * self.hidden as f64, self.tokens, self.loss, format!("{budget}"))
    }
}

impl Clark {
    /// Nothing for routers other than S-Base, and for other frequencies and numbers of chosen experts.
    fn run(&self) -> Option<TrainingRun> {
        let plain = self.router_type == "Dense" || self.router_type == "S-Base";
        if !plain || self.routing_frequency != 0.5 || self.k != 1 {
            return None;
        }
        let (total, active) = (self.total_parameter_count as u64, self.dense_parameter_count as u64);
        let mut shape = shape(total, active, 0, (self.d_model, self.num_blocks, 32_000));
        shape.experts = self.num_experts;
        Some(run(
            shape,
            4.0 * self.d_model as f64,
            CLARK_TOKENS,
            self.loss_validation,
            self.model_size_label.clone(),
        ))
    }
}

impl StepLaw {
    fn run(&self) -> TrainingRun {
        let (total, active) = (self.params_nonembed_total, self.params_nonembed_active);
        let mut shape = shape(total, active, 0, (self.hidden, self.layers, 65_536));
        shape.experts = self.experts.max(1);
        let group = format!("{} {}x{}", self.kind, self.hidden, self.layers);
        run(shape, self.ffn as f64, self.tokens, self.loss_best, group)
    }
}

impl Lts {
    /// Nothing for models without a result.
    fn run(&self) -> Option<TrainingRun> {
        let inner: Vec<f64> = self.d_inner.split('-').filter_map(|width| width.parse().ok()).collect();
        let stored = self.params_nonemb as u64;
        let shape = shape(stored, stored, self.params_emb as u64, (self.d_model, self.n_layer, self.n_token));
        let mean = inner.iter().sum::<f64>() / inner.len() as f64;
        let mut run = run(shape, mean, 1, self.test_ppl?.ln(), String::new());
        run.embedding_size = self.d_embed;
        Some(run)
    }
}
