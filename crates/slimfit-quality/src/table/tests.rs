//! Rows that are architectures, and rows that are none.

use super::*;
use slimfit_arch::{Architecture, FeedForward, Loops};

fn read(text: &str) -> Result<Architecture, DocumentError> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let columns = Columns::read(&reader.headers().unwrap().clone(), &[], None)?;
    let record = reader.records().next().unwrap().unwrap();
    columns.row(&record)?.architecture()
}

const DENSE: &str = "layers,hidden_size,heads,ffn,vocabulary_size\n";

#[test]
fn what_is_left_out_takes_its_default() {
    let short = read(&format!("{DENSE}24,1024,16,4096,50304")).unwrap();
    let long = read(
        "layers,hidden_size,heads,kv_heads,head_size,ffn,gated,experts,top_k,window,vocabulary_size,\
         tied_embeddings,embedding_size,loops\n24.0,1024,16,16,64,4096,True,1,1,0,50304,0,1024,1",
    );
    assert_eq!(short, long.unwrap());
    assert_eq!((short.depth(), short.layers.len()), (24, 1));
    assert!(short.validate().is_ok());
}

#[test]
fn layers_of_unlike_shape_fold_into_runs() {
    let head = "layers,hidden_size,heads,kv_heads,head_size,ffn,vocabulary_size\n";
    let found = read(&format!("{head}4,1280,12;16*3,3;4*3,64,768;1536;2048*2,32000")).unwrap();
    let runs: Vec<_> = found.layers.iter().map(|run| (run.repeat, run.attention.heads)).collect();
    assert_eq!(runs, [(1, 12), (1, 16), (2, 16)]);
    assert!(found.validate().is_ok());
    for wrong in ["12;16*2", "12;16*4", "12;;16", "12*0", "12;16*18446744073709551615"] {
        let error = read(&format!("{head}4,1280,{wrong},4,64,768,32000")).unwrap_err();
        assert_eq!(error.field.as_deref(), Some("heads"), "{wrong}: {error}");
    }
}

#[test]
fn experts_windows_and_loops() {
    let head = "layers,hidden_size,heads,ffn,experts,top_k,expert_size,shared_size,window,full_every,\
                vocabulary_size,loops,loop_first,loop_layers\n";
    let found = read(&format!("{head}12,768,12,3072,1;8*11,2,1024,512,1024,6,50304,3,2,8")).unwrap();
    assert!(matches!(found.layers[0].ffn, FeedForward::Dense(_)));
    let global = found.each_layer().enumerate().filter(|(_, run)| run.attention.window.is_none());
    assert_eq!(global.map(|(layer, _)| layer).collect::<Vec<_>>(), [5, 11]);
    assert_eq!(found.loops, Some(Loops { first: 2, layers: 8, count: 3, immediate: false }));
    assert!(found.validate().is_ok());
}

#[test]
fn wrong_cells_name_their_column() {
    let wide =
        "layers,hidden_size,heads,kv_heads,ffn,gated,experts,top_k,expert_size,vocabulary_size,loops\n";
    for (text, field) in [
        (format!("{DENSE},1024,16,4096,50304"), "layers"),
        (format!("{DENSE}65537,1024,16,4096,50304"), "layers"),
        (format!("{DENSE}24,1024,16,,50304"), "ffn"),
        (format!("{DENSE}24,1024,16,4096.5,50304"), "ffn"),
        (format!("{DENSE}24,1000,16,4096,50304"), "head_size"),
        (format!("{DENSE}24,1024,0,4096,50304"), "head_size"),
        (format!("{wide}24,1024,16,nan,4096,,,,,50304,"), "kv_heads"),
        (format!("{wide}24,1024,16,,4096,maybe,,,,50304,"), "gated"),
        (format!("{wide}24,1024,16,,4096,,8,2,512,50304,"), "ffn"),
        (format!("{wide}24,1024,16,,,,8,,512,50304,"), "top_k"),
        (format!("{wide}24,1024,16,,,,8,2,,50304,"), "expert_size"),
        (format!("{wide}24,1024,16,,4096,,,,512,50304,"), "expert_size"),
        (format!("{wide}24,1024,16,,4096,,,,,50304,0"), "loops"),
    ] {
        let error = read(&text).unwrap_err();
        assert_eq!(error.field.as_deref(), Some(field), "{text}: {error}");
    }
    let error = read(&format!("{DENSE}24,1024,16")).unwrap_err();
    assert_eq!(error.code, "row-length");
}

#[test]
fn unknown_and_doubled_columns_are_refused() {
    let error = read("layers,hidden\n1,2").unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("did you mean `hidden_size`?"));
    let error = read("layers,layers\n1,2").unwrap_err();
    assert_eq!(error.code, "duplicate-column");
}
