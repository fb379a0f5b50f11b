// Saving what the page shows: each table as CSV, JSON or Markdown, each chart as PNG or SVG.

function save(name, type, content) {
  const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = make('a', undefined, { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

const shownText = cell => cell.textContent.replace(/\s+/g, ' ').trim();

/** A cell as spreadsheets want it: the record's own value in full precision where the cell shows a single one. */
function plainValue(cell) {
  const figures = cell.querySelectorAll('[data-at]');
  if (figures.length !== 1) return shownText(cell);
  if (figures[0].dataset.source === 'unavailable') return null;
  const paths = pathsOf(figures[0]);
  const { value } = paths.length === 1 ? resolve(paths[0]) : { value: undefined };
  const inner = value && typeof value === 'object' && Number.isFinite(value.value) ? value.value : value;
  return typeof inner === 'number' || typeof inner === 'string' ? inner : shownText(cell);
}

/** The table as rows of cells, cells that span several rows repeated; hidden rows are left out. */
function cellsOf(table) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells].map((cell, index) => shownText(cell) || `column ${index + 1}`);
  const rows = [], carried = [];
  for (const row of table.tBodies[0].rows) {
    if (row.hidden) continue;
    const cells = [];
    const queue = [...row.cells];
    for (let column = 0; column < heads.length; column++) {
      if (carried[column] && carried[column].rows > 0) { carried[column].rows--; cells.push(carried[column].cell); continue; }
      const cell = queue.shift();
      if (cell && cell.rowSpan > 1) carried[column] = { cell, rows: cell.rowSpan - 1 };
      cells.push(cell);
    }
    rows.push(cells.filter(Boolean));
  }
  return { heads, rows };
}

function quoted(value) {
  const text = value === null ? '' : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

const TABLE_FORMS = {
  CSV: { ending: 'csv', type: 'text/csv', text: ({ heads, rows }) => [heads.map(quoted), ...rows.map(row => row.map(cell => quoted(plainValue(cell))))].map(line => line.join(',')).join('\n') + '\n' },
  JSON: { ending: 'json', type: 'application/json', text: ({ heads, rows }) => `${JSON.stringify(rows.map(row => Object.fromEntries(row.map((cell, column) => [heads[column], plainValue(cell)]))), null, 1)}\n` },
  Markdown: {
    ending: 'md', type: 'text/markdown',
    text: ({ heads, rows }) => {
      const line = cells => `| ${cells.map(text => text.replace(/\|/g, '\\|')).join(' | ')} |`;
      return [line(heads), line(heads.map(() => '---')), ...rows.map(row => line(row.map(shownText)))].join('\n') + '\n';
    },
  },
};

function tableText(table, form) { return TABLE_FORMS[form].text(cellsOf(table)); }

function exportBar(label, names, act) {
  const bar = make('p', undefined, { class: 'exports', role: 'group', 'aria-label': label });
  bar.append(make('span', 'Save as '));
  for (const name of names) {
    const button = make('button', name, { type: 'button' });
    button.addEventListener('click', () => act(name));
    bar.append(button);
  }
  return bar;
}

function startExports(within) {
  for (const box of within.querySelectorAll('.scroll')) {
    const table = box.querySelector('table'), label = box.getAttribute('aria-label');
    if (!table || !table.tBodies[0].rows.length) continue;
    const file = label.toLowerCase().replace(/[^a-z0-9]+/g, '-');
    box.after(exportBar(`Save: ${label}`, Object.keys(TABLE_FORMS), name => {
      const form = TABLE_FORMS[name];
      save(`${file}.${form.ending}`, form.type, tableText(table, name));
    }));
  }
  for (const figure of within.querySelectorAll('figure.chart')) {
    const node = figure.querySelector('[role=img]');
    if (!node) continue;
    const file = node.id || `time-${node.dataset.phase}-${node.dataset.model}`;
    figure.append(exportBar(`Save the chart: ${node.getAttribute('aria-label')}`, ['PNG', 'SVG'], form => {
      const entry = drawn.find(one => one.node === node);
      if (!entry) return;
      if (!entry.instance) entry.redraw();
      if (form === 'SVG') { save(`${file}.svg`, 'image/svg+xml', chartSvg(entry)); return; }
      fetchless(chartPng(entry), blob => save(`${file}.png`, 'image/png', blob));
    }));
  }
}

/** The bytes of a `data:` address; the page's own rules forbid it to fetch even that. */
function fetchless(address, then) {
  const text = atob(address.slice(address.indexOf(',') + 1));
  then(new Blob([Uint8Array.from(text, character => character.charCodeAt(0))], { type: 'image/png' }));
}
