// The theme, and the start of all parts.

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

startFront();
startDevice();
startModel();
startPair();
startTheme();

window.addEventListener('beforeprint', () => {
  document.querySelectorAll('details').forEach(part => { part.open = true; });
  resizeAll();
});
