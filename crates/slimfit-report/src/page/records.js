// The records that the page carries, and the paths by which its figures name theirs.

/** Everything in `script#slimfit-data`; `live` holds what the reader's own settings make of it. */
let data = {};

function takeRecords(text) {
  data = JSON.parse(text);
  data.live = { limits: {}, budget: {}, colour: {}, region: {} };
  takePoints();
}

/** The full paths of a figure: what does not begin with a slash goes on from the nearest `data-under` around it. */
function pathsOf(figure) {
  const around = figure.parentElement.closest('[data-under]');
  return figure.dataset.at.split(' ').filter(Boolean).map(path => path.startsWith('/') ? path : `${around ? around.dataset.under : ''}/${path}`);
}

/** What lies at a path; `found` is false where the records end before it. */
function resolve(path) {
  let value = data;
  for (const part of path.split('/').slice(1)) {
    const [key, wanted] = part.split('=').map(decodeURIComponent);
    let next;
    if (value === null || typeof value !== 'object') next = undefined;
    else if (Array.isArray(value) && wanted !== undefined) next = value.find(item => String(item[key]) === wanted) || (key === 'id' && data.front && value === data.front.points ? pointRecord(wanted) : undefined);
    else if (Object.hasOwn(value, key)) next = value[key];
    if (next === undefined) return { found: false, value: null };
    value = next;
  }
  return { found: true, value };
}

/** The record of a point that the page carries as columns, as `front.points` would hold it. */
function pointRecord(id) {
  const point = byId.get(id);
  if (!point) return undefined;
  const { shape, weights, kv, threads, objectives, flags, tied, representative } = point;
  return { id, parameters: { total: point.parameters }, shape, weights, kv, threads, objectives, intervals: {}, tie_group: point.tie, tied, representative, picks: [], flags };
}
