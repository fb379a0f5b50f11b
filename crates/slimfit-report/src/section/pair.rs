//! Compare: two models of the front side by side, filled by the page's script.

use crate::ReportInput;
use crate::section::picks;
use maud::{Markup, html};
use slimfit_study::FrontPoint;

/// Ids that the fields offer.
const OFFERED: usize = 60;

pub(super) fn controls(input: &ReportInput) -> Markup {
    let Some(front) = input.front.as_ref().filter(|front| front.points.len() > 1) else { return html! {} };
    let picked = picks(front);
    let others = || front.points.iter().filter(|point| point.picks.is_empty());
    let representatives = others().filter(|point| point.representative);
    let offered: Vec<&FrontPoint> =
        picked.iter().copied().chain(representatives.take(OFFERED)).take(OFFERED).collect();
    let all: Vec<&FrontPoint> = picked.iter().copied().chain(others()).take(2).collect();
    let [first, second] = all[..] else { return html! {} };
    html! {
        h3 { "Two models side by side" }
        p { "Any two points of the front, by id: those of the picks are offered, every id of the table above is taken." }
        div.controls {
            @for (id, label, chosen) in [("pair-first", "First model", first), ("pair-second", "Second model", second)] {
                label for=(id) { (label) } " "
                input #(id) type="text" list="pair-ids" value=(chosen.id) autocomplete="off" spellcheck="false";
            }
            datalist #pair-ids { @for point in &offered { option value=(point.id) { (point.picks.join(", ")) } } }
        }
        p #pair-told role="status" {}
        div.scroll tabindex="0" role="region" aria-label="Two models side by side" {
            table #pair-table hidden {
                caption { "Two models of the front: values are predicted unless marked, each with its interval" }
                thead { tr { th scope="col" { "Quantity" } th scope="col" data-side="first" { "First" } th scope="col" data-side="second" { "Second" } th scope="col" { "Second over first" } th scope="col" { "Against the noise" } } }
                tbody {}
            }
        }
    }
}
