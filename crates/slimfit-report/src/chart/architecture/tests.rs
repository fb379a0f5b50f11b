use super::*;
use slimfit_document::Document;

fn model(text: &str) -> Architecture {
    let model: Architecture = Document::from_str(text, "test.yaml").unwrap().parse().unwrap();
    model.validate().unwrap();
    model
}

fn layer(repeat: u64, more: &str, ffn: &str) -> String {
    format!(
        "{{repeat: {repeat}, attention: {{heads: 8, kv_heads: 2, head_size: 64, rope: {{base: 10000}}{more}}}, ffn: {{{ffn}}}}}"
    )
}

const DENSE: &str = "kind: dense, size: 1536";
const MIXTURE: &str = "kind: moe, experts: 64, top_k: 4, expert_size: 256, shared_size: 512";

fn svg(title: &str, architecture: &Architecture) -> String {
    let picture = ArchitectureDrawing { title, architecture }.draw().unwrap();
    assert_eq!(&picture.png[1..4], b"PNG");
    assert!(!picture.svg.contains("NaN") && !picture.svg.contains("inf"), "{}", picture.svg);
    picture.svg
}

/// What is written on it, piece by piece.
fn texts(svg: &str) -> Vec<String> {
    svg.split("<text")
        .skip(1)
        .filter_map(|part| Some(part.split_once('>')?.1.split("</text>").next()?.trim().to_owned()))
        .collect()
}

fn has(texts: &[String], part: &str) -> bool {
    texts.iter().any(|text| text.contains(part))
}

#[test]
fn equal_layers_are_one_block_with_its_shapes_and_parameters() {
    let text = format!(
        "{{hidden_size: 512, vocabulary_size: 32000, tied_embeddings: true, layers: [{}]}}",
        layer(24, "", DENSE)
    );
    let texts = texts(&svg("Plain", &model(&text)));
    for part in [
        "Plain",
        "×24",
        "GQA: 8 query, 2 key-value heads of 64",
        "q 512×512, k and v 128×512, out 512×512",
        "sees all keys, RoPE 10000",
        "SwiGLU: 512 → 1536 → 512",
        "gate and up 1536×512, down 512×1536",
        "32 000 × 512",
        "tied: the table of the token embedding",
        "none of its own",
        "x + attention(norm(x))",
    ] {
        assert!(has(&texts, part), "{part} in {texts:?}");
    }
    // 2·512² + 2·128·512 + 3·512·1536 + two norms.
    assert!(has(&texts, "3.02M each"), "{texts:?}");
}

#[test]
fn windows_mixtures_and_loops_are_seen() {
    let text = format!(
        "{{hidden_size: 512, vocabulary_size: 32000, layers: [{}, {}, {}, {}], loops: {{first: 12, layers: 4, count: 3}}}}",
        layer(5, ", window: 512", DENSE),
        layer(1, "", DENSE),
        layer(5, ", window: 512", DENSE),
        // Half of these loop.
        layer(5, "", MIXTURE),
    );
    let texts = texts(&svg("Mixed", &model(&text)));
    for part in [
        "sees the last 512 keys",
        "4 of 64 experts of 256",
        "shared part of 512",
        "3 passes",
        "×5",
        "×4",
        "a token visits",
    ] {
        assert!(has(&texts, part), "{part} in {texts:?}");
    }
}

#[test]
fn many_kinds_of_layers_are_short_and_too_many_are_counted() {
    let layers = |count: u64| {
        let each = |place: u64| layer(1, "", &format!("kind: dense, size: {}", 256 + 32 * place));
        let layers: Vec<String> = (0..count).map(each).collect();
        model(&format!("{{hidden_size: 512, vocabulary_size: 32000, layers: [{}]}}", layers.join(", ")))
    };
    let twenty = svg("Twenty", &layers(20));
    let words = texts(&twenty);
    assert!(has(&words, "SwiGLU of 864") && !has(&words, "more layers"), "{words:?}");
    let hundred = svg("Hundred", &layers(100));
    let words = texts(&hundred);
    assert!(has(&words, "64 more layers of 64 more kinds"), "{words:?}");
    let height =
        |svg: &str| svg.split("height=\"").nth(1).unwrap().split('"').next().unwrap().parse::<u32>().unwrap();
    assert!(height(&hundred) < 2500, "{}", height(&hundred));
}

#[test]
fn names_of_anyone_are_text_and_end_at_the_edge() {
    let text = format!("{{hidden_size: 512, vocabulary_size: 32000, layers: [{}]}}", layer(2, "", DENSE));
    let name = format!("<b onload=\"x\">&amp; {}", "very long ".repeat(40));
    let drawn = svg(&name, &model(&text));
    assert!(!drawn.contains("<b onload"), "{drawn}");
    assert!(drawn.contains("&lt;b onload"), "{drawn}");
    assert!(texts(&drawn)[0].ends_with('…'), "{:?}", texts(&drawn)[0]);
}
