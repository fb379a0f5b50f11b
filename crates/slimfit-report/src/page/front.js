// The front: the scatter, the sliders and the table follow what the reader chose in any of them.

/** What the reader did: kept when new records come in. */
const state = { zoom: null, region: null, chosen: null, hovered: null, recommended: null, scatter: null, round: 0 };

/** Chooses a point: a ring in the scatter, its row in the table, and all that is known of it in words. */
function choosePoint(point, scroll) {
  if (!point) return;
  const before = state.chosen;
  state.chosen = point;
  for (const other of [before, point]) if (other && rows.has(other.id)) rows.get(other.id).classList.toggle('chosen', other === point);
  if (!rows.has(point.id)) writeRows(Infinity);
  const row = rows.get(point.id);
  if (row) {
    row.hidden = false;
    row.classList.add('chosen');
    if (scroll) {
      const box = row.closest('.scroll');
      box.scrollTop += row.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight / 2;
    }
  }
  if (view && state.scatter) change(state.scatter, { series: focusSeries(view) });
  describe(point);
}

/** The chosen point in words, with its intervals. */
function describe(point) {
  const box = element('chosen');
  const path = pathOf(point);
  const figure = (part, text) => figureNode('read', `${path}/${part}`, text);
  const facts = make('dl', undefined, { class: 'facts' });
  const fact = (name, ...content) => { const pair = make('div'), held = make('dd'); held.append(...content); pair.append(make('dt', name), held); facts.append(pair); };
  for (const objective of data.objectives) {
    const found = value(point, objective.name), at = `${path}/objectives/${encodedSegment(objective.name)}`;
    if (Number.isNaN(found)) { fact(objective.label, make('span', 'unavailable', { class: 'unavailable', 'data-source': 'unavailable', 'data-at': at })); continue; }
    const node = objectiveNode(point, objective), interval = point.intervals[objective.name];
    const range = interval ? showRange(objective.unit, interval.low, interval.high) : '';
    if (range) node.append(' ', make('span', range, { class: 'range' }));
    fact(objective.label, node);
  }
  fact('Parameters', figure('parameters/total', show('count', point.parameters)));
  fact('Layers × hidden', figure('shape/0', point.shape[0]));
  fact('Heads / kv × size', figure('shape/1', point.shape[1]));
  fact('FFN', figure('shape/2', point.shape[2]));
  fact('Weights / KV', figure('weights', point.weights), ' / ', figure('kv', point.kv));
  fact('Threads', figure('threads', String(point.threads)));
  const head = make('h3');
  head.append(figure('id', point.id));
  for (const pick of point.picks) head.append(' ', make('span', pick, { class: 'badge' }));
  for (const flag of point.flags) head.append(' ', make('span', flag, { class: 'badge warn' }));
  const words = make('p', undefined, { class: 'small' });
  words.append('Tie group ', figure('tie_group', String(point.tie)));
  if (!point.representative) words.append(': a cheaper point differs from it by less than the noise.');
  else if (point.tied) words.append(': ', figure('tied', String(point.tied)), point.tied === 1 ? ' more point differs' : ' more points differ', ' from it by less than the noise.');
  else words.append(': nothing ties with it.');
  if (!Object.keys(point.intervals).length) words.append(' This page holds no intervals of it; ', make('code', 'tables/front.csv'), ' does.');
  const actions = make('p', undefined, { class: 'actions' });
  const copy = make('button', 'Copy its id', { type: 'button' });
  copy.addEventListener('click', async () => said(copy, await copyText(point.id), 'Copy its id'));
  actions.append(copy);
  if (document.querySelector(`.panel[data-model="${CSS.escape(point.id)}"]`)) {
    const link = make('a', 'What it is made of', { href: '#model' });
    link.addEventListener('click', () => choosePick(point.id));
    actions.append(' ', link);
  }
  box.replaceChildren(head, facts, words, actions);
  box.hidden = false;
}

/** Keeps the region that was drawn: the table lists what lies in it, and words say how many that are. */
function selectRegion(x, y, rangeX, rangeY) {
  const inside = point => value(point, x.name) >= rangeX[0] && value(point, x.name) <= rangeX[1] && value(point, y.name) >= rangeY[0] && value(point, y.name) <= rangeY[1];
  state.region = { inside, x: rangeX, y: rangeY };
  writeRows(Infinity);
  listRows();
  const found = points.filter(inside);
  data.live.region = { selected: found.length, [x.name]: rangeX, [y.name]: rangeY };
  const plural = found.length === 1 ? ' point is' : ' points are';
  element('region-words').replaceChildren(figureNode('measured', '/live/region/selected', String(found.length)), `${plural} selected, and the table lists no other.`);
  element('region').hidden = false;
}

function clearRegion() {
  state.region = null;
  data.live.region = {};
  element('region').hidden = true;
  element('region-words').replaceChildren();
  listRows();
}

function startFront() {
  startTable();
  applyLimits();
  const front = element('front');
  for (const slider of document.querySelectorAll('.sliders input[data-objective]')) slider.addEventListener('input', budgetMoved);
  const clear = element('budgets-clear');
  if (clear) clear.addEventListener('click', () => {
    for (const slider of document.querySelectorAll('.sliders input[data-objective]')) slider.value = slider.max;
    budgetMoved();
  });
  front.addEventListener('click', event => {
    const button = event.target.closest('button[data-choose]');
    if (button) choosePoint(byId.get(button.dataset.choose), true);
  });
  if (state.chosen) { state.chosen = byId.get(state.chosen.id) || null; if (state.chosen) choosePoint(state.chosen, false); }
  const scatter = chart(element('pareto-chart'), frontOption);
  state.scatter = scatter;
  if (!scatter) return;
  scatter.ready = startScatter;
  const box = element('select-box');
  box.addEventListener('click', () => {
    if (!scatter.instance) scatter.redraw();
    if (!scatter.instance) return;
    const on = box.getAttribute('aria-pressed') !== 'true';
    box.setAttribute('aria-pressed', String(on));
    scatter.instance.dispatchAction({ type: 'takeGlobalCursor', key: 'brush', brushOption: { brushType: on ? 'rect' : false, brushMode: 'single' } });
  });
  element('region-zoom').addEventListener('click', () => {
    if (state.region) state.zoom = { x: state.region.x, y: state.region.y };
    scatter.redraw();
    element('zoom-reset').hidden = false;
  });
  element('region-clear').addEventListener('click', () => { clearRegion(); box.focus(); });
  element('zoom-reset').addEventListener('click', () => { state.zoom = null; scatter.redraw(); element('zoom-reset').hidden = true; box.focus(); });
  for (const id of ['axis-x', 'axis-y', 'axis-colour', 'log-x', 'log-y', 'show-intervals', 'show-references']) {
    element(id).addEventListener('change', () => { if (/axis-[xy]/.test(id)) { state.zoom = null; if (state.region) clearRegion(); } scatter.redraw(); });
  }
}

/** A slider is dragged many times a second; the scatter follows once a frame. */
function budgetMoved() {
  applyLimits();
  if (state.waiting) return;
  state.waiting = true;
  requestAnimationFrame(() => {
    state.waiting = false;
    if (!view || !state.scatter) return;
    const bars = element('show-intervals').checked ? view.visible.filter(point => isListed(point) && !point.out) : [];
    change(state.scatter, { graphic: pointsPicture(view), series: [...pickSeries(view), intervalSeries(view, 'intervals', bars, { stroke: view.theme.muted, lineWidth: 1, opacity: 0.5 })] });
  });
}

function startScatter(instance) {
  instance.on('click', item => {
    const { model, index } = item.data || {}, point = pointOf(item);
    if (model) { openTrace({ shown: model.name, source: 'published', paths: [`/references/${index}`], figure: null }); return; }
    if (point) choosePoint(point, true);
  });
  const hover = point => {
    if (state.hovered === point) return;
    state.hovered = point;
    if (view) change(state.scatter, { series: focusSeries(view) });
  };
  // One element holds all points, so the pointer moves from one to the next within it.
  instance.on('mousemove', item => hover(pointOf(item)));
  instance.on('globalout', () => hover(null));
  instance.on('mouseout', () => hover(null));
  instance.on('brushEnd', event => {
    const area = event.areas && event.areas[0];
    if (!area || !area.coordRange || !view) return;
    const back = (range, log) => [...range].sort((one, other) => one - other).map(at => log ? 10 ** at : at);
    selectRegion(view.x, view.y, back(area.coordRange[0], view.logX), back(area.coordRange[1], view.logY));
    instance.dispatchAction({ type: 'brush', areas: [] });
    instance.dispatchAction({ type: 'takeGlobalCursor', key: 'brush', brushOption: { brushType: false } });
    element('select-box').setAttribute('aria-pressed', 'false');
  });
}
