// A page that `slimfit serve` answers with: asks how far the search is, and loads itself anew when the study has more records.

const PAUSE = 1000, LONG_PAUSE = 5000, KEPT = 'slimfit-live';

/** What the reader chose and where the reader is, kept while the page loads itself anew. */
function keepState() {
  const inputs = [...document.querySelectorAll('main input, main select')].filter(input => input.id || input.name)
    .map(input => [input.id || input.name, input.type === 'checkbox' ? input.checked : input.value]);
  const open = [...document.querySelectorAll('main details')].map(part => part.open);
  try { sessionStorage.setItem(KEPT, JSON.stringify({ inputs, open, scroll: window.scrollY })); } catch { /* nowhere to keep it */ }
}

function restoreState() {
  const kept = (() => { try { return JSON.parse(sessionStorage.getItem(KEPT)); } catch { return null; } })();
  if (!kept) return;
  try { sessionStorage.removeItem(KEPT); } catch { /* nothing was kept */ }
  for (const [name, value] of kept.inputs) {
    const input = element(name) || document.querySelector(`main [name="${CSS.escape(name)}"]`);
    if (!input) continue;
    if (input.type === 'checkbox') input.checked = value; else input.value = value;
    input.dispatchEvent(new Event('input', { bubbles: true }));
    input.dispatchEvent(new Event('change', { bubbles: true }));
  }
  document.querySelectorAll('main details').forEach((part, index) => { part.open = kept.open[index] ?? part.open; });
  window.scrollTo(0, kept.scroll);
}

function tell(words) {
  const node = element('live');
  if (node.textContent !== words) node.textContent = words;
}

async function ask() {
  let pause = document.hidden ? LONG_PAUSE : PAUSE;
  try {
    const answer = await fetch('running.json', { cache: 'no-store' });
    if (!answer.ok) throw new Error(await answer.text());
    const { revision, running: next } = await answer.json();
    if (revision !== data.revision) { keepState(); location.reload(); return; }
    if (next) { next.labels = data.labels; next.units = data.units; }
    showRunning(next);
    tell(next && next.at_work ? 'Live: a search is at work' : 'Live: waiting for something new');
    if (!next) pause = Math.max(pause, 2 * PAUSE);
  } catch {
    tell('Not live: the server has gone or cannot read the study');
    pause = LONG_PAUSE;
  }
  setTimeout(ask, pause);
}

restoreState();
ask();
