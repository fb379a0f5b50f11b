// Clicks every figure of the page and holds what it shows to the record that opens.

const plainDigits = text => text.replace(/(\d)[\u2009\u202f\u00a0](?=\d{3}(?!\d))/g, '$1');
const numbersIn = text => (plainDigits(String(text)).match(/[-+]?\d+(?:\.\d+)?(?:e-?\d+)?/g) || []).map(Number);

/** Every number that a record may be shown as: its leaves in every unit, its length, its sum. */
function showable(value, found = { numbers: new Set(), words: [] }) {
  const { format, digits } = window.slimfit;
  const number = leaf => {
    for (const unit of ['seconds', 'duration', 'operations', 'percent', 'money', 'bytes', 'bytes_per_s', 'ops_per_s', 'hertz', 'tokens_per_s', 'joules', 'watts', 'fraction', 'count', 'plain']) numbersIn(format(unit, leaf)).forEach(one => found.numbers.add(one));
    for (const text of [String(leaf), digits(leaf), leaf.toFixed(4), leaf.toFixed(0)]) numbersIn(text).forEach(one => { found.numbers.add(one); found.numbers.add(Number(`${one}`)); });
  };
  if (typeof value === 'number') number(value);
  else if (typeof value === 'string') {
    numbersIn(value).forEach(one => found.numbers.add(one));
    if (/^\d+$/.test(value)) number(Number(value));
    found.words.push(value);
  } else if (typeof value === 'boolean' || value === null) found.words.push(String(value));
  else if (Array.isArray(value)) {
    number(value.length);
    for (const name of ['count', 'repeat']) if (value.every(item => item && item[name] !== undefined)) number(value.reduce((sum, item) => sum + Number(item[name]), 0));
    value.forEach(item => showable(item, found));
  } else for (const leaf of Object.values(value)) showable(leaf, found);
  return found;
}

const squeezed = text => plainDigits(text).replace(/[`\s]+/g, ' ').trim();

/** Figures without a record, or whose record does not hold what they show. */
function figureFaults(within = document) {
  const faults = [], figures = [...within.querySelectorAll('[data-source]')];
  const panel = document.getElementById('trace');
  // Of very many figures one in so many is clicked: tables of a large front repeat themselves.
  const stride = Math.ceil(figures.length / 6000);
  for (const figure of figures.filter((_, index) => index % stride === 0)) {
    panel.hidden = true;
    figure.click();
    const shown = squeezed(figure.textContent), said = `"${shown.slice(0, 60)}" at ${figure.dataset.at}`;
    if (panel.hidden) { faults.push(`opens no record: ${said}`); continue; }
    const records = [...panel.querySelectorAll('pre[data-path]')];
    if (!records.length) { faults.push(`names no record: ${said}`); continue; }
    if (figure.dataset.source === 'unavailable') continue;
    const missing = records.find(record => record.dataset.found !== 'true');
    if (missing) { faults.push(`no such record: ${said}, ${missing.dataset.path}`); continue; }
    const held = { numbers: new Set(), words: [] };
    for (const record of records) showable(window.slimfit.resolve(record.dataset.path).value, held);
    const numbers = numbersIn(shown);
    const wrong = numbers.find(one => !held.numbers.has(one));
    if (wrong !== undefined) faults.push(`${wrong} is not in the record: ${said}`);
    else if (!numbers.length && !held.words.some(word => shown.includes(squeezed(word)) || squeezed(word).includes(shown) || word === 'true' || word === 'null')) faults.push(`other words in the record: ${said}`);
  }
  document.getElementById('trace-close').click();
  return { count: figures.length, faults: faults.slice(0, 25), all: faults.length };
}
