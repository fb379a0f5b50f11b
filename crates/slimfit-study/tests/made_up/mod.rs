//! Made-up records: fronts and requests of no real search.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use slimfit_arch::Architecture;
use slimfit_quantity::{NumberFormat, Source, Warning};
use slimfit_study::{
    CloudPoint, Constraint, Explanation, FRONT_SCHEMA, Front, FrontPoint, Input, InputKind, Interval,
    NamedHash, Natural, Objective, ParameterCounts, ProfileRef, RecipeRef, ReferenceModel, SearchHead,
    SearchRequest,
};
use std::collections::BTreeMap;

pub const OBJECTIVES: [&str; 4] = ["loss", "tpot_seconds", "memory_bytes", "joules_per_token"];

/// A request for a search that no program makes.
pub fn request(seed: u64) -> SearchRequest {
    SearchRequest {
        program_version: "0.0.0-test".to_owned(),
        inputs: vec![
            Input::new(InputKind::Profile, "made-up board", "schema: profile\n"),
            Input::new(InputKind::Space, "made-up space", "schema: space\n"),
        ],
        engine: "slimfit".to_owned(),
        tokens: 2_000_000_000,
        objectives: OBJECTIVES.map(str::to_owned).to_vec(),
        limits: vec![Constraint { name: "memory_bytes".to_owned(), limit: 5e8 }],
        seed,
        sample: 100,
        settings: String::new(),
    }
}

/// A front of so many points.
pub fn front(points: usize) -> Front {
    let hash = |text: &str| slimfit_document::sha256_hex(text.as_bytes());
    Front {
        schema: FRONT_SCHEMA.to_owned(),
        head: SearchHead {
            assume: Vec::new(),
            portable: Some(vec!["hf".to_owned()]),
            existing: slimfit_study::Candidates::default(),
            space: NamedHash { name: "made-up space".to_owned(), sha256: hash("schema: space\n") },
            profile: ProfileRef {
                fingerprint_id: "0123456789ab".to_owned(),
                sha256: hash("schema: profile\n"),
                name: "made-up board".to_owned(),
            },
            profiles: Vec::new(),
            engine: "slimfit".to_owned(),
            workload: "assistant".to_owned(),
            recipe: RecipeRef { name: "published".to_owned(), tokens: 2_000_000_000 },
            objectives: OBJECTIVES
                .iter()
                .map(|name| Objective {
                    name: (*name).to_owned(),
                    unit: "1".to_owned(),
                    direction: "min".to_owned(),
                    by_device: None,
                })
                .collect(),
            constraints: Vec::new(),
            quality: None,
            quality_table: None,
            anchors: Vec::new(),
            training: None,
            measured_search: None,
            space_size: Natural::from(1_000_000_u64),
            invalid: Natural::from(1000_u64),
            invalid_by: Vec::new(),
            evaluated: Natural::from(999_000_u64),
            pruned: Vec::new(),
            unvisited: Natural::from(0_u64),
            exact: true,
            epsilon: Some(0.0),
            seconds: 1.5,
            peak_memory_bytes: Some(1 << 20),
            front_size: points as u64,
            tie_groups: Some(1 + points as u64 / 3),
            nearest_miss: None,
            study: None,
            warnings: vec![Warning::new("made-up", "nothing of this was searched")],
        },
        points: (0..points as u64).map(point).collect(),
    }
}

/// A point: sliding windows in most layers, so that an architecture has many entries.
pub fn point(number: u64) -> FrontPoint {
    let heads = 4 + number % 7;
    let layer = |window: &str| {
        format!(
            r#"{{"attention":{{"heads":{heads},"kv_heads":{heads},"head_size":64{window},"rope":{{"base":1000000.0}},"qk_norm":"per_head"}},"ffn":{{"kind":"dense","size":{}}}}}"#,
            1024 + 64 * (number % 53)
        )
    };
    let pair = format!("{},{}", layer(r#","window":512"#), layer(""));
    let text = format!(
        r#"{{"hidden_size":{},"vocabulary_size":32768,"tied_embeddings":true,"layers":[{}]}}"#,
        64 * heads,
        vec![pair; 4 + (number % 6) as usize].join(",")
    );
    let architecture: Architecture = serde_json::from_str(&text).unwrap();
    let counts = architecture.parameters();
    let values: BTreeMap<String, f64> = OBJECTIVES
        .iter()
        .enumerate()
        .map(|(place, name)| ((*name).to_owned(), (1.0 + number as f64).sqrt() / (place as f64 + 0.7)))
        .collect();
    FrontPoint {
        id: format!("{number:012x}"),
        weights: if number.is_multiple_of(2) { NumberFormat::Q8_0 } else { NumberFormat::Q4_0 },
        kv: NumberFormat::F16,
        parameters: ParameterCounts {
            total: counts.total,
            non_embedding: counts.non_embedding,
            embedding: counts.embedding,
            active: counts.active,
        },
        threads: 1 + (number % 4) as u32,
        intervals: values
            .iter()
            .filter(|(name, _)| *name != "memory_bytes" || number != 3)
            .map(|(name, value)| (name.clone(), Interval { low: value * 0.9, high: value * 1.1 }))
            .collect(),
        relative_noise: BTreeMap::new(),
        sources: if number == 1 {
            BTreeMap::from([("loss".to_owned(), Source::Measured)])
        } else {
            BTreeMap::new()
        },
        objectives: values,
        architecture,
        tie_group: number / 3,
        representative: number.is_multiple_of(3),
        picks: if number == 2 { vec!["knee".to_owned()] } else { Vec::new() },
        flags: vec!["assumed-window".to_owned()],
        by_device: Vec::new(),
    }
}

/// A sample of dominated points.
pub fn cloud(points: usize) -> Vec<CloudPoint> {
    (0..points)
        .map(|place| CloudPoint { parameters: 1e6 + place as f64, objectives: vec![0.1 * place as f64; 4] })
        .collect()
}

/// Where a prediction's time goes, without terms.
pub fn explanation(id: &str) -> Explanation {
    Explanation {
        id: id.to_owned(),
        phase: "decode".to_owned(),
        tokens: 1,
        depth_tokens: 128,
        threads: 2,
        seconds: 0.01,
        operations: Vec::new(),
    }
}

/// A reference mark.
pub fn reference(name: &str) -> ReferenceModel {
    ReferenceModel {
        name: name.to_owned(),
        parameters: 135_000_000,
        weights: "q8_0".to_owned(),
        threads: 2,
        objectives: BTreeMap::from([("loss".to_owned(), 3.0)]),
        training_tokens: None,
        scores: Vec::new(),
    }
}
