//! How fast this model runs here, and which share of the read bandwidth it takes: `cargo bench`.
//!
//! `cargo bench -- [--gguf FILE] [--threads N] [--depth D]`. Reads of as many bytes as a token takes alternate with decoding,
//! so that both meet the same neighbours.

use kernels_sample::limits::{Buffer, HugePages, READS};
use kernels_sample::pool::Pool;
use kernels_sample::{CONTEXT, Isa, KEY_BYTES, Model, VOCABULARY, WEIGHT_BYTES};
use std::time::{Duration, Instant};

/// The model.
const MODEL: &str = "sample";
/// Rounds of both.
const ROUNDS: usize = 9;
/// How long one takes.
const ROUND: Duration = Duration::from_millis(150);
const PROMPT: usize = 128;

fn main() {
    if let Err(message) = run() {
        eprintln!("{message}");
        std::process::exit(2);
    }
}

fn run() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let (mut gguf, mut threads, mut depth) = (None, 2, 0);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("`{argument}` wants a value"));
        let number = |text: String| text.parse::<usize>().map_err(|error| format!("`{text}`: {error}"));
        match argument.as_str() {
            "--gguf" => gguf = Some(value()?),
            "--threads" => threads = number(value()?)?,
            "--depth" => depth = number(value()?)?,
            // Cargo's own.
            "--bench" => {}
            other => return Err(format!("unknown argument `{other}`: --gguf FILE, --threads N, --depth D")),
        }
    }
    let opened = match &gguf {
        Some(path) => Model::open(path, threads),
        None => Model::seeded(1, threads),
    };
    let mut model = opened.map_err(|error| error.to_string())?;
    let prompt: Vec<u32> = (0..PROMPT.min(CONTEXT)).map(|place| (place % VOCABULARY) as u32).collect();
    let steps = 64.min(CONTEXT.saturating_sub(depth));
    if steps == 0 {
        return Err(format!("`--depth {depth}` leaves no room in a context of {CONTEXT}"));
    }
    let text: Vec<u32> = (0..depth).map(|place| (place % VOCABULARY) as u32).collect();
    let bytes = WEIGHT_BYTES + depth * KEY_BYTES;
    let (isa, megabytes) = (model.isa(), bytes / 1_000_000);
    println!("{MODEL}: {isa}, {threads} threads, {megabytes} MB a token at depth {depth}");

    let (mut reads, mut decodes, mut prefills) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        reads.push(read_rate(bytes, threads)?);
        decodes.push(decode_rate(&mut model, &text, steps)?);
        reads.push(read_rate(bytes, threads)?);
        model.reset();
        let start = Instant::now();
        model.prefill(&prompt).map_err(|error| error.to_string())?;
        prefills.push(prompt.len() as f64 / start.elapsed().as_secs_f64());
    }
    let (read, decode, prefill) = (median(reads), median(decodes), median(prefills));
    let share = decode * bytes as f64 / read;
    println!("read bandwidth    {:9.2} GB/s", read / 1e9);
    println!("decode            {decode:9.1} tokens/s, {share:.2} of the roofline");
    println!("prefill of {:5}  {prefill:9.1} tokens/s", prompt.len());
    Ok(())
}

/// Tokens decoded a second.
fn decode_rate(model: &mut Model, text: &[u32], steps: usize) -> Result<f64, String> {
    let (mut seconds, mut tokens) = (0.0, 0);
    while seconds < ROUND.as_secs_f64() {
        model.reset();
        if !text.is_empty() {
            model.prefill(text).map_err(|error| error.to_string())?;
        }
        let start = Instant::now();
        for step in 0..steps {
            model.decode_step((step % VOCABULARY) as u32).map_err(|error| error.to_string())?;
        }
        seconds += start.elapsed().as_secs_f64();
        tokens += steps;
    }
    Ok(f64::from(u32::try_from(tokens).unwrap_or(u32::MAX)) / seconds)
}

/// Bytes read a second of so many, by the best loop that this processor has.
fn read_rate(bytes: usize, threads: usize) -> Result<f64, String> {
    let share = bytes.div_ceil(threads).max(1 << 14);
    let buffers: Result<Vec<Buffer>, _> =
        (0..threads).map(|_| Buffer::new(share, HugePages::Advise)).collect();
    let buffers = buffers.map_err(|error| format!("no memory to read: {error}"))?;
    let pool = Pool::new(threads).map_err(|error| error.to_string())?;
    let best = Isa::best();
    let mut fastest: f64 = 0.0;
    for read in READS.iter().filter(|read| read.isa.is_available() && read.isa <= best && read.streams == 4) {
        let passes = (ROUND.as_secs_f64() / 3.0 * 2e10 / bytes as f64).ceil().max(1.0) as usize;
        let start = Instant::now();
        pool.run(|worker| {
            std::hint::black_box(read.run(buffers[worker.index].as_f64(), passes));
        });
        fastest = fastest.max((share * threads * passes) as f64 / start.elapsed().as_secs_f64());
    }
    Ok(fastest)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
