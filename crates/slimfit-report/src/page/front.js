// The front: points, sliders, scatter and table.

/** Every point of the front in one form, whether it came in full or as columns. */
function frontPoints() {
  const front = data.front;
  if (!front) return [];
  const names = data.objectives.map(objective => objective.name);
  const points = front.points.map(point => ({
    id: point.id, shape: point.shape, weights: point.weights, kv: point.kv, parameters: point.parameters.total,
    threads: point.threads, tie: point.tie_group, tied: point.tied, representative: point.representative, picks: point.picks, flags: point.flags,
    objectives: point.objectives, intervals: point.intervals, sources: point.sources || {},
  }));
  const more = front.more;
  if (more) {
    const text = place => more.texts[place];
    more.id.forEach((id, index) => points.push({
      id, shape: more.shape[index].map(text), weights: text(more.weights[index]), kv: text(more.kv[index]), parameters: more.parameters[index],
      threads: more.threads[index], tie: more.tie_group[index], tied: Math.max(more.tied[index], 0), representative: more.tied[index] >= 0, picks: [],
      flags: more.flags[index].map(text), intervals: {}, sources: {},
      objectives: Object.fromEntries(names.map((name, place) => [name, more.objectives[index][place]])),
    }));
  }
  return points;
}

const points = frontPoints();
const byId = new Map(points.map(point => [point.id, point]));
const objectiveByName = new Map(data.objectives.map(objective => [objective.name, objective]));
const sourceOf = (point, name) => point.sources[name] || 'modelled';
/** `3`, or `3 ≈7` where seven other points tie with the cheapest of group 3. */
const tieText = point => point.tied ? `${point.tie} ≈${point.tied}` : String(point.tie);
const value = (point, name) => { const found = point.objectives[name]; return Number.isFinite(found) ? found : NaN; };

/** What the sliders ask for: objective name and greatest value, only where the reader moved one. */
function limits() {
  const asked = [];
  for (const slider of document.querySelectorAll('.sliders input[type=range][data-objective]')) {
    const limit = Number(slider.value);
    if (limit < Number(slider.max) * (1 - 1e-12)) asked.push([slider.dataset.objective, limit]);
  }
  return asked;
}

function fits(point, asked) { return asked.every(([name, limit]) => value(point, name) <= limit * (1 + 1e-12)); }

function applyLimits() {
  const asked = limits();
  let fitting = 0;
  for (const point of points) { point.out = !fits(point, asked); if (!point.out) fitting++; }
  for (const row of document.querySelectorAll('#front-table tr[data-id]')) {
    const point = byId.get(row.dataset.id);
    if (point) { row.classList.toggle('out', point.out); row.setAttribute('aria-disabled', String(point.out)); }
  }
  for (const slider of document.querySelectorAll('.sliders input[type=range][data-objective]')) {
    const limit = Number(slider.value), free = limit >= Number(slider.max) * (1 - 1e-12);
    const objective = objectiveByName.get(slider.dataset.objective);
    const text = free ? `no limit (up to ${show(objective.unit, limit)})` : `at most ${show(objective.unit, limit)}`;
    element(`${slider.name}-value`).textContent = text;
    slider.setAttribute('aria-valuetext', text);
  }
  const count = element('fit-count');
  if (count) {
    const left = points.filter(point => point.picks.length && !point.out).map(point => point.picks.join(', '));
    count.textContent = points.length
      ? `${fitting} of ${points.length} points fit.` + (points.some(point => point.picks.length) ? ` Picks that fit: ${left.join('; ') || 'none'}.` : '')
      : 'There are no points to filter.';
  }
}

/** The dominated cloud, unpacked: one array for each objective. */
const cloud = (() => {
  const packed = data.cloud;
  if (!packed) return null;
  const text = atob(packed.data), columns = {};
  packed.scales.forEach((scale, objective) => {
    const values = new Float64Array(packed.count);
    for (let point = 0; point < packed.count; point++) {
      const at = 2 * (objective * packed.count + point);
      const share = (text.charCodeAt(at) + 256 * text.charCodeAt(at + 1)) / 65535;
      values[point] = scale.log ? scale.low * (scale.high / scale.low) ** share : scale.low + (scale.high - scale.low) * share;
    }
    columns[data.objectives[objective].name] = values;
  });
  return { count: packed.count, columns };
})();

/** What a reader must know of the noise around a point. */
function tieWords(point) {
  if (!point.representative) return `tie group ${point.tie}: a cheaper point differs by less than the noise`;
  return point.tied ? `tie group ${point.tie}: ≈${point.tied} more differ by less than the noise` : `tie group ${point.tie}: nothing ties with it`;
}

let zoom = null;

function frontTooltip(item) {
  const point = item.data && item.data.point;
  if (!point) {
    const model = item.data && item.data.model;
    if (!model) return '';
    const lines = data.objectives.filter(objective => Number.isFinite(model.objectives[objective.name]))
      .map(objective => `${escaped(objective.label)}: <i>${show(objective.unit, model.objectives[objective.name])}</i>`);
    return `<b>${escaped(model.name)}</b>, public model<br>${show('count', model.parameters)} parameters, ${escaped(model.weights)}<br>${lines.join('<br>')}<br>predicted on this device`;
  }
  const lines = data.objectives.map(objective => {
    const found = value(point, objective.name), interval = point.intervals[objective.name];
    if (Number.isNaN(found)) return `${escaped(objective.label)}: unavailable`;
    const measured = sourceOf(point, objective.name) === 'measured';
    return `${escaped(objective.label)}: ${measured ? `${show(objective.unit, found)} measured` : `<i>${show(objective.unit, found)}</i>`}` + (interval ? ` <small>${showRange(objective.unit, interval.low, interval.high)}</small>` : '');
  });
  const mixed = data.objectives.some(objective => sourceOf(point, objective.name) === 'measured');
  const predicted = mixed ? 'predicted unless marked as measured' : 'all predicted';
  const [layers, heads, ffn, vocabulary] = point.shape.map(escaped);
  const name = [escaped(point.id), ...point.picks.map(escaped)].join(' · ');
  const flags = point.flags.length ? `<br>${point.flags.map(escaped).join(', ')}` : '';
  return `<b>${name}</b><br>${show('count', point.parameters)} parameters, ${escaped(point.weights)} / ${escaped(point.kv)}, threads ${point.threads}<br>` +
    `${layers} · heads ${heads} · FFN ${ffn} · vocabulary ${vocabulary}<br>${lines.join('<br>')}${flags}<br>${tieWords(point)}; ${predicted}`;
}

function frontOption(theme) {
  const chosen = id => objectiveByName.get(element(id).value);
  const x = chosen('axis-x'), y = chosen('axis-y'), colour = chosen('axis-colour');
  if (!x || !y) return null;
  const visible = points.filter(point => Number.isFinite(value(point, x.name)) && Number.isFinite(value(point, y.name)));
  const models = element('show-references').checked ? data.references.filter(model => Number.isFinite(model.objectives[x.name]) && Number.isFinite(model.objectives[y.name])) : [];
  const valuesOf = objective => visible.map(point => value(point, objective.name)).concat(models.map(model => model.objectives[objective.name]));
  const [allX, allY] = [valuesOf(x), valuesOf(y)];
  const logX = element('log-x').checked && allX.every(value => value > 0), logY = element('log-y').checked && allY.every(value => value > 0);
  const rangeX = (zoom && zoom.x) || extent(allX, logX), rangeY = (zoom && zoom.y) || extent(allY, logY);
  if (!rangeX || !rangeY) return nothingToDraw(theme, 'No point has finite values for both axes.');
  const labelOf = objective => at => objective.unit === 'plain' ? digits(at) : show(objective.unit, at);
  const title = objective => `${objective.label}${objective.unit === 'plain' ? `, ${objective.unit_text}` : ''} (predicted${objective.direction === 'max' ? ', more is better' : ''})`;
  const acrossAxis = axis(theme, title(x), rangeX, logX, labelOf(x), false, x.unit === 'bytes');
  const upAxis = axis(theme, title(y), rangeY, logY, labelOf(y), true, y.unit === 'bytes');
  const at = (a, b) => [acrossAxis.place(a), upAxis.place(b)];
  const shades = colour ? visible.map(point => value(point, colour.name)).filter(Number.isFinite) : [];
  const shadeRange = shades.length ? [Math.min(...shades), Math.max(...shades)] : null;
  const shade = point => {
    const found = colour ? value(point, colour.name) : NaN;
    if (!shadeRange || Number.isNaN(found)) return theme.memory;
    const log = shadeRange[0] > 0 && shadeRange[1] / shadeRange[0] > 4;
    const place = log ? Math.log : Number;
    const span = place(shadeRange[1]) - place(shadeRange[0]);
    return scaleColour(theme, span > 0 ? (place(found) - place(shadeRange[0])) / span : 0.5);
  };
  showScale(colour, shadeRange);
  // Labels near the right edge hang to the left of their mark.
  const share = where => (where[0] - acrossAxis.place(rangeX[0])) / (acrossAxis.place(rangeX[1]) - acrossAxis.place(rangeX[0]));
  const mark = point => ({
    value: at(value(point, x.name), value(point, y.name)), point,
    itemStyle: { color: point.out ? theme.out : shade(point), opacity: point.out ? 0.5 : point.representative || point.picks.length ? 1 : 0.55 },
  });
  const series = [];
  if (cloud) {
    const [xs, ys] = [cloud.columns[x.name], cloud.columns[y.name]], dust = [];
    for (let index = 0; index < cloud.count; index++) {
      if (xs[index] >= rangeX[0] && xs[index] <= rangeX[1] && ys[index] >= rangeY[0] && ys[index] <= rangeY[1]) dust.push(at(xs[index], ys[index]));
    }
    series.push({ type: 'scatter', name: 'dominated', silent: true, large: true, largeThreshold: 500, symbolSize: 2, itemStyle: { color: theme.dust, opacity: 0.6 }, data: dust, z: 1 });
  }
  if (element('show-intervals').checked) series.push(intervalSeries(theme, visible, x, y, acrossAxis, upAxis, [rangeX, rangeY]));
  series.push({ type: 'scatter', name: 'front', symbolSize: (_, item) => item.data.point.representative ? 9 : 5.5, data: visible.map(mark), z: 3, emphasis: { scale: 1.6 } });
  const picked = visible.filter(point => point.picks.length);
  series.push({
    type: 'scatter', name: 'picks', symbolSize: 17, z: 4, emphasis: { scale: 1.2 },
    data: picked.map(point => ({
      value: at(value(point, x.name), value(point, y.name)), point,
      itemStyle: { color: 'transparent', borderColor: point.out ? theme.out : theme.pick, borderWidth: 2 },
      label: { show: true, formatter: () => point.picks.join(', '), position: share(at(value(point, x.name), value(point, y.name))) > 0.7 ? 'left' : 'top', color: point.out ? theme.muted : theme.ink, fontSize: 13, fontWeight: 600, textBorderColor: theme.surface, textBorderWidth: 3 },
    })),
    labelLayout: { hideOverlap: false, moveOverlap: 'shiftY' },
  });
  series.push({
    type: 'scatter', name: 'public models', symbol: 'diamond', symbolSize: 12, z: 4, itemStyle: { color: theme.reference, borderColor: theme.surface, borderWidth: 1 },
    data: models.map(model => ({ value: at(model.objectives[x.name], model.objectives[y.name]), model, label: { position: share(at(model.objectives[x.name], model.objectives[y.name])) > 0.7 ? 'left' : 'right' }, itemStyle: { opacity: limits().every(([name, limit]) => model.objectives[name] <= limit) ? 1 : 0.3 } })),
    label: { show: true, formatter: item => item.data.model.name, position: 'right', color: theme.muted, fontSize: 12, textBorderColor: theme.surface, textBorderWidth: 3 },
    labelLayout: { hideOverlap: true },
  });
  const asked = limits();
  const limitOf = objective => asked.filter(([name]) => name === objective.name).map(([, limit]) => limit)[0];
  const lines = [];
  if (limitOf(x) !== undefined) lines.push({ xAxis: acrossAxis.place(limitOf(x)) });
  if (limitOf(y) !== undefined) lines.push({ yAxis: upAxis.place(limitOf(y)) });
  if (lines.length) series[series.length - 1].markLine = { silent: true, symbol: 'none', label: { show: false }, lineStyle: { color: theme.pick, type: 'dashed' }, data: lines };
  return {
    grid: grid(), xAxis: acrossAxis.option, yAxis: upAxis.option, series, tooltip: tooltip(theme, frontTooltip),
    toolbox: { show: false },
    brush: { xAxisIndex: 0, yAxisIndex: 0, brushType: 'rect', brushMode: 'single', transformable: false, throttleType: 'debounce', throttleDelay: 100, brushStyle: { color: 'rgba(128,128,128,.15)', borderColor: theme.accent } },
  };
}

/** Bars over the ninety-percent intervals. */
function intervalSeries(theme, visible, x, y, acrossAxis, upAxis, [rangeX, rangeY]) {
  const clamp = (value, [low, high]) => Math.min(Math.max(value, low), high);
  const bars = visible.filter(point => (point.representative || point.picks.length) && !point.out && point.intervals[x.name] && point.intervals[y.name]).map(point => {
    const [a, b] = [point.intervals[x.name], point.intervals[y.name]];
    return [value(point, x.name), value(point, y.name), clamp(a.low, rangeX), clamp(a.high, rangeX), clamp(b.low, rangeY), clamp(b.high, rangeY)].map((number, index) => ([1, 4, 5].includes(index) ? upAxis : acrossAxis).place(number));
  });
  return {
    type: 'custom', name: 'intervals', silent: true, data: bars, z: 2, encode: { x: [2, 3], y: [4, 5] },
    renderItem: (_, api) => {
      const line = (from, to) => ({ type: 'line', shape: { x1: from[0], y1: from[1], x2: to[0], y2: to[1] }, style: { stroke: theme.muted, lineWidth: 1, opacity: 0.5 } });
      const [px, py, lx, hx, ly, hy] = [0, 1, 2, 3, 4, 5].map(index => api.value(index));
      return { type: 'group', children: [line(api.coord([lx, py]), api.coord([hx, py])), line(api.coord([px, ly]), api.coord([px, hy]))] };
    },
  };
}

/** The colour scale in words beneath the chart's controls. */
function showScale(objective, range) {
  let scale = element('colour-scale');
  if (!scale) {
    scale = make('span', undefined, { id: 'colour-scale', class: 'scale' });
    document.querySelector('#front .controls').append(scale);
  }
  scale.replaceChildren();
  if (!objective || !range) return;
  scale.append(make('span', show(objective.unit, range[0]), { 'data-source': 'modelled' }), make('i'), make('span', show(objective.unit, range[1]), { 'data-source': 'modelled' }));
}

function chooseRow(id) {
  const row = document.querySelector(`#front-table tr[data-id="${CSS.escape(id)}"]`);
  if (!row) return;
  document.querySelectorAll('#front-table tr.chosen').forEach(other => other.classList.remove('chosen'));
  row.hidden = false;
  row.classList.add('chosen');
  row.scrollIntoView({ block: 'center' });
}

/** The cells of one row: the same that the page's own rows hold (`front.rs`). */
function tableRow(point) {
  const row = make('tr', undefined, { 'data-id': point.id, 'data-tie': point.tie });
  if (point.picks.length) row.className = 'picked';
  const cell = (sort, ...content) => { const made = make('td', undefined, Number.isNaN(sort) ? {} : { 'data-value': sort }); made.append(...content); row.append(made); };
  const read = text => make('span', text, { 'data-source': 'read' });
  const badges = point.picks.map(pick => make('span', pick, { class: 'badge' })).concat(point.flags.map(flag => make('span', flag, { class: 'badge warn' })));
  cell(point.id, read(point.id), ...badges.flatMap(badge => [' ', badge]));
  cell(point.parameters, read(show('count', point.parameters)));
  for (const objective of data.objectives) {
    const found = value(point, objective.name);
    if (Number.isNaN(found)) { cell('', make('span', 'unavailable', { class: 'unavailable', 'data-source': 'unavailable' })); continue; }
    const shown = make('span', show(objective.unit, found), { 'data-source': sourceOf(point, objective.name) });
    const interval = point.intervals[objective.name], range = interval ? showRange(objective.unit, interval.low, interval.high) : '';
    if (range) shown.append(' ', make('span', range, { class: 'range' }));
    cell(found, shown);
  }
  point.shape.forEach(text => cell(parseFloat(text), read(text)));
  cell(`${point.weights} / ${point.kv}`, read(`${point.weights} / ${point.kv}`));
  cell(point.threads, read(String(point.threads)));
  cell(point.tie, read(tieText(point)));
  return row;
}

function sortTable(header) {
  const table = element('front-table'), headers = [...table.querySelectorAll('th[data-key]')];
  const rising = header.getAttribute('aria-sort') !== 'ascending';
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

function startFront() {
  const table = element('front-table');
  if (table) {
    const written = new Set([...table.querySelectorAll('tr[data-id]')].map(row => row.dataset.id));
    const rest = points.filter(point => !written.has(point.id)).map(point => {
      const row = tableRow(point);
      row.hidden = !point.representative && !point.picks.length;
      return row;
    });
    table.tBodies[0].append(...rest);
    for (const header of table.querySelectorAll('th[data-key]')) header.querySelector('button').addEventListener('click', () => sortTable(header));
    // Sorting turns the order of a column round, so it is first set to the other one.
    const first = table.querySelector('th[data-key]:not([aria-sort="none"])');
    if (first) { first.setAttribute('aria-sort', first.getAttribute('aria-sort') === 'descending' ? 'ascending' : 'none'); sortTable(first); }
    const ties = element('show-ties');
    if (ties) ties.addEventListener('change', () => {
      for (const row of table.querySelectorAll('tr[data-id]')) {
        const point = byId.get(row.dataset.id);
        row.hidden = !ties.checked && !point.representative && !point.picks.length;
      }
    });
  }
  applyLimits();
  const scatter = chart(element('pareto-chart'), frontOption);
  if (!scatter) return;
  scatter.ready = instance => {
    instance.on('click', item => {
      const point = item.data && item.data.point;
      if (!point) return;
      if (point.picks.length) choosePick(point.id);
      chooseRow(point.id);
    });
    instance.on('brushEnd', event => {
      const area = event.areas && event.areas[0];
      if (!area || !area.coordRange) return;
      const back = (range, log) => range.map(value => log ? 10 ** value : value);
      zoom = { x: back(area.coordRange[0], element('log-x').checked), y: back(area.coordRange[1], element('log-y').checked) };
      scatter.redraw();
      instance.dispatchAction({ type: 'brush', areas: [] });
      instance.dispatchAction({ type: 'takeGlobalCursor', key: 'brush', brushOption: { brushType: false } });
      zoomButton(false);
    });
  };
  const zoomStart = make('button', 'Zoom into a box', { type: 'button', id: 'zoom-box', 'aria-pressed': 'false' });
  const zoomButton = on => zoomStart.setAttribute('aria-pressed', String(on));
  element('zoom-reset').before(zoomStart);
  zoomStart.addEventListener('click', () => {
    zoomButton(true);
    scatter.instance.dispatchAction({ type: 'takeGlobalCursor', key: 'brush', brushOption: { brushType: 'rect', brushMode: 'single' } });
  });
  element('zoom-reset').addEventListener('click', () => { zoom = null; scatter.redraw(); });
  for (const id of ['axis-x', 'axis-y', 'axis-colour', 'log-x', 'log-y', 'show-intervals', 'show-references']) {
    element(id).addEventListener('change', () => { zoom = null; scatter.redraw(); });
  }
  let waiting = false;
  for (const slider of document.querySelectorAll('.sliders input[data-objective]')) {
    slider.addEventListener('input', () => {
      applyLimits();
      if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; scatter.redraw(); }); }
    });
  }
}
