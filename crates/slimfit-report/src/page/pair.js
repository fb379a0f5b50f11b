// Two models of the front side by side.

function pairOf(id) { return byId.get(element(id).value.trim()); }

/** A value with its interval and where it comes from. */
function pairCell(objective, point) {
  const found = value(point, objective.name), interval = point.intervals[objective.name];
  if (Number.isNaN(found)) return make('td', 'unavailable', { 'data-source': 'unavailable' });
  const range = interval ? showRange(objective.unit, interval.low, interval.high) : '';
  return make('td', show(objective.unit, found) + (range ? ` (${range})` : ''), { 'data-source': sourceOf(point, objective.name) });
}

/** `18 % less`, `3.2 times as much`, as `differences.rs` words it. */
function byWords(ratio) {
  if (!Number.isFinite(ratio) || ratio <= 0) return 'different';
  if (ratio === 1) return 'the same';
  if (ratio >= 0.5 && ratio < 2) return `${show('fraction', Math.abs(ratio - 1))} ${ratio < 1 ? 'less' : 'more'}`;
  return `${digits(ratio)} times as much`;
}

/** Whether the intervals of two predictions lie apart. */
function apart(name, first, second) {
  const [a, b] = [first, second].map(point => point.intervals[name]);
  if (!a || !b) return '';
  return a.high < b.low || b.high < a.low ? 'more than the noise' : 'within both intervals';
}

function showPair() {
  const [first, second] = [pairOf('pair-first'), pairOf('pair-second')];
  const told = element('pair-told'), body = document.querySelector('#pair-table tbody');
  const missing = ['pair-first', 'pair-second'].filter(id => !pairOf(id)).map(id => element(id).value.trim());
  element('pair-table').hidden = missing.length > 0;
  if (missing.length) { told.textContent = `No point of this page has the id ${missing.map(id => `“${id}”`).join(' or ')}.`; return; }
  const better = [0, 0];
  const facts = [
    ['Layers and width', point => point.shape[0]], ['Heads', point => point.shape[1]], ['Feed-forward', point => point.shape[2]],
    ['Vocabulary', point => point.shape[3]], ['Weights / KV', point => `${point.weights} / ${point.kv}`], ['Threads', point => String(point.threads)],
    ['Parameters', point => show('count', point.parameters)],
  ].map(([label, of]) => {
    const row = make('tr');
    row.append(make('th', label, { scope: 'row' }), ...[first, second].map(point => make('td', of(point), { 'data-source': 'read' })), make('td', of(first) === of(second) ? 'the same' : ''), make('td', ''));
    return row;
  });
  const objectives = data.objectives.map(objective => {
    const [a, b] = [first, second].map(point => value(point, objective.name));
    if (a !== b) better[(objective.direction === 'max' ? b > a : b < a) ? 1 : 0]++;
    const row = make('tr');
    row.append(make('th', objective.label, { scope: 'row' }), pairCell(objective, first), pairCell(objective, second),
      make('td', Number.isNaN(a) || Number.isNaN(b) ? '' : byWords(b / a)), make('td', apart(objective.name, first, second)));
    return row;
  });
  body.replaceChildren(...facts, ...objectives);
  document.querySelectorAll('#pair-table thead th[data-side]').forEach((cell, place) => { cell.textContent = [first, second][place].id; });
  told.textContent = first === second ? 'Both are the same model.'
    : `${first.id} is better in ${better[0]} and ${second.id} in ${better[1]} of ${data.objectives.length} objectives, central values alone.`;
}

function startPair() {
  if (!element('pair-first')) return;
  for (const id of ['pair-first', 'pair-second']) element(id).addEventListener('input', showPair);
  showPair();
}
