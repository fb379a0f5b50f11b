// The table of the front: rows, sorting, and which rows are listed.

/** Rows by the id of their point. */
let rows = new Map();
/** What is still to be written, so that the page answers before all of it is there. */
let unwritten = [];
const BATCH = 400;

/** The cells of one row: the same that the page's own rows hold (`front.rs`). */
function tableRow(point) {
  const row = make('tr', undefined, { 'data-id': point.id, 'data-under': pathOf(point), 'data-tie': point.tie });
  if (point.picks.length) row.className = 'picked';
  const cell = (sort, ...content) => { const made = make('td', undefined, Number.isNaN(sort) ? {} : { 'data-value': sort }); made.append(...content); row.append(made); };
  const read = (path, text) => make('span', text, { 'data-source': 'read', 'data-at': path });
  const badges = point.picks.map(pick => make('span', pick, { class: 'badge' })).concat(point.flags.map(flag => make('span', flag, { class: 'badge warn' })));
  cell(point.id, read('id', point.id), ...badges.flatMap(badge => [' ', badge]));
  cell(point.parameters, read('parameters/total', show('count', point.parameters)));
  for (const objective of data.objectives) {
    const found = value(point, objective.name), path = `objectives/${encodedSegment(objective.name)}`;
    if (Number.isNaN(found)) { cell('', make('span', 'unavailable', { class: 'unavailable', 'data-source': 'unavailable', 'data-at': path })); continue; }
    const shown = make('span', show(objective.unit, found), { 'data-source': sourceOf(point, objective.name), 'data-at': path });
    const interval = point.intervals[objective.name], range = interval ? showRange(objective.unit, interval.low, interval.high) : '';
    if (range) shown.append(' ', make('span', range, { class: 'range' }));
    cell(found, shown);
  }
  point.shape.forEach((text, place) => cell(parseFloat(text), read(`shape/${place}`, text)));
  cell(`${point.weights} / ${point.kv}`, read('weights kv', `${point.weights} / ${point.kv}`));
  cell(point.threads, read('threads', String(point.threads)));
  cell(point.tie, read('tie_group tied', tieText(point)));
  return row;
}

/** A row shows whether its point still fits, is listed and is chosen. */
function markRow(point) {
  const row = rows.get(point.id);
  if (!row) return;
  row.classList.toggle('out', Boolean(point.out));
  row.setAttribute('aria-disabled', String(Boolean(point.out)));
}

function listRow(point, ties) {
  const row = rows.get(point.id);
  if (row) row.hidden = state.region ? !state.region.inside(point) : !(ties || isListed(point) || point === state.chosen);
}

/** Lists the rows that the reader asked for: ties or not, and of a selected region only what lies in it. */
function listRows() {
  const box = element('show-ties'), ties = Boolean(box && box.checked);
  for (const point of points) listRow(point, ties);
  stopAtFirstRow();
}

/** Arrow keys move between rows, so that the table is a single stop of the Tab key. */
function stopAtFirstRow() {
  const table = element('front-table');
  if (!table) return;
  const visible = row => !row.hidden;
  const current = table.querySelector('tbody tr[tabindex="0"]');
  if (current && visible(current)) return;
  if (current) current.removeAttribute('tabindex');
  const first = [...table.tBodies[0].rows].find(visible);
  if (first) first.tabIndex = 0;
}

function moveRow(row, step) {
  let next = row;
  do { next = step > 0 ? next.nextElementSibling : next.previousElementSibling; } while (next && next.hidden);
  if (!next) return;
  row.removeAttribute('tabindex');
  next.tabIndex = 0;
  next.focus();
}

/** Writes some rows that are still missing; all of them where `count` is infinite. */
function writeRows(count) {
  const table = element('front-table');
  if (!table || !unwritten.length) return;
  const box = element('show-ties'), ties = Boolean(box && box.checked);
  const fresh = document.createDocumentFragment();
  for (const point of unwritten.splice(0, count)) {
    const row = tableRow(point);
    rows.set(point.id, row);
    if (point.out) markRow(point);
    if (point === state.chosen) row.classList.add('chosen');
    listRow(point, ties);
    if (tracing()) row.querySelectorAll('[data-at]').forEach(figure => reachable(figure, true));
    fresh.append(row);
  }
  table.tBodies[0].append(fresh);
}

/** The rest of the rows, some at a time between the reader's actions. */
function writeRest() {
  const round = state.round;
  const next = () => {
    if (round !== state.round || !unwritten.length) return;
    writeRows(BATCH);
    if (unwritten.length) setTimeout(next, 0); else sortAgain();
  };
  setTimeout(next, 0);
}

function sortTable(header, rising) {
  writeRows(Infinity);
  const table = element('front-table'), headers = [...table.querySelectorAll('th[data-key]')];
  headers.forEach(other => other.setAttribute('aria-sort', other === header ? (rising ? 'ascending' : 'descending') : 'none'));
  const column = headers.indexOf(header), body = table.tBodies[0];
  const keyed = [...body.rows].map(row => {
    const text = row.cells[column].dataset.value || '', number = Number(text);
    return { row, missing: text === '', key: text !== '' && Number.isFinite(number) && header.dataset.key !== 'id' ? number : text };
  });
  // What is missing stays at the end, whichever way the column is sorted.
  keyed.sort((a, b) => a.missing - b.missing || (rising ? 1 : -1) * (typeof a.key === 'number' && typeof b.key === 'number' ? a.key - b.key : String(a.key).localeCompare(String(b.key))));
  body.append(...keyed.map(({ row }) => row));
}

/** Sorts by the column that is marked as sorted. */
function sortAgain() {
  const sorted = document.querySelector('#front-table th[data-key]:not([aria-sort="none"])');
  if (sorted) sortTable(sorted, sorted.getAttribute('aria-sort') !== 'descending');
}

function startTable() {
  rows = new Map();
  unwritten = [];
  const table = element('front-table');
  if (!table) return;
  for (const row of table.querySelectorAll('tr[data-id]')) rows.set(row.dataset.id, row);
  unwritten = points.filter(point => !rows.has(point.id));
  // The driver of a browser and a reader's search find every row of a front of usual size at once.
  writeRows(BATCH);
  for (const header of table.querySelectorAll('th[data-key]')) header.querySelector('button').addEventListener('click', () => sortTable(header, header.getAttribute('aria-sort') !== 'ascending'));
  if (unwritten.length) writeRest(); else sortAgain();
  const ties = element('show-ties');
  if (ties) ties.addEventListener('change', () => { writeRows(Infinity); listRows(); });
  table.addEventListener('click', event => {
    const row = event.target.closest('tr[data-id]');
    if (row && !event.target.closest('[data-at]')) choosePoint(byId.get(row.dataset.id), false);
  });
  table.addEventListener('keydown', event => {
    const row = event.target.closest('tr[data-id]');
    if (!row || event.target !== row) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) { event.preventDefault(); moveRow(row, step); }
    if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); choosePoint(byId.get(row.dataset.id), false); }
  });
  stopAtFirstRow();
}
