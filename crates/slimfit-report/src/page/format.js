// Numbers as text, by the same rules as the page's own text (`unit.rs`), and small tools of the other parts.

const PREFIXES = [[1e24, 'Y'], [1e21, 'Z'], [1e18, 'E'], [1e15, 'P'], [1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k'], [1, ''], [1e-3, 'm'], [1e-6, 'µ'], [1e-9, 'n']];
const BYTES = [[2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB'], [1, 'B']];
const SECONDS = [[1, 's'], [1e-3, 'ms'], [1e-6, 'µs'], [1e-9, 'ns']];
const DURATIONS = [[86400, 'days'], [3600, 'h'], [60, 'min'], [1, 's']];
const COUNTS = [[1e12, 'T'], [1e9, 'B'], [1e6, 'M'], [1e3, 'k'], [1, '']];

/** As `toFixed`, but a value in the middle goes to the even neighbour, as the page's own text has it. */
function fixed(value, places) {
  const scale = 10 ** places;
  if (Math.abs(value * scale) % 1 === 0.5 && /^50*$/.test(Math.abs(value).toFixed(places + 60).split('.')[1].slice(places))) {
    const below = Math.floor(value * scale), even = below % 2 === 0 ? below : below + 1;
    return (even / scale).toFixed(places);
  }
  return value.toFixed(places);
}

function digits(value) {
  const size = Math.abs(value);
  if (value === 0) return '0';
  if (size >= 100) return fixed(value, 0);
  if (size >= 10) return fixed(value, 1);
  if (size >= 0.01) return fixed(value, 2);
  return value.toExponential(1).replace('e+', 'e');
}

function scaled(value, units, whole) {
  const [size, name] = units.find(([size]) => Math.abs(value) >= size) || units[units.length - 1];
  const number = value / size;
  if (whole && (value === 0 || (size === 1 && Number.isInteger(number)))) return `${fixed(number, 0)} ${name}`;
  if (whole) return `${fixed(number, Math.abs(number) < 10 ? 2 : Math.abs(number) < 100 ? 1 : 0)} ${name}`;
  return `${digits(number)} ${name}`;
}

function show(unit, value) {
  if (!Number.isFinite(value)) return 'not a number';
  const prefixed = name => value === 0 ? `0 ${name}` : scaled(value, PREFIXES.map(([size, prefix]) => [size, prefix + name]));
  switch (unit) {
    case 'seconds': return scaled(value, SECONDS, true);
    case 'duration': return scaled(value, DURATIONS, true);
    case 'operations': return prefixed('FLOP');
    case 'percent': return `${fixed(value, 1)} %`;
    case 'money': return digits(value);
    case 'bytes': return scaled(value, BYTES, true);
    case 'bytes_per_s': return prefixed('B/s');
    case 'ops_per_s': return prefixed('op/s');
    case 'hertz': return prefixed('Hz');
    case 'tokens_per_s': return `${digits(value)} tok/s`;
    case 'joules': return prefixed('J');
    case 'watts': return `${digits(value)} W`;
    case 'fraction': return `${digits(value * 100)} %`;
    case 'count': return scaled(value, COUNTS, true).replace(' ', '');
    default: return fixed(value, 4);
  }
}

/** `11.0–14.1 ms`, or nothing where both ends read alike. */
function showRange(unit, low, high) {
  if (!Number.isFinite(low) || !Number.isFinite(high)) return '';
  const [from, to] = [show(unit, low), show(unit, high)];
  if (from === to) return '';
  const cut = from.lastIndexOf(' '), end = to.lastIndexOf(' ');
  return cut > 0 && end > 0 && from.slice(cut) === to.slice(end) ? `${from.slice(0, cut)}–${to}` : `${from}–${to}`;
}

/** Any text as HTML. Tooltips are HTML, and names come from files. */
function escaped(text) {
  return String(text).replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`);
}

function element(id) { return document.getElementById(id); }

/** An element of `tag` with text and attributes. */
function make(tag, text, attributes) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  return made;
}

/** Copies text; files opened from disk may lack the clipboard interface, so there is an older way too. */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = make('textarea', text, { style: 'position:fixed;opacity:0', 'aria-hidden': 'true' });
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}

/** A button says for a moment what came of it. */
function said(button, done, name) {
  button.textContent = done ? 'Copied' : 'Select and copy by hand';
  setTimeout(() => { button.textContent = name; }, 2000);
}
