//! Where the blocks of the picture stand, and how they are drawn.

use super::blocks::{Group, Segment};
use super::marks::{arrow, experts, fitted, framed, tie, words_of};
use super::rows::{Row, in_run, rows};
use super::words::{self, Block};
use super::{ArchitectureDrawing, WIDTH};
use crate::chart::pen::Pen;
use crate::chart::{COLOURS, INK, LINE, MUTED};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use slimfit_arch::{Architecture, FeedForward, LayerRun};
use slimfit_quantity::format_count;

/// Left edge of the blocks: what stands before it are loops and repeats.
pub(super) const LEFT: f64 = 118.0;
/// Right edge of the blocks: what stands after it are parameters.
pub(super) const RIGHT: f64 = 812.0;
const HEAD: f64 = 96.0;
const FOOT: f64 = 46.0;
/// Height of an embedding, a head, a norm.
const TABLE: f64 = 46.0;
/// Height of a layer with its shapes.
const LAYER: f64 = 68.0;
/// What the squares of experts take below them.
const SQUARES: f64 = 22.0;
/// Height of a layer in short.
const SHORT: f64 = 30.0;
/// Kinds of layers up to which each is drawn with its shapes.
const MOST_IN_FULL: usize = 8;

const PAPER: RGBColor = RGBColor(247, 248, 250);
const TABLES: RGBColor = RGBColor(221, 240, 233);
const ATTENTION: RGBColor = RGBColor(217, 232, 243);
const FEED_FORWARD: RGBColor = RGBColor(251, 230, 214);

/// The picture, ready to draw.
pub(super) struct Column<'a> {
    title: &'a str,
    architecture: &'a Architecture,
    rows: Vec<Row>,
    /// Whether layers are drawn with their shapes.
    full: bool,
    /// Of one layer.
    layer_height: f64,
}

impl<'a> Column<'a> {
    pub(super) fn of(drawing: &ArchitectureDrawing<'a>) -> Self {
        let (rows, kinds) = rows(drawing.architecture);
        let mixture = drawing.architecture.layers.iter().any(|run| matches!(run.ffn, FeedForward::Moe(_)));
        let full = kinds <= MOST_IN_FULL;
        let layer_height = match (full, mixture) {
            (false, _) => SHORT,
            (true, false) => LAYER,
            (true, true) => LAYER + SQUARES,
        };
        Self { title: drawing.title, architecture: drawing.architecture, rows, full, layer_height }
    }

    /// Of the whole sheet.
    pub(super) fn height(&self) -> f64 {
        let rows: f64 = self.rows.iter().map(|row| self.row_height(row)).sum();
        HEAD + rows + self.gap() * (self.rows.len() - 1) as f64 + FOOT
    }

    fn row_height(&self, row: &Row) -> f64 {
        match row {
            Row::Table { .. } | Row::More { .. } => TABLE,
            Row::Layers(segment) => {
                let groups: f64 = segment.groups.iter().map(|group| self.group_height(group)).sum();
                groups + self.gap() * (segment.groups.len() - 1) as f64
            }
        }
    }

    fn group_height(&self, group: &Group) -> f64 {
        let members = group.members.len() as f64;
        let between = self.padding() * (members - 1.0);
        members * self.layer_height + between + 2.0 * self.padding()
    }

    /// Between blocks, where the arrows are.
    const fn gap(&self) -> f64 {
        if self.full { 22.0 } else { 12.0 }
    }

    /// Around the layers of a group.
    const fn padding(&self) -> f64 {
        if self.full { 8.0 } else { 5.0 }
    }

    pub(super) fn draw_with<B: DrawingBackend>(&self, pen: &Pen<'_, B>) -> Result<(), String> {
        let parameters = self.architecture.parameters();
        fitted(pen, self.title, (24.0, 30.0), (WIDTH - 48.0, 24.0), &INK)?;
        let mut subtitle = format!(
            "{} parameters, {} without embeddings; {} layers of width {}",
            words::whole(parameters.total),
            words::whole(parameters.non_embedding),
            self.architecture.depth(),
            self.architecture.hidden_size
        );
        if parameters.active != parameters.total {
            subtitle.push_str(&format!("; a token visits {}", format_count(parameters.active as f64)));
        }
        fitted(pen, &subtitle, (24.0, 58.0), (WIDTH - 48.0, 16.0), &MUTED)?;
        pen.text("Parameters", (RIGHT + 22.0, HEAD - 14.0), 13.5, &MUTED, (HPos::Left, VPos::Center))?;
        let mut top = HEAD;
        let mut tables = Vec::new();
        for (place, row) in self.rows.iter().enumerate() {
            if place > 0 {
                arrow(pen, top - self.gap(), top)?;
            }
            let height = self.row_height(row);
            match row {
                Row::Table { block, parameters, own } => {
                    self.table(pen, block, top, *own)?;
                    self.count(pen, (top, height), *parameters, None, *own)?;
                    tables.push(top + height / 2.0);
                }
                Row::Layers(segment) => self.segment(pen, segment, top)?,
                Row::More { kinds, layers, parameters } => {
                    let title = format!("{layers} more layers of {kinds} more kinds");
                    let lines = vec!["architecture.json lists them".to_owned()];
                    self.table(pen, &Block { title, lines }, top, false)?;
                    self.count(pen, (top, height), *parameters, None, true)?;
                }
            }
            top += height + self.gap();
        }
        if let (true, Some(first), Some(last)) =
            (self.architecture.tied_embeddings, tables.first(), tables.last())
        {
            tie(pen, *first, *last)?;
        }
        let words = words::layer(self.architecture);
        fitted(pen, &words, (24.0, top - self.gap() + 26.0), (WIDTH - 48.0, 14.0), &MUTED)
    }

    fn table<B: DrawingBackend>(
        &self,
        pen: &Pen<'_, B>,
        block: &Block,
        top: f64,
        own: bool,
    ) -> Result<(), String> {
        let colour = if own { &TABLES } else { &WHITE };
        framed(pen, (LEFT, top), (RIGHT - LEFT, TABLE), colour)?;
        words_of(pen, block, (LEFT + 14.0, top + 15.0), RIGHT - LEFT - 28.0)
    }

    /// Layers, and how they loop.
    fn segment<B: DrawingBackend>(
        &self,
        pen: &Pen<'_, B>,
        segment: &Segment,
        top: f64,
    ) -> Result<(), String> {
        let mut from = top;
        for (place, group) in segment.groups.iter().enumerate() {
            if place > 0 {
                arrow(pen, from - self.gap(), from)?;
            }
            self.group(pen, group, from)?;
            from += self.group_height(group) + self.gap();
        }
        let bottom = from - self.gap();
        let Some(loops) = segment.loops else { return Ok(()) };
        let colour = COLOURS[3];
        let (across, inside) = (22.0, LEFT - 8.0);
        let (start, end) = (bottom - 9.0, top + 9.0);
        pen.line(&[(inside, start), (across, start), (across, end), (inside, end)], &colour, 2.4)?;
        pen.line(&[(inside - 9.0, end - 6.0), (inside, end), (inside - 9.0, end + 6.0)], &colour, 2.4)?;
        let words = if loops.immediate {
            format!("each {} times", loops.count)
        } else {
            format!("{} passes", loops.count)
        };
        fitted(pen, &words, (across + 7.0, end + 15.0), (inside - across - 12.0, 14.0), &colour)
    }

    fn group<B: DrawingBackend>(&self, pen: &Pen<'_, B>, group: &Group, top: f64) -> Result<(), String> {
        let height = self.group_height(group);
        framed(pen, (LEFT, top), (RIGHT - LEFT, height), &PAPER)?;
        let several = group.members.len() > 1;
        if group.times > 1 {
            let place = (LEFT - 12.0, top + height / 2.0);
            pen.text(&format!("×{}", group.times), place, 19.0, &INK, (HPos::Right, VPos::Center))?;
        }
        let mut from = top + self.padding();
        for member in &group.members {
            let inset = if several && group.times > 1 { 46.0 } else { 0.0 };
            if member.repeat > 1 {
                let (place, size) = if inset > 0.0 { (LEFT + 46.0, 15.0) } else { (LEFT - 12.0, 19.0) };
                let place = (place, from + self.layer_height / 2.0);
                pen.text(&format!("×{}", member.repeat), place, size, &INK, (HPos::Right, VPos::Center))?;
            }
            let left = LEFT + self.padding() + inset;
            let each = in_run(self.architecture, member) / member.repeat;
            if self.full {
                self.layer(pen, member, (left, from))?;
            } else {
                self.short_layer(pen, member, (left, from))?;
            }
            let times = member.repeat * group.times;
            let place = (from, self.layer_height);
            self.count(pen, place, each * times, (times > 1).then_some(each), true)?;
            from += self.layer_height + self.padding();
        }
        Ok(())
    }

    /// A layer with its shapes.
    fn layer<B: DrawingBackend>(
        &self,
        pen: &Pen<'_, B>,
        run: &LayerRun,
        (left, top): (f64, f64),
    ) -> Result<(), String> {
        let hidden = self.architecture.hidden_size;
        let width = (RIGHT - self.padding() - left - self.padding()) / 2.0;
        let blocks = [
            (words::attention(&run.attention, hidden), &ATTENTION),
            (words::feed_forward(&run.ffn, hidden), &FEED_FORWARD),
        ];
        for (place, (block, colour)) in blocks.iter().enumerate() {
            let corner = (left + (width + self.padding()) * place as f64, top);
            pen.rectangle(corner, (width, self.layer_height), colour)?;
            words_of(pen, block, (corner.0 + 12.0, top + 18.0), width - 24.0)?;
        }
        if let FeedForward::Moe(moe) = &run.ffn {
            let corner = (left + width + self.padding() + 12.0, top + self.layer_height - 15.0);
            experts(pen, corner, width - 24.0, (moe.experts, moe.top_k))?;
        }
        Ok(())
    }

    /// A layer in one line.
    fn short_layer<B: DrawingBackend>(
        &self,
        pen: &Pen<'_, B>,
        run: &LayerRun,
        (left, top): (f64, f64),
    ) -> Result<(), String> {
        let width = (RIGHT - self.padding() - left - self.padding()) / 2.0;
        for (place, (line, colour)) in words::short(run).iter().zip([&ATTENTION, &FEED_FORWARD]).enumerate() {
            let corner = (left + (width + self.padding()) * place as f64, top);
            pen.rectangle(corner, (width, SHORT), colour)?;
            fitted(pen, line, (corner.0 + 10.0, top + SHORT / 2.0), (width - 20.0, 14.0), &INK)?;
        }
        Ok(())
    }

    /// Parameters beside a block, and their share of all as a bar.
    fn count<B: DrawingBackend>(
        &self,
        pen: &Pen<'_, B>,
        (top, height): (f64, f64),
        parameters: u64,
        each: Option<u64>,
        own: bool,
    ) -> Result<(), String> {
        const BAR: f64 = 150.0;
        let left = RIGHT + 22.0;
        let middle = top + height / 2.0;
        if !own {
            return pen.text("none of its own", (left, middle), 14.0, &MUTED, (HPos::Left, VPos::Center));
        }
        let total = self.architecture.parameters().total;
        let mut words = format!("{} ({})", format_count(parameters as f64), words::share(parameters, total));
        if let Some(each) = each {
            words.push_str(&format!(", {} each", format_count(each as f64)));
        }
        let (up, thickness) = if height < 40.0 { (-5.0, 4.0) } else { (-8.0, 6.0) };
        fitted(pen, &words, (left, middle + up), (WIDTH - 36.0 - left, 14.0), &INK)?;
        let bar = (left, middle + up + 11.0);
        pen.rectangle(bar, (BAR, thickness), &LINE)?;
        let length = BAR * parameters as f64 / total.max(1) as f64;
        pen.rectangle(bar, (length.max(1.0), thickness), &COLOURS[0])
    }
}
