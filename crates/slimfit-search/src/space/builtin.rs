//! The spaces that are compiled in.

/// `(name, text)`.
pub(super) const SPACES: [(&str, &str); 6] = [
    ("slm-demo", include_str!("../../../../search-spaces/slm-demo.yaml")),
    ("slm-tiny", include_str!("../../../../search-spaces/slm-tiny.yaml")),
    ("slm-edge", include_str!("../../../../search-spaces/slm-edge.yaml")),
    ("slm-1b", include_str!("../../../../search-spaces/slm-1b.yaml")),
    ("slm-huge", include_str!("../../../../search-spaces/slm-huge.yaml")),
    ("slm-layers", include_str!("../../../../search-spaces/slm-layers.yaml")),
];
