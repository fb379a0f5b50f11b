// The scatter of the front: cloud, points, picks, public models, and what the pointer is on.

const axisChoice = id => objectiveByName.get(element(id).value);

/** What the scatter is drawn with, so that parts of it can be drawn anew alone. */
let view = null;

function frontView(theme) {
  const x = axisChoice('axis-x'), y = axisChoice('axis-y'), colour = axisChoice('axis-colour');
  if (!x || !y) return null;
  const visible = points.filter(point => Number.isFinite(value(point, x.name)) && Number.isFinite(value(point, y.name)));
  const models = element('show-references').checked ? data.references.map((model, index) => ({ model, index })).filter(({ model }) => Number.isFinite(model.objectives[x.name]) && Number.isFinite(model.objectives[y.name])) : [];
  const valuesOf = objective => visible.map(point => value(point, objective.name)).concat(models.map(({ model }) => model.objectives[objective.name]));
  const [allX, allY] = [valuesOf(x), valuesOf(y)];
  const logX = element('log-x').checked && allX.every(value => value > 0), logY = element('log-y').checked && allY.every(value => value > 0);
  const rangeX = (state.zoom && state.zoom.x) || extent(allX, logX), rangeY = (state.zoom && state.zoom.y) || extent(allY, logY);
  if (!rangeX || !rangeY) return null;
  const marks = objective => at => objective.unit === 'plain' ? digits(at) : show(objective.unit, at);
  const mixed = objective => visible.some(point => sourceOf(point, objective.name) === 'measured');
  const title = objective => `${objective.label}${objective.unit === 'plain' ? `, ${objective.unit_text}` : ''} (${mixed(objective) ? 'measured or predicted' : 'predicted'}${objective.direction === 'max' ? ', more is better' : ''})`;
  const across = axis(theme, title(x), rangeX, logX, marks(x), false, x.unit === 'bytes');
  const up = axis(theme, title(y), rangeY, logY, marks(y), true, y.unit === 'bytes');
  const shades = colour ? visible.map(point => value(point, colour.name)).filter(Number.isFinite) : [];
  let shadeRange = null;
  if (shades.length) { shadeRange = [Infinity, -Infinity]; for (const shade of shades) { shadeRange[0] = Math.min(shadeRange[0], shade); shadeRange[1] = Math.max(shadeRange[1], shade); } }
  return { theme, x, y, colour, visible, models, logX, logY, rangeX, rangeY, across, up, shadeRange, at: (a, b) => [across.place(a), up.place(b)] };
}

/** A hundred steps of colour are more than an eye tells apart, and marks of one colour share one text. */
function shader({ theme, colour, shadeRange }) {
  if (!colour || !shadeRange) return () => theme.memory;
  const steps = Array.from({ length: 101 }, (_, step) => scaleColour(theme, step / 100));
  const log = shadeRange[0] > 0 && shadeRange[1] / shadeRange[0] > 4;
  const place = log ? Math.log : Number, low = place(shadeRange[0]), span = place(shadeRange[1]) - low;
  return point => {
    const found = value(point, colour.name);
    if (Number.isNaN(found)) return theme.memory;
    return steps[span > 0 ? Math.round(100 * (place(found) - low) / span) : 50];
  };
}

const placeOf = (view, point) => view.at(value(point, view.x.name), value(point, view.y.name));

/**
 * An empty picture over the plot, and a pen whose strokes stand where the axes say. Many plain marks are painted: the library
 * would lay out each of them as an element of its own, again at each move of a slider. `null` where the plot has no size.
 */
function sheetOf(view) {
  const box = plotBox(view), { left, right, top, bottom } = grid();
  const width = box.width - left - right, height = box.height - top - bottom, density = window.devicePixelRatio || 1;
  if (!(width > 0 && height > 0)) return null;
  const sheet = make('canvas', undefined, { width: Math.round(width * density), height: Math.round(height * density) });
  const pen = sheet.getContext('2d');
  pen.scale(density, density);
  const { rangeX: [lowX, highX], rangeY: [lowY, highY] } = view;
  /** Pixels of a pair of values, or `null` outside the axes. */
  const at = (a, b) => a < lowX || a > highX || b < lowY || b > highY ? null : [box.x(view.across.place(a)) - left, box.y(view.up.place(b)) - top];
  return { pen, at, element: (id, z) => ({ id, type: 'image', silent: true, z, style: { image: sheet, x: left, y: top, width, height } }) };
}

/** The cloud, painted once for each view. */
function dustPicture(view) {
  const sheet = cloud && sheetOf(view);
  if (!sheet) return [];
  sheet.pen.globalAlpha = 0.6;
  sheet.pen.fillStyle = view.theme.dust;
  const [xs, ys] = [cloud.columns[view.x.name], cloud.columns[view.y.name]];
  for (let index = 0; index < cloud.count; index++) {
    const place = sheet.at(xs[index], ys[index]);
    if (place) sheet.pen.fillRect(place[0] - 1, place[1] - 1, 2, 2);
  }
  return [sheet.element('dust', -1)];
}

/** How a point of the front is marked: its colour, its size across, and how opaque it is. */
function markOf(point, shade, theme) {
  return { colour: point.out ? theme.out : shade(point), size: isListed(point) ? 9 : 5.5, opacity: point.out ? 0.5 : isListed(point) ? 1 : 0.55 };
}

/** The points of the front, painted: what no longer fits beneath what does, ties beneath what they tie with. */
function pointsPicture(view) {
  const sheet = sheetOf(view);
  if (!sheet) return [];
  const shade = shader(view), groups = new Map();
  for (const point of view.visible) {
    const place = sheet.at(value(point, view.x.name), value(point, view.y.name));
    if (!place) continue;
    const mark = markOf(point, shade, view.theme), key = `${point.out ? 0 : 1} ${mark.size} ${mark.colour}`;
    if (!groups.has(key)) groups.set(key, { key, mark, places: [] });
    groups.get(key).places.push(place);
  }
  const { pen } = sheet;
  for (const { mark, places } of [...groups.values()].sort((one, other) => one.key < other.key ? -1 : 1)) {
    pen.globalAlpha = mark.opacity;
    pen.fillStyle = mark.colour;
    pen.beginPath();
    for (const [x, y] of places) { pen.moveTo(x + mark.size / 2, y); pen.arc(x, y, mark.size / 2, 0, 2 * Math.PI); }
    pen.fill();
  }
  return [sheet.element('points', 3)];
}

/** The point that something of the chart stands for. */
function pointOf(item) {
  if (item.seriesName === 'front' && view) return view.visible[item.dataIndex] || null;
  return (item.data && item.data.point) || null;
}

/** The points of the front as the library knows them: unseen above their picture, to be pointed at; or drawn, for a file. */
function frontSeries(view, drawn) {
  const shade = shader(view);
  if (drawn) {
    return { id: 'front', type: 'scatter', name: 'front', z: 3, data: view.visible.map(point => {
      const mark = markOf(point, shade, view.theme);
      return { value: placeOf(view, point), symbolSize: mark.size, itemStyle: { color: mark.colour, opacity: mark.opacity } };
    }) };
  }
  const places = new Float32Array(2 * view.visible.length);
  view.visible.forEach((point, index) => { [places[2 * index], places[2 * index + 1]] = placeOf(view, point); });
  return { id: 'front', type: 'scatter', name: 'front', z: 3, large: true, largeThreshold: 0, progressive: 0, symbolSize: 9, itemStyle: { opacity: 0 }, dimensions: ['x', 'y'], data: places };
}

/** The series that change when a budget does. */
function pickSeries(view) {
  const { theme, x, y, visible, models } = view;
  const asked = limits();
  const picked = visible.filter(point => point.picks.length || point === state.recommended);
  const marks = [
    ...picked.map(point => ({ point, place: placeOf(view, point), size: 17, must: true, font: '600 13px sans-serif', text: pickText(point) })),
    ...models.map(({ model, index }) => ({ model, index, place: view.at(model.objectives[x.name], model.objectives[y.name]), size: 12, font: '12px sans-serif', text: model.name })),
  ];
  const box = plotBox(view);
  // The recommended point is named first, then picks from left to right, then public models.
  const order = marks.map((_, index) => index).sort((a, b) => (marks[b].point === state.recommended && Boolean(marks[b].point)) - (marks[a].point === state.recommended && Boolean(marks[a].point)) || a - b);
  const sides = placedLabels(order.map(index => ({ ...marks[index], x: box.x(marks[index].place[0]), y: box.y(marks[index].place[1]) })), box);
  order.forEach((index, place) => { marks[index].label = sides[place]; });
  const label = (mark, more) => ({ show: mark.label !== undefined, formatter: () => mark.text, position: mark.label ? mark.label.side : 'right', distance: mark.label ? mark.label.distance : 5, textBorderColor: theme.surface, textBorderWidth: 3, ...more });
  const lines = [];
  for (const [name, limit] of asked) {
    if (name === x.name) lines.push({ xAxis: view.across.place(limit) });
    if (name === y.name) lines.push({ yAxis: view.up.place(limit) });
  }
  return [
    {
      id: 'picks', type: 'scatter', name: 'picks', symbolSize: 17, z: 5, emphasis: { scale: 1.2 },
      data: marks.filter(mark => mark.point).map(mark => {
        const first = mark.point === state.recommended;
        return {
          value: mark.place, point: mark.point,
          itemStyle: { color: 'transparent', borderColor: mark.point.out ? theme.out : first ? theme.pick : theme.ink, borderWidth: first ? 3 : 1.5 },
          label: label(mark, { color: mark.point.out ? theme.muted : theme.ink, fontSize: 13, fontWeight: first ? 700 : 600 }),
        };
      }),
      markLine: { silent: true, symbol: 'none', label: { show: false }, lineStyle: { color: theme.pick, type: 'dashed' }, data: lines },
    },
    {
      id: 'public', type: 'scatter', name: 'public models', symbol: 'diamond', symbolSize: 12, z: 4,
      data: marks.filter(mark => mark.model).map(mark => ({
        value: mark.place, model: mark.model, index: mark.index, label: label(mark, { color: theme.muted, fontSize: 12 }),
        itemStyle: { color: theme.reference, borderColor: theme.surface, borderWidth: 1, opacity: within(mark.model.objectives, asked.filter(([name]) => name in mark.model.objectives)) ? 1 : 0.3 },
      })),
    },
  ];
}

const pickText = point => point === state.recommended && limits().length ? ['best within budgets', ...point.picks].join(', ') : point.picks.join(', ');

/** From places on the axes to pixels inside the chart. */
function plotBox(view) {
  const node = element('pareto-chart'), { left, right, top, bottom } = grid();
  const width = node.clientWidth, height = node.clientHeight;
  const share = (at, range, place) => (at - place(range[0])) / (place(range[1]) - place(range[0]));
  return {
    width, height, left: left + 2, right: width - 2, top: 0, bottom: height - bottom,
    x: at => left + share(at, view.rangeX, view.across.place) * (width - left - right),
    y: at => height - bottom - share(at, view.rangeY, view.up.place) * (height - top - bottom),
  };
}

/** Bars over the ninety-percent intervals of `some` points. */
function intervalSeries(view, id, some, style) {
  const clamp = (value, [low, high]) => Math.min(Math.max(value, low), high);
  const { x, y, rangeX, rangeY, across, up } = view;
  const bars = some.filter(point => point.intervals[x.name] && point.intervals[y.name]).map(point => {
    const [a, b] = [point.intervals[x.name], point.intervals[y.name]];
    return [value(point, x.name), value(point, y.name), clamp(a.low, rangeX), clamp(a.high, rangeX), clamp(b.low, rangeY), clamp(b.high, rangeY)].map((number, index) => ([1, 4, 5].includes(index) ? up : across).place(number));
  });
  return {
    id, type: 'custom', name: id, silent: true, data: bars, z: 2, encode: { x: [2, 3], y: [4, 5] },
    renderItem: (_, api) => {
      const line = (from, to) => ({ type: 'line', shape: { x1: from[0], y1: from[1], x2: to[0], y2: to[1] }, style });
      const [px, py, lx, hx, ly, hy] = [0, 1, 2, 3, 4, 5].map(index => api.value(index));
      return { type: 'group', children: [line(api.coord([lx, py]), api.coord([hx, py])), line(api.coord([px, ly]), api.coord([px, hy]))] };
    },
  };
}

/** The point under the pointer and the chosen one, with their intervals. */
function focusSeries(view) {
  const { theme } = view;
  const shown = [state.chosen, state.hovered].filter((point, index, all) => point && all.indexOf(point) === index && view.visible.includes(point));
  return [
    { ...intervalSeries(view, 'focus-intervals', shown, { stroke: theme.accent, lineWidth: 2, opacity: 0.9 }), z: 6 },
    {
      id: 'chosen', type: 'scatter', name: 'chosen', silent: true, symbolSize: 13, z: 6,
      data: shown.map(point => ({ value: placeOf(view, point), itemStyle: { color: 'transparent', borderColor: theme.accent, borderWidth: point === state.chosen ? 3 : 1.5 } })),
    },
  ];
}

/** The scatter; `drawn` where it becomes a file, whose points are shapes of their own. */
function frontOption(theme, drawn = false) {
  view = frontView(theme);
  if (!view) return nothingToDraw(theme, 'No point has finite values for both axes.');
  showScale(view.colour, view.shadeRange);
  const bars = element('show-intervals').checked ? view.visible.filter(point => isListed(point) && !point.out) : [];
  return {
    grid: grid(), xAxis: view.across.option, yAxis: view.up.option, tooltip: tooltip(theme, frontTooltip), toolbox: { show: false },
    graphic: drawn ? dustPicture(view) : [...dustPicture(view), ...pointsPicture(view)],
    series: [
      intervalSeries(view, 'intervals', bars, { stroke: theme.muted, lineWidth: 1, opacity: 0.5 }),
      frontSeries(view, drawn), ...pickSeries(view), ...focusSeries(view),
    ],
    brush: { xAxisIndex: 0, yAxisIndex: 0, brushType: 'rect', brushMode: 'single', transformable: false, throttleType: 'debounce', throttleDelay: 100, brushStyle: { color: 'rgba(128,128,128,.15)', borderColor: theme.accent }, outOfBrush: { colorAlpha: 1 } },
  };
}

function frontTooltip(item) {
  const point = pointOf(item);
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

/** The colour scale in words beneath the chart's controls. */
function showScale(objective, range) {
  const scale = element('colour-scale');
  scale.replaceChildren();
  data.live.colour = {};
  if (!objective || !range) return;
  data.live.colour = { objective: objective.name, low: range[0], high: range[1] };
  scale.append(figureNode('modelled', '/live/colour/low', show(objective.unit, range[0])), make('i'), figureNode('modelled', '/live/colour/high', show(objective.unit, range[1])));
}
