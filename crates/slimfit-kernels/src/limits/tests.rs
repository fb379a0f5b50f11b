//! Tests of the limit loops: each does exactly the work it says. None asserts a time.

use super::*;
use crate::Isa;

fn words(count: usize) -> Vec<f64> {
    // Odd multiples, so that a word read twice or not at all changes the checksum.
    (0..count as u64).map(|word| f64::from_bits(word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 2 | 1)).collect()
}

#[test]
fn reads_take_every_word_once() {
    for read in READS.iter().filter(|read| read.isa.is_available()) {
        println!("{}", read.name);
        for count in [0, 1, 7, 8, 63, 64, 65, 127, 128, 255, 256, 257, 1_000, 4_099] {
            let buffer = words(count);
            let expected = buffer.iter().fold(0, |bits, word| bits ^ word.to_bits());
            assert_eq!(read.run(&buffer, 1), expected, "{} of {count} words", read.name);
            assert_eq!(read.run(&buffer, 3), expected, "{} of {count} words", read.name);
            assert_eq!(read.run(&buffer, 2), 0, "{} of {count} words", read.name);
        }
    }
}

#[test]
fn strided_reads_take_every_word_once() {
    for read in STRIDED.iter().filter(|read| read.isa.is_available()) {
        println!("{}", read.name);
        for count in [0, 1, 127, 128, 129, 255, 256, 1_000, 4_099] {
            let buffer = words(count);
            let expected = buffer.iter().fold(0, |bits, word| bits ^ word.to_bits());
            assert_eq!(read.run(&buffer, 1), expected, "{} of {count} words", read.name);
            assert_eq!(read.run(&buffer, 2), 0, "{} of {count} words", read.name);
        }
    }
}

#[test]
fn copies_and_triads_write_every_word() {
    for count in [0, 1, 15, 16, 17, 31, 32, 33, 1_000] {
        let (b, c) = (words(count), vec![0.5; count]);
        let b: Vec<f64> = b.iter().map(|word| (word.to_bits() % 1_024) as f64).collect();
        for copy in COPIES.iter().filter(|copy| copy.isa.is_available()) {
            let mut to = vec![f64::NAN; count];
            copy.run(&mut to, &b, 1);
            assert_eq!(to, b, "{} of {count}", copy.name);
        }
        for triad in TRIADS.iter().filter(|triad| triad.isa.is_available()) {
            let mut to = vec![f64::NAN; count];
            triad.run(&mut to, &b, &c, 3.0, 2);
            let expected: Vec<f64> = b.iter().map(|b| b + 1.5).collect();
            assert_eq!(to, expected, "{} of {count}", triad.name);
        }
    }
}

#[test]
fn peaks_do_the_multiply_adds_they_count() {
    for peak in PEAKS.iter().filter(|peak| peak.isa.is_available()) {
        println!("{}", peak.name());
        for iterations in [1, 2, 1_001] {
            let run = peak.run(iterations);
            assert_eq!(run.operations, iterations * peak.operations);
            assert_eq!(run.checksum, (run.operations / 2) as f64, "{} x {iterations}", peak.name());
        }
    }
}

#[test]
fn every_type_has_a_peak_loop_at_the_best_tier_that_ends_in_full_width() {
    for type_name in ["f32", "f64", "int8"] {
        let found = PEAKS
            .iter()
            .any(|peak| peak.type_name == type_name && peak.isa.is_available() && !peak.four_bit_only);
        assert!(found, "{type_name}");
    }
    let names: std::collections::BTreeSet<String> = PEAKS.iter().map(PeakLoop::name).collect();
    assert_eq!(names.len(), PEAKS.len());
    let unavailable = PEAKS.iter().find(|peak| !peak.isa.is_available());
    if let Some(peak) = unavailable {
        assert!(std::panic::catch_unwind(|| peak.run(1)).is_err());
    }
    assert!(Isa::Portable.is_available());
}

#[test]
fn the_chain_counts_its_additions() {
    for count in [0, 1, 64, 65, 1_000_000] {
        let done = dependent_adds(count);
        assert!(done >= count && done < count + 64);
    }
}

#[test]
fn the_cycle_visits_every_line_once() {
    for lines in [1, 2, 3, 64, 1_000] {
        let mut buffer = Buffer::new(lines * LINE_BYTES, HugePages::Advise).unwrap();
        assert_eq!(link_cycle(buffer.as_usize_mut(), 7), lines);
        let mut seen = vec![false; lines];
        let mut position = 0;
        for _ in 0..lines {
            position = walk_cycle(buffer.as_usize(), position, 1);
            assert!(!std::mem::replace(&mut seen[position / 8], true), "{lines} lines");
        }
        assert_eq!(position, 0);
        assert_eq!(walk_cycle(buffer.as_usize(), 0, lines), 0);
    }
}

#[test]
fn buffers_are_aligned_zeroed_and_of_the_size_asked_for() {
    for pages in [HugePages::Never, HugePages::Advise] {
        let mut buffer = Buffer::new(1_000_000, pages).unwrap();
        assert_eq!(buffer.bytes(), 1_000_000);
        assert_eq!(buffer.as_f64().as_ptr().addr() % 4_096, 0);
        assert!(buffer.as_f64().iter().all(|&word| word == 0.0));
        buffer.as_f64_mut().fill(1.0);
        assert_eq!(buffer.as_usize()[124_999], 0x3FF0_0000_0000_0000);
    }
}
