//! What of a model is timed where many models are run: arguments that several commands share.

/// Contexts at which models are timed.
#[derive(Debug, clap::Args)]
pub struct TimedArguments {
    /// Tokens of the prompts whose prefill is timed.
    #[arg(long, value_delimiter = ',', default_value = "128")]
    pub prompt: Vec<u64>,
    /// Tokens in the cache at which decoding is timed.
    #[arg(long, value_delimiter = ',', default_value = "128,1024")]
    pub depth: Vec<u64>,
}
