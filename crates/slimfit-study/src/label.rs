//! The words for objectives, the same in pages, pictures and cards.

/// What people call an objective.
pub fn objective_label(name: &str) -> String {
    if let Some((quantity, device)) = name.split_once('@') {
        return format!("{}, device {device}", objective_label(quantity));
    }
    match name {
        "loss" => "Loss".to_owned(),
        "loss_per_byte" => "Loss per byte of text".to_owned(),
        "ttft_seconds" => "Time to first token".to_owned(),
        "tpot_seconds" => "Time per token".to_owned(),
        "ttft_p95_seconds" => "Time to first token, 95th percentile".to_owned(),
        "tpot_p95_seconds" => "Time per token, 95th percentile".to_owned(),
        "seconds_per_byte" => "Time per byte of text".to_owned(),
        "memory_bytes" => "Memory".to_owned(),
        "file_bytes" => "File size".to_owned(),
        "joules_per_token" => "Energy per token".to_owned(),
        "training_flops" => "Operations of the training".to_owned(),
        "training_seconds" => "Time of the training".to_owned(),
        "training_cost" => "Price of the training".to_owned(),
        "parameters" => "Parameters".to_owned(),
        other => other.strip_prefix("score_").unwrap_or(other).replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::objective_label;

    #[test]
    fn tasks_and_devices_are_named() {
        for (name, label) in [
            ("tpot_seconds", "Time per token"),
            ("tpot_seconds@2", "Time per token, device 2"),
            ("score_arc_easy", "arc easy"),
            ("new_quantity", "new quantity"),
        ] {
            assert_eq!(objective_label(name), label);
        }
    }
}
