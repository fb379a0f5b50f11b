// The theme, the start of all parts, and taking newer records into an open page.

const THEMES = ['system', 'light', 'dark'];

function setTheme(theme) {
  if (theme === 'system') delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = theme;
  element('theme').textContent = `Theme: ${theme}`;
  redrawAll();
}

function startTheme() {
  // Some browsers refuse storage to pages opened from disk; the choice then lasts as long as the page.
  const stored = (() => { try { return localStorage.getItem('slimfit-theme'); } catch { return null; } })();
  setTheme(THEMES.includes(stored) ? stored : document.documentElement.dataset.theme || 'system');
  element('theme').addEventListener('click', () => {
    const now = document.documentElement.dataset.theme || 'system';
    const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
    try { localStorage.setItem('slimfit-theme', next); } catch { /* nowhere to keep it */ }
    setTheme(next);
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redrawAll);
}

/** Wires what stands in the sections; called again when they were written anew. */
function startSections() {
  startFront();
  startDevice();
  startModel();
  startRunning();
  startPair();
  startExports(document);
}

/** What the reader set in a section, to be set again after it was written anew. */
function settings() {
  const controls = [...document.querySelectorAll('main input[id], main select[id]')].map(({ id, type, value, checked, max }) => ({ id, type, value, checked, free: type === 'range' && value === max }));
  const tab = document.querySelector('.tabs [aria-selected=true]');
  return { controls, tab: tab && tab.dataset.pick };
}

function restore({ controls, tab }) {
  for (const { id, type, value, checked, free } of controls) {
    const control = element(id);
    if (!control) continue;
    if (type === 'checkbox') control.checked = checked; else control.value = free ? control.max : value;
    if (control.selectedIndex === -1) control.selectedIndex = 0;
  }
  return tab;
}

/**
 * Shows newer records in this page: `records` as `script#slimfit-data` holds them, and the markup of the sections that
 * changed by their ids. What the reader set, chose and opened stays.
 */
function showParts({ records, sections }) {
  const kept = settings(), open = document.activeElement && document.activeElement.id;
  takeRecords(records);
  for (const [id, markup] of Object.entries(sections)) element(id).outerHTML = markup;
  forgetCharts();
  state.round++;
  state.region = null;
  view = null;
  const tab = restore(kept);
  startSections();
  if (tab && document.querySelector(`.tabs [data-pick="${CSS.escape(tab)}"]`)) choosePick(tab);
  redrawAll();
  if (tracing()) setTracing(true);
  if (open && element(open)) element(open).focus();
}

takeRecords(element('slimfit-data').textContent);
startTrace();
startSections();
startTheme();
window.slimfit = { show: showParts, resolve, tableText, format: show, digits };
performance.mark('slimfit-interactive');

window.addEventListener('beforeprint', () => {
  writeRows(Infinity);
  writeKernels();
  document.querySelectorAll('details').forEach(part => { part.open = true; });
  drawMissing();
  resizeAll();
});
