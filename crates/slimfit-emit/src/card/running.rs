//! How to run the model with what lies beside the card, and why some programs cannot.

use super::{Card, ConfigClass, GgufArtefact, text};

pub(super) fn section(card: &Card<'_>) -> String {
    let mut parts = vec!["## How to run\n".to_owned(), transformers(card), llama_cpp(card), slimfit(card)];
    if card.artefacts.kernels {
        let weights = card.artefacts.container.as_ref();
        let weights =
            weights.map_or_else(String::new, |file| format!("; they read `{file}`, which lies here"));
        parts.push(format!(
            "**Kernels** of exactly these shapes, without slimfit or any other runtime{weights}:\n\n{}",
            text::code("sh", "cd kernels && cargo build --release")
        ));
    }
    parts.extend(card.artefacts.container.as_ref().map(|file| container(card, file)));
    parts.join("\n")
}

/// What the container is, and what it is not.
fn container(card: &Card<'_>, file: &str) -> String {
    let why = match &card.artefacts.gguf {
        GgufArtefact::Impossible { reason } => format!(": {reason}"),
        GgufArtefact::Written { file, .. } => format!("; that one's file is `{file}`"),
        GgufArtefact::Possible { .. } => "; `slimfit emit --what gguf` writes a file for that one".to_owned(),
    };
    format!(
        "**`{file}`** holds the weights in slimfit's own container, a GGUF file with the whole architecture in it. slimfit and \
         its kernels read it. **llama.cpp cannot load it**{}.\n\n{}",
        text::sentence(&why),
        text::code("sh", &format!("slimfit measure {file}"))
    )
}

fn transformers(card: &Card<'_>) -> String {
    let artefacts = card.artefacts;
    let (what, trust) = match &artefacts.class {
        ConfigClass::Standard { class, .. } => (format!("builds a `{class}` of exactly this size"), ""),
        ConfigClass::Slimfit { .. } => {
            ("builds it from `modeling_slimfit.py`, which lies here".to_owned(), ", trust_remote_code=True")
        }
    };
    let code = if artefacts.safetensors {
        format!(
            "from transformers import AutoModelForCausalLM\n\nmodel = AutoModelForCausalLM.from_pretrained(\".\"{trust})"
        )
    } else {
        format!(
            "from transformers import AutoConfig, AutoModelForCausalLM\n\nconfig = AutoConfig.from_pretrained(\".\"{trust})\n\
             model = AutoModelForCausalLM.from_config(config{trust})  # initial weights, drawn by transformers"
        )
    };
    let why = match &artefacts.class {
        ConfigClass::Standard { .. } => String::new(),
        ConfigClass::Slimfit { reason } => {
            format!("\n\nWhy it needs a file of its own: {}.", text::sentence(reason))
        }
    };
    format!("**transformers** {what}.{why}\n\n{}", text::code("python", &code))
}

fn llama_cpp(card: &Card<'_>) -> String {
    match &card.artefacts.gguf {
        GgufArtefact::Written { file, family, reads_text } => {
            let untrained = if card.artefacts.given_weights {
                ""
            } else {
                "; with untrained weights that shows its speed, not its words"
            };
            let (without, command) = if *reads_text && card.artefacts.given_weights {
                ("", format!("llama-cli -m {file} -p \"Once upon a time\""))
            } else if *reads_text {
                ("", format!("llama-bench -m {file}"))
            } else {
                (
                    " The file has no tokenizer, so it takes token ids, not text.",
                    format!("llama-bench -m {file}"),
                )
            };
            let code = text::code("sh", &command);
            format!("**llama.cpp** runs it as `{family}`{untrained}.{without}\n\n{code}")
        }
        GgufArtefact::Possible { family } => format!(
            "**llama.cpp** holds it as `{family}`. No GGUF file lies here; its own `convert_hf_to_gguf.py` makes one of \
             trained weights.\n"
        ),
        GgufArtefact::Impossible { reason } => {
            format!(
                "**llama.cpp** cannot run it, and no file for it lies here: {}.\n",
                text::sentence(reason)
            )
        }
    }
}

fn slimfit(card: &Card<'_>) -> String {
    let mut command =
        format!("slimfit measure architecture.json --weights {} --kv {}", card.weights, card.kv);
    if let Some(tokens) = card.facts.use_tokens {
        command.push_str(&format!(
            " --prompt {} --generate {} --depth {}",
            tokens.prompt, tokens.generated, tokens.depth
        ));
    }
    format!(
        "**slimfit** runs it on this machine, beside what it predicts for it; weights are random where none lie here.\n\n{}",
        text::code("sh", &command)
    )
}
