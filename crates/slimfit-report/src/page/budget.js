// The sliders: what still fits, which point is the best of it, and whether a public model already is.

/** What the sliders ask for: objective name and greatest value, only where the reader moved one. */
function limits() {
  const asked = [];
  for (const slider of document.querySelectorAll('.sliders input[type=range][data-objective]')) {
    const limit = Number(slider.value);
    if (limit < Number(slider.max) * (1 - 1e-12)) asked.push([slider.dataset.objective, limit]);
  }
  return asked;
}

const within = (objectives, asked) => asked.every(([name, limit]) => Number.isFinite(objectives[name]) && objectives[name] <= limit * (1 + 1e-12));

/** The point that is recommended under `asked`: the search's own first pick where nothing is asked, else the best in quality. */
function recommended(asked) {
  if (!asked.length) {
    const rank = point => point.picks.includes('recommended') ? 0 : point.picks.includes('knee') ? 1 : 2;
    return points.filter(point => point.picks.length).sort((one, other) => rank(one) - rank(other))[0] || null;
  }
  const quality = qualityObjective();
  let best = null;
  for (const point of points) {
    if (point.out || Number.isNaN(value(point, quality.name))) continue;
    if (!best || better(quality, value(point, quality.name), value(best, quality.name))) best = point;
  }
  return best;
}

/** A number in running text that leads to its record. */
function figureNode(source, path, text) {
  const node = make('span', text, { 'data-source': source, 'data-at': path });
  if (tracing()) reachable(node, true);
  return node;
}

function budgetWords(asked) {
  return asked.flatMap(([name, limit], index) => {
    const objective = objectiveByName.get(name);
    return [index ? (index === asked.length - 1 ? ' and ' : ', ') : '', figureNode('read', `/live/limits/${encodedSegment(name)}/limit`, show(objective.unit, limit)), ` of ${labelOf(objective)}`];
  });
}

const objectiveNode = (point, objective) => figureNode(sourceOf(point, objective.name), `${pathOf(point)}/objectives/${encodedSegment(objective.name)}`, show(objective.unit, value(point, objective.name)));

/** `within 10 ms of time per token: this point`, and what stands beside it. */
function recommendation(asked, best) {
  const quality = qualityObjective();
  if (!points.length) return ['There are no points to choose from.'];
  if (!best) return asked.length ? ['Within ', ...budgetWords(asked), ': no point of the front fits.'] : ['The search picked no point.'];
  const name = make('button', best.id, { type: 'button', class: 'link', 'data-choose': best.id });
  const head = asked.length ? ['Within ', ...budgetWords(asked), ': ', name] : ['Without budgets: ', name, ` (${best.picks.join(', ')})`];
  const cost = data.objectives.filter(objective => objective !== quality && !Number.isNaN(value(best, objective.name)))
    .flatMap((objective, index) => [index ? ', ' : '', `${labelOf(objective)} `, objectiveNode(best, objective)]);
  const words = [...head, ', ', figureNode('read', `${pathOf(best)}/parameters/total`, show('count', best.parameters)), ' parameters in ', figureNode('read', `${pathOf(best)}/weights`, best.weights)];
  if (!Number.isNaN(value(best, quality.name))) words.push(asked.length ? `, has the best ${labelOf(quality)} of all that fit, ` : `, ${labelOf(quality)} `, objectiveNode(best, quality));
  words.push(' (', ...cost, ').');
  if (best.tied) words.push(' ', figureNode('read', `${pathOf(best)}/tied`, String(best.tied)), best.tied === 1 ? ' other point differs' : ' other points differ', ' from it by less than the noise.');
  return words;
}

/** Whether a public model of about the same size already does the job. */
function publicAnswer(asked, best) {
  const quality = qualityObjective();
  const priced = data.references.map((model, index) => ({ model, index }));
  if (!priced.length || !best || !quality) return [];
  const near = priced.filter(({ model }) => model.parameters >= best.parameters / 2 && model.parameters <= best.parameters * 2);
  if (!near.length) return ['No public model that was priced has between half and twice its parameters.'];
  const all = asked.concat((data.front.constraints || []).filter(({ name }) => !name.startsWith('score_')).map(({ name, limit }) => [name, limit]));
  const fitting = near.filter(({ model }) => within(model.objectives, all.filter(([name]) => name in model.objectives)));
  const named = ({ model, index }) => figureNode('published', `/references/${index}/name`, model.name);
  const counted = (list, path) => figureNode('measured', path, String(list.length));
  data.live.budget.public_models = near.length;
  data.live.budget.public_models_fitting = fitting.length;
  const size = '(half to twice the parameters)';
  const start = near.length === 1 ? [`The one public model of its size ${size} `] : ['Of ', counted(near, '/live/budget/public_models'), ` public models of its size ${size}, `];
  if (!fitting.length) return [...start, near.length === 1 ? 'breaks a limit.' : 'none keeps the limits.'];
  // Without a budget or a limit there is none to keep.
  const keep = !all.length ? start : near.length === 1 ? [...start, 'keeps the limits'] : [...start, counted(fitting, '/live/budget/public_models_fitting'), fitting.length === 1 ? ' keeps the limits' : ' keep the limits'];
  const reached = ({ model }) => model.objectives[quality.name];
  const compared = fitting.filter(one => Number.isFinite(reached(one))).sort((one, other) => better(quality, reached(one), reached(other)) ? -1 : 1);
  if (!compared.length || Number.isNaN(value(best, quality.name))) return [...keep, `, but no ${labelOf(quality)} is predicted to compare by.`];
  const first = compared[0];
  const figure = objective => figureNode('modelled', `/references/${first.index}/objectives/${encodedSegment(objective.name)}`, show(objective.unit, first.model.objectives[objective.name]));
  const interval = best.intervals[quality.name];
  const ahead = better(quality, reached(first), value(best, quality.name)), level = ahead || (interval && reached(first) >= interval.low && reached(first) <= interval.high);
  const dearer = data.objectives.filter(objective => objective !== quality && better(objective, value(best, objective.name), first.model.objectives[objective.name]));
  // Within budgets that the reader set, keeping them is the job; without any, costing no more is.
  const does = level && (all.length > 0 || !dearer.length);
  const bestOf = fitting.length === 1 ? 'It, ' : 'The best of them, ';
  const subject = all.length ? ['. ', bestOf, named(first), ', would reach '] : [near.length === 1 ? 'is ' : 'the best is ', named(first), '. It would reach '];
  const words = [...keep, ...subject, `${labelOf(quality)} `, figure(quality), ' if trained by this recipe', ahead ? ', which is better' : level ? ', which is as good within the noise' : ', which is worse'];
  if (dearer.length) words.push(', and costs more: ', ...dearer.flatMap((objective, index) => [index ? ', ' : '', `${labelOf(objective)} `, figure(objective)]));
  words.push(does ? '. It may already do the job.' : '. It does not do the job as well.');
  return words;
}

/** Greys out what no longer fits, and says what is recommended now. */
function applyLimits() {
  const asked = limits();
  let fitting = 0;
  for (const point of points) {
    const out = !within(point.objectives, asked);
    if (!out) fitting++;
    if (out !== point.out) { point.out = out; markRow(point); }
  }
  data.live.limits = {};
  for (const slider of document.querySelectorAll('.sliders input[type=range][data-objective]')) {
    const limit = Number(slider.value), free = limit >= Number(slider.max) * (1 - 1e-12);
    const objective = objectiveByName.get(slider.dataset.objective);
    if (!objective) continue;
    data.live.limits[objective.name] = { limit, free };
    const text = free ? `no limit (up to ${show(objective.unit, limit)})` : `at most ${show(objective.unit, limit)}`;
    element(`${slider.name}-value`).textContent = text;
    slider.setAttribute('aria-valuetext', text);
  }
  const best = recommended(asked);
  const changed = state.recommended !== best;
  state.recommended = best;
  data.live.budget = { points: points.length, fitting, recommended: best && best.id };
  const count = element('fit-count');
  if (!count) return changed;
  if (!points.length) { count.textContent = 'There are no points to filter.'; return changed; }
  const left = points.filter(point => point.picks.length && !point.out).map(point => point.picks.join(', '));
  count.textContent = `${fitting} of ${points.length} points fit.` + (points.some(point => point.picks.length) ? ` Picks that fit: ${left.join('; ') || 'none'}.` : '');
  element('recommendation').replaceChildren(...recommendation(asked, best));
  element('public-answer').replaceChildren(...publicAnswer(asked, best));
  return changed;
}
