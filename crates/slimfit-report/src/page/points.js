// The points of the front, the dominated cloud beneath them, and what is said of one point.

let points = [];
let byId = new Map();
let objectiveByName = new Map();
/** The dominated cloud, unpacked: one array for each objective; `null` where the study kept none. */
let cloud = null;

function takePoints() {
  objectiveByName = new Map(data.objectives.map(objective => [objective.name, objective]));
  points = frontPoints();
  byId = new Map(points.map(point => [point.id, point]));
  cloud = unpackedCloud();
}

/** Every point of the front in one form, whether it came in full or as columns. */
function frontPoints() {
  const front = data.front;
  if (!front) return [];
  const names = data.objectives.map(objective => objective.name);
  const found = front.points.map(point => ({
    id: point.id, shape: point.shape, weights: point.weights, kv: point.kv, parameters: point.parameters.total,
    threads: point.threads, tie: point.tie_group, tied: point.tied, representative: point.representative, picks: point.picks, flags: point.flags,
    objectives: point.objectives, intervals: point.intervals, sources: point.sources || {},
  }));
  const more = front.more;
  if (more) {
    const text = place => more.texts[place];
    more.id.forEach((id, index) => found.push({
      id, shape: more.shape[index].map(text), weights: text(more.weights[index]), kv: text(more.kv[index]), parameters: more.parameters[index],
      threads: more.threads[index], tie: more.tie_group[index], tied: Math.max(more.tied[index], 0), representative: more.tied[index] >= 0, picks: [],
      flags: more.flags[index].map(text), intervals: {}, sources: {},
      objectives: Object.fromEntries(names.map((name, place) => [name, more.objectives[index][place]])),
    }));
  }
  return found;
}

function unpackedCloud() {
  const packed = data.cloud;
  if (!packed) return null;
  const text = atob(packed.data), columns = {};
  packed.scales.forEach((scale, objective) => {
    const values = new Float64Array(packed.count);
    const rise = Math.log(scale.high / scale.low);
    for (let point = 0; point < packed.count; point++) {
      const at = 2 * (objective * packed.count + point);
      const share = (text.charCodeAt(at) + 256 * text.charCodeAt(at + 1)) / 65535;
      values[point] = scale.log ? scale.low * Math.exp(rise * share) : scale.low + (scale.high - scale.low) * share;
    }
    columns[data.objectives[objective].name] = values;
  });
  return { count: packed.count, columns };
}

const sourceOf = (point, name) => point.sources[name] || 'modelled';
const value = (point, name) => { const found = point.objectives[name]; return Number.isFinite(found) ? found : NaN; };
/** `3`, or `3 ≈7` where seven other points tie with the cheapest of group 3. */
const tieText = point => point.tied ? `${point.tie} ≈${point.tied}` : String(point.tie);
const isListed = point => point.representative || point.picks.length > 0;
const pathOf = point => `/front/points/id=${encodedSegment(point.id)}`;

/** As `mark::segment` writes it. */
function encodedSegment(text) {
  return encodeURIComponent(text).replace(/[!'()*~]/g, character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`).replace(/%40/g, '@').replace(/%3A/g, ':');
}

/** What a reader must know of the noise around a point. */
function tieWords(point) {
  if (!point.representative) return `tie group ${point.tie}: a cheaper point differs by less than the noise`;
  return point.tied ? `tie group ${point.tie}: ≈${point.tied} more differ by less than the noise` : `tie group ${point.tie}: nothing ties with it`;
}

/** The objective that says how good a model is; the first where none does. */
function qualityObjective() {
  const find = start => data.objectives.find(objective => objective.name.startsWith(start));
  return find('loss') || find('score_') || data.objectives[0];
}

/** Whether `one` is better than `other` in an objective. */
const better = (objective, one, other) => objective.direction === 'max' ? one > other : one < other;

const labelOf = objective => objective.label.charAt(0).toLowerCase() + objective.label.slice(1);
