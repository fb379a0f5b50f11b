// From a figure to its record: a click on any number, or Enter while figures are traced, opens what it was taken from.

const MEANINGS = {
  measured: 'timed or counted here, on this device',
  read: 'taken from the system or from an input, or counted exactly',
  published: 'taken from a publication',
  modelled: 'computed by a model, not measured',
  unavailable: 'cannot be had here; the record says so or does not hold it',
};
/** Lists longer than this are shown by their length and their beginning. */
const LONGEST_LIST = 16;

/** Who made the record at a path, in words. */
function maker(path) {
  const [, room, , , part, name] = path.split('/').map(decodeURIComponent);
  const front = data.front || {}, profile = data.profile, recipe = front.recipe;
  const onProfile = () => profile ? `on the hardware profile of ${profile.name}, made ${profile.provenance.created} by ${profile.provenance.tool}` : 'on the hardware profile';
  if (room === 'front' && part === 'objectives') {
    const quality = /^(loss|score_)/.test(name || '');
    if (quality) return `the quality model: recipe ${recipe.name}, ${show('count', recipe.tokens)} tokens`;
    return `the cost model ${front.engine} ${onProfile()}`;
  }
  if (room === 'front') return `slimfit search in the space ${front.space ? front.space.name : ''}`;
  if (room === 'explanations') return `the cost model ${onProfile()}`;
  if (room === 'profile' || room === 'roofline') return profile ? `slimfit profile: ${profile.provenance.tool}, ${profile.provenance.created}` : 'slimfit profile';
  if (room === 'measurements') return 'a run on this device';
  if (room === 'verification') return 'slimfit verify: predicted first, run afterwards';
  if (room === 'references' || room === 'existing') return 'the list of public models, priced on this device';
  if (room === 'counts') return 'counted from the records when this page was written';
  if (room === 'live') return 'your settings on this page, applied to the records of the front';
  return 'the program that wrote this page';
}

function shortened(value) {
  if (!Array.isArray(value) || value.length <= LONGEST_LIST) return value;
  return { items: value.length, first: value.slice(0, 2) };
}

/** Shows the records at `paths`; `figure` is where the focus returns to. */
function openTrace({ shown, source, paths, figure }) {
  const panel = element('trace');
  const all = paths.flatMap(path => {
    const interval = path.replace(/\/objectives\/(?=[^/]+$)/, '/intervals/');
    return interval !== path && resolve(interval).found ? [path, interval] : [path];
  });
  const records = all.map(path => {
    const { found, value } = resolve(path);
    const box = make('div', undefined, { class: 'record' });
    const code = make('code', path.slice(1).split('/').map(decodeURIComponent).join(' › '));
    box.append(code, make('pre', found ? JSON.stringify(shortened(value), null, 1) : 'the records do not hold it', { 'data-path': path, 'data-found': String(found), tabindex: '0', role: 'region', 'aria-label': `Record ${path}` }));
    return box;
  });
  const facts = make('dl');
  for (const [name, text] of [['Shown', shown], ['Source', `${source}: ${MEANINGS[source] || ''}`], ['From', maker(paths[0])]]) facts.append(make('dt', name), make('dd', text));
  element('trace-body').replaceChildren(facts, ...records);
  panel.hidden = false;
  panel.figure = figure;
  panel.copied = all.map(path => `${path} = ${JSON.stringify(resolve(path).value)}`).join('\n');
  document.querySelectorAll('.traced').forEach(other => other.classList.remove('traced'));
  if (figure) figure.classList.add('traced');
}

function closeTrace() {
  const panel = element('trace');
  if (panel.hidden) return;
  panel.hidden = true;
  document.querySelectorAll('.traced').forEach(other => other.classList.remove('traced'));
  const { figure } = panel;
  if (figure && figure.isConnected && figure.tabIndex === 0) figure.focus();
}

function traceFigure(figure) {
  openTrace({ shown: figure.textContent.trim().slice(0, 200), source: figure.dataset.source, paths: pathsOf(figure), figure });
}

const INTERACTIVE = 'a, button, input, select, summary, label';

/** While figures are traced each of them is a stop of the Tab key. */
function setTracing(on) {
  if (on) writeRows(Infinity);
  element('tracing').setAttribute('aria-pressed', String(on));
  document.documentElement.classList.toggle('tracing', on);
  for (const figure of document.querySelectorAll('[data-at]')) reachable(figure, on);
}

function reachable(figure, on) {
  if (figure.matches('pre')) return;
  if (on) { figure.tabIndex = 0; figure.setAttribute('role', 'button'); } else { figure.removeAttribute('tabindex'); figure.removeAttribute('role'); }
}

const tracing = () => document.documentElement.classList.contains('tracing');

function startTrace() {
  document.addEventListener('click', event => {
    const figure = event.target.closest('[data-at]');
    if (!figure || event.target.closest(INTERACTIVE)) return;
    if (String(getSelection())) return;
    traceFigure(figure);
  });
  document.addEventListener('keydown', event => {
    if (event.key === 'Escape') closeTrace();
    if ((event.key === 'Enter' || event.key === ' ') && event.target.matches('[data-at][role=button]')) {
      event.preventDefault();
      traceFigure(event.target);
      element('trace-title').focus();
    }
  });
  element('tracing').addEventListener('click', () => setTracing(!tracing()));
  element('trace-close').addEventListener('click', closeTrace);
  element('trace-copy').addEventListener('click', async () => {
    said(element('trace-copy'), await copyText(element('trace').copied), 'Copy');
  });
}
