//! How many tokens are computed: what a count may be, and the contexts at which many models are timed.

/// More than any model's context; counts of bytes and operations stay whole numbers up to here.
const MOST_TOKENS: u64 = 1 << 24;

/// Contexts at which models are timed.
#[derive(Debug, clap::Args)]
pub struct TimedArguments {
    /// Tokens of the prompts whose prefill is timed.
    #[arg(long, value_delimiter = ',', default_value = "128", value_parser = some_tokens)]
    pub prompt: Vec<u64>,
    /// Tokens in the cache at which decoding is timed.
    #[arg(long, value_delimiter = ',', default_value = "128,1024", value_parser = tokens)]
    pub depth: Vec<u64>,
}

/// A number of tokens, or none.
pub fn tokens(text: &str) -> Result<u64, String> {
    at_least(0, text)
}

/// One token or more.
pub fn some_tokens(text: &str) -> Result<u64, String> {
    at_least(1, text)
}

fn at_least(least: u64, text: &str) -> Result<u64, String> {
    let found = text.trim().parse::<u64>().ok().filter(|found| (least..=MOST_TOKENS).contains(found));
    found.ok_or_else(|| format!("not a number of tokens; write a whole number from {least} to {MOST_TOKENS}"))
}
