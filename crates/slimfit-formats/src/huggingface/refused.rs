//! Model types that are known and cannot be held by an `Architecture`, with the reason.

const LATENT: &str = "they compress keys and values into a latent vector (multi-head latent attention)";
const STATE: &str = "they mix tokens by a recurrent state, not by attention alone";
const CONVOLUTION: &str = "some of their layers are convolutions";
const MULTIMODAL: &str =
    "they carry a vision or audio tower; put `text_config` alone into a file to count the language model";
const ENCODER: &str = "they have an encoder";

const REFUSED: &[(&str, &str)] = &[
    ("apertus", "their activation (xIELU) has learned parameters"),
    ("bamba", STATE),
    ("bart", ENCODER),
    ("bert", ENCODER),
    ("bitnet", "they store ternary weights and norms inside each branch"),
    ("dbrx", "their experts and clipped projections are laid out in a way of their own"),
    ("deepseek_v2", LATENT),
    ("deepseek_v3", LATENT),
    ("deepseek_v32", LATENT),
    ("ernie4_5_moe", "their router adds a correction bias that is stored but not learned"),
    ("falcon_h1", STATE),
    ("falcon_mamba", STATE),
    ("gemma3", MULTIMODAL),
    ("gemma3n", "their layers have embeddings and a stream of their own"),
    ("gemma4", MULTIMODAL),
    ("glm4_moe", "their router adds a correction bias that is stored but not learned"),
    ("gpt_oss", "their attention has sinks and their experts have biases"),
    ("granitemoehybrid", STATE),
    ("jamba", STATE),
    ("lfm2", CONVOLUTION),
    ("lfm2_moe", CONVOLUTION),
    ("llama4", MULTIMODAL),
    ("llava", MULTIMODAL),
    ("mamba", STATE),
    ("mamba2", STATE),
    ("minicpm3", LATENT),
    ("minimax", STATE),
    ("mistral3", MULTIMODAL),
    ("mllama", MULTIMODAL),
    ("nemotron_h", STATE),
    ("paligemma", MULTIMODAL),
    ("phi4_multimodal", MULTIMODAL),
    ("phimoe", "their router (SparseMixer) jitters its inputs and their head has a bias"),
    ("qwen2_vl", MULTIMODAL),
    ("qwen2_5_vl", MULTIMODAL),
    ("qwen3_next", STATE),
    ("qwen3_vl", MULTIMODAL),
    ("recurrent_gemma", STATE),
    ("rwkv", STATE),
    ("smolvlm", MULTIMODAL),
    ("t5", ENCODER),
    ("whisper", ENCODER),
    ("xlstm", STATE),
    ("zamba", STATE),
    ("zamba2", STATE),
];

/// Why models of this type are not read.
pub(super) fn reason(model_type: &str) -> Option<&'static str> {
    REFUSED.iter().find(|(name, _)| *name == model_type).map(|(_, reason)| *reason)
}
