// What all charts share: colours of the theme, axes, and drawing anew when theme or size change.

let drawn = [];
/** The chart library stands behind this script, so that the page answers before it is read. */
const libraryIsRead = () => typeof echarts !== 'undefined';
if (!libraryIsRead()) document.addEventListener('DOMContentLoaded', () => redrawAll());

/** Draws `option(colours)` into an element now and after each change of theme. Nothing where the element is missing. */
function chart(node, option) {
  if (!node) return null;
  const entry = { node, option, instance: null };
  drawn.push(entry);
  watcher.observe(node);
  entry.redraw = () => {
    if (node.offsetParent === null || !libraryIsRead()) return;
    if (!entry.instance) {
      entry.instance = echarts.init(node, null, { renderer: 'canvas' });
      if (entry.ready) entry.ready(entry.instance);
    }
    const chosen = option(colours());
    if (chosen) entry.instance.setOption({ animation: false, textStyle: { fontFamily: getComputedStyle(document.body).fontFamily }, ...chosen }, { notMerge: true });
  };
  return entry;
}

/** Changes parts of a drawn chart, which the library finds by their `id`; nothing where it is not drawn yet. */
function change(entry, part) {
  if (entry && entry.instance && entry.node.offsetParent !== null) entry.instance.setOption(part, { lazyUpdate: false });
}

/** Forgets the charts whose place is gone, as when a section was written anew. */
function forgetCharts() {
  drawn = drawn.filter(entry => {
    if (entry.node.isConnected) return true;
    watcher.unobserve(entry.node);
    if (entry.instance) entry.instance.dispose();
    return false;
  });
}

/** The chart as it stands, as a `data:` address of a PNG at twice its size. */
function chartPng(entry) {
  return entry.instance.getDataURL({ type: 'png', pixelRatio: 2, backgroundColor: colours().surface });
}

/** The chart as it stands, drawn anew as SVG. */
function chartSvg(entry) {
  const { clientWidth: width, clientHeight: height } = entry.node;
  const again = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  again.setOption({ animation: false, backgroundColor: colours().surface, textStyle: { fontFamily: 'sans-serif' }, ...entry.option(colours(), true) });
  const text = again.renderToSVGString();
  again.dispose();
  return text;
}

let waiting = [];

/** Draws charts one after the other, so that the page answers between them. */
function redraw(entries) {
  const idle = !waiting.length;
  waiting = waiting.concat(entries.filter(entry => !waiting.includes(entry)));
  const next = () => {
    const entry = waiting[0];
    if (entry && entry.node.isConnected) entry.redraw();
    waiting.shift();
    if (waiting.length) setTimeout(next, 0); else if (libraryIsRead() && !performance.getEntriesByName('slimfit-drawn').length) performance.mark('slimfit-drawn');
  };
  if (idle && waiting.length) setTimeout(next, 0);
}

function redrawAll() { redraw(drawn); }
function drawMissing() { drawn.forEach(entry => { if (!entry.instance) entry.redraw(); }); }
function resizeAll() { drawn.forEach(entry => entry.instance && entry.node.offsetParent !== null && entry.instance.resize()); }

// Marks, and how many fit an axis, depend on the width, so a chart whose box changed is drawn anew.
const watcher = new ResizeObserver(changes => {
  for (const { target } of changes) {
    const entry = drawn.find(({ node }) => node === target);
    if (!entry || !entry.instance || entry.node.offsetParent === null) continue;
    if (entry.instance.getWidth() === target.clientWidth && entry.instance.getHeight() === target.clientHeight) continue;
    entry.instance.resize();
    entry.redraw();
  }
});

function colours() {
  const style = getComputedStyle(document.documentElement);
  return new Proxy({}, { get: (_, name) => style.getPropertyValue(`--${String(name).replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`).trim() });
}

/** Okabe and Ito's colours for lines that are told apart by name, light and dark. */
const LINES = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'];

/** A colour on the scale low – mid – high of the theme; `share` from 0 to 1. */
function scaleColour(theme, share) {
  const stops = [theme.frontLow, theme.frontMid, theme.frontHigh].map(hex => [1, 3, 5].map(start => parseInt(hex.slice(start, start + 2), 16)));
  const place = Math.min(Math.max(share, 0), 1) * 2, from = Math.min(Math.floor(place), 1), part = place - from;
  return `rgb(${stops[from].map((value, channel) => Math.round(value + (stops[from + 1][channel] - value) * part)).join(',')})`;
}

/** Round values within [low, high]: of a logarithmic axis 1-2-5 steps (powers of two for bytes), else even steps. */
function roundValues(low, high, log, binary) {
  const within = value => value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9);
  if (log) {
    const base = binary ? 2 : 10;
    const first = Math.floor(Math.log(low) / Math.log(base)), last = Math.ceil(Math.log(high) / Math.log(base));
    let found = [];
    for (const family of binary ? [[1]] : [[1], [1, 3], [1, 2, 5]]) {
      found = [];
      for (let power = first; power <= last; power++) for (const factor of family) found.push(factor * base ** power);
      found = found.filter(within);
      if (found.length >= 4) break;
    }
    while (found.length > 10) found = found.filter((_, index) => index % 2 === 0);
    if (found.length >= 3) return found;
  }
  const rough = (high - low) / 6;
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map(factor => factor * power).find(size => size >= rough) || power * 10;
  const values = [];
  for (let index = Math.ceil(low / step); index * step <= high * (1 + 1e-9); index++) values.push(index * step);
  return values;
}

/** Least and greatest of the finite values, with room; `null` when there are none. */
function extent(values, log) {
  const usable = values.filter(value => Number.isFinite(value) && (!log || value > 0));
  if (!usable.length) return null;
  let low = Infinity, high = -Infinity;
  for (const value of usable) { low = Math.min(low, value); high = Math.max(high, value); }
  if (log) { const room = Math.max((high / low) ** 0.05, 1.08); return [low / room, high * room]; }
  const room = Math.max((high - low) * 0.05, Math.abs(high) * 0.005) || 1;
  return [low - room, high + room];
}

/**
 * An axis of the chart library. Values are placed by `place`: their logarithm on a logarithmic axis, since the library
 * marks only powers of ten there.
 */
function axis(theme, name, [low, high], log, label, vertical, binary) {
  const place = value => log ? Math.log10(value) : value;
  const narrow = window.innerWidth < 640;
  const short = value => label(value).replace(/(\.\d*?)0+(?= |$)/, '$1').replace(/\.(?= |$)/, '');
  let marks = roundValues(low, high, log, binary);
  if (narrow && !vertical) while (marks.length > 5) marks = marks.filter((_, index) => index % 2 === 0);
  const customValues = marks.map(place);
  return {
    place,
    option: {
      type: 'value', name, nameLocation: 'middle', nameGap: vertical ? (narrow ? 54 : 66) : 34, nameTextStyle: { color: theme.ink, fontSize: 13 },
      min: place(low), max: place(high), axisLine: { onZero: false, lineStyle: { color: theme.muted } },
      axisTick: { show: true, customValues, lineStyle: { color: theme.muted } },
      axisLabel: { color: theme.muted, customValues, hideOverlap: true, formatter: at => short(log ? 10 ** at : at) },
      splitLine: { show: false },
    },
  };
}

/** A chart that has nothing to draw, and why. */
function nothingToDraw(theme, words) {
  return { title: { text: words, left: 'center', top: 'middle', textStyle: { color: theme.muted, fontSize: 14, fontWeight: 'normal' } } };
}

function grid() {
  const narrow = window.innerWidth < 640;
  return { left: narrow ? 72 : 88, right: narrow ? 16 : 28, top: 28, bottom: 56 };
}

function tooltip(theme, formatter) {
  return {
    trigger: 'item', confine: true, backgroundColor: theme.surface, borderColor: theme.line,
    textStyle: { color: theme.ink, fontSize: 13 }, formatter,
  };
}
