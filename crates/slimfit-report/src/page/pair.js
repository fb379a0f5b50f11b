// Two models of the front side by side.

const PAIR = ['pair-first', 'pair-second'];
const pairOf = id => byId.get(element(id).value.trim());

/** Whether the intervals of two predictions lie apart. */
function apart(name, first, second) {
  const [a, b] = [first, second].map(point => point.intervals[name]);
  if (!a || !b) return '';
  return a.high < b.low || b.high < a.low ? 'more than the noise' : 'within both intervals';
}

function pairCell(point, path, text, source = 'read') {
  const cell = make('td');
  cell.append(make('span', text, { 'data-source': source, 'data-at': `${pathOf(point)}/${path}` }));
  return cell;
}

/** A value with its interval, and where it comes from. */
function pairValue(objective, point) {
  const found = value(point, objective.name), path = `objectives/${encodedSegment(objective.name)}`;
  if (Number.isNaN(found)) return pairCell(point, path, 'unavailable', 'unavailable');
  const interval = point.intervals[objective.name], range = interval ? showRange(objective.unit, interval.low, interval.high) : '';
  const cell = pairCell(point, path, show(objective.unit, found), sourceOf(point, objective.name));
  if (range) cell.firstChild.append(' ', make('span', range, { class: 'range' }));
  return cell;
}

function pairRow(label, ...cells) {
  const row = make('tr');
  row.append(make('th', label, { scope: 'row' }), ...cells);
  return row;
}

/** What the second takes of what the first does; the figure's record is what this page computed from both. */
function pairRatio(name) {
  const ratio = data.live.pair.ratios[name];
  if (!Number.isFinite(ratio)) return make('td');
  if (ratio === 1) return make('td', 'the same');
  const cell = make('td');
  cell.append(make('span', `${digits(ratio)} ×`, { 'data-source': 'modelled', 'data-at': `/live/pair/ratios/${encodedSegment(name)}` }));
  return cell;
}

function showPair() {
  const [first, second] = PAIR.map(pairOf);
  const told = element('pair-told'), missing = PAIR.filter(id => !pairOf(id)).map(id => `“${element(id).value.trim()}”`);
  element('pair-table').hidden = missing.length > 0;
  if (missing.length) { told.replaceChildren(`No point of this page has the id ${missing.join(' or ')}.`); return; }
  const better = { first: 0, second: 0 }, ratios = {};
  for (const objective of data.objectives) {
    const [a, b] = [first, second].map(point => value(point, objective.name));
    ratios[objective.name] = b / a;
    if (a !== b && !Number.isNaN(a) && !Number.isNaN(b)) better[(objective.direction === 'max' ? b > a : b < a) ? 'second' : 'first']++;
  }
  data.live.pair = { first: first.id, second: second.id, better, ratios };
  const facts = [
    ['Layers × hidden', 'shape/0', point => point.shape[0]], ['Heads / kv × size', 'shape/1', point => point.shape[1]], ['FFN', 'shape/2', point => point.shape[2]],
    ['Vocabulary', 'shape/3', point => point.shape[3]], ['Weights / KV', 'weights kv', point => `${point.weights} / ${point.kv}`],
    ['Threads', 'threads', point => String(point.threads)], ['Parameters', 'parameters/total', point => show('count', point.parameters)],
  ].map(([label, path, of]) => {
    const paths = point => path.split(' ').map(part => `${pathOf(point)}/${part}`).join(' ');
    const cells = [first, second].map(point => { const cell = make('td'); cell.append(make('span', of(point), { 'data-source': 'read', 'data-at': paths(point) })); return cell; });
    return pairRow(label, ...cells, make('td', of(first) === of(second) ? 'the same' : ''), make('td'));
  });
  const objectives = data.objectives.map(objective =>
    pairRow(objective.label, pairValue(objective, first), pairValue(objective, second), pairRatio(objective.name), make('td', apart(objective.name, first, second))));
  document.querySelector('#pair-table tbody').replaceChildren(...facts, ...objectives);
  document.querySelectorAll('#pair-table thead th[data-side]').forEach((cell, place) => { cell.textContent = [first, second][place].id; });
  const count = side => figureNode('modelled', `/live/pair/better/${side}`, String(better[side]));
  const objectivesNode = figureNode('read', '/objectives', String(data.objectives.length));
  if (first === second) told.replaceChildren('Both are the same model.');
  else told.replaceChildren(`${first.id} is better in `, count('first'), ` and ${second.id} in `, count('second'), ' of ', objectivesNode, ' objectives, by central values alone.');
  if (tracing()) element('compare').querySelectorAll('[data-at]').forEach(figure => reachable(figure, true));
}

function startPair() {
  if (!element('pair-first')) return;
  for (const id of PAIR) element(id).addEventListener('input', showPair);
  showPair();
}
