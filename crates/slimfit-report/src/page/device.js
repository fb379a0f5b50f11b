// The device: bandwidth staircase and roofline; and predicted against measured.

const finite = figure => figure && Number.isFinite(figure.value) && figure.value > 0;

function bandwidthOption(theme) {
  const profile = data.profile, read = data.staircase.flatMap(step => step.points);
  if (!read.length) return nothingToDraw(theme, 'The profile holds no measured reading rate.');
  const bytes = at => show('bytes', at).replace(/\.0+ /, ' ');
  const across = axis(theme, 'Working set of all threads', extent(read.map(point => point.working_set_bytes), true), true, bytes, false, true);
  const top = Math.max(...read.map(point => Number.isFinite(point.bytes_per_s.high) ? point.bytes_per_s.high : point.bytes_per_s.value));
  const up = axis(theme, 'Read bandwidth', [0, top * 1.08], false, at => show('bytes_per_s', at), true);
  const nameOf = step => `${step.threads} thread${step.threads === 1 ? '' : 's'}`;
  const [low, high] = extent(read.map(point => point.working_set_bytes), true);
  const series = [];
  data.staircase.forEach((step, index) => {
    const colour = LINES[index % LINES.length], name = nameOf(step), mine = step.points;
    series.push({
      type: 'line', name, symbolSize: 6, lineStyle: { color: colour, width: 2 }, itemStyle: { color: colour },
      data: mine.map((point, place) => ({ value: [across.place(point.working_set_bytes), point.bytes_per_s.value], record: point, index: step.index[place] })),
    });
    series.push({
      type: 'custom', silent: true, data: mine.map(point => [across.place(point.working_set_bytes), point.bytes_per_s.low, point.bytes_per_s.high]), encode: { x: 0, y: [1, 2] },
      renderItem: (_, api) => {
        const [from, to] = [api.coord([api.value(0), api.value(1)]), api.coord([api.value(0), api.value(2)])];
        return { type: 'line', shape: { x1: from[0], y1: from[1], x2: to[0], y2: to[1] }, style: { stroke: colour, lineWidth: 1.5, opacity: 0.6 } };
      },
    });
  });
  series[0].markLine = {
    silent: true, symbol: 'none', lineStyle: { color: theme.muted, type: 'dashed', opacity: 0.7 },
    data: profile.topology.caches.filter(cache => cache.bytes > low && cache.bytes < high)
      .map(cache => ({ xAxis: across.place(cache.bytes), label: { formatter: `L${cache.level} ${bytes(cache.bytes)}`, color: theme.muted, fontSize: 11 } })),
  };
  return {
    grid: { ...grid(), top: 56 }, xAxis: across.option, yAxis: up.option, series,
    legend: { top: 0, data: data.staircase.map(nameOf), textStyle: { color: theme.ink } },
    tooltip: tooltip(theme, item => {
      const record = item.data && item.data.record;
      if (!record) return '';
      const rate = record.bytes_per_s;
      return `${bytes(record.working_set_bytes)}, threads ${record.threads}<br><b>${show('bytes_per_s', rate.value)}</b> <small>${showRange('bytes_per_s', rate.low, rate.high)}, n ${rate.n}</small><br>${escaped(rate.source)}`;
    }),
  };
}

const kernelWords = kernel => `${kernel.variant} ${kernel.format}, ${kernel.rows} × ${kernel.columns}, batch ${kernel.batch}, threads ${kernel.threads}`;

/** The rows of kernels that the page does not hold yet, in the form of those it does (`device.rs`). */
function writeKernels() {
  const table = element('kernel-table');
  if (!table) return;
  const fresh = document.createDocumentFragment();
  for (let index = table.tBodies[0].rows.length; index < data.profile.kernels.length; index++) {
    const kernel = data.profile.kernels[index], row = make('tr', undefined, { 'data-under': `/profile/kernels/${index}` });
    const cell = content => { const made = make('td'); made.append(content); row.append(made); };
    const read = (name, tag) => make(tag || 'span', String(kernel[name]), { 'data-source': 'read', 'data-at': name });
    cell(kernel.operation);
    cell(read('variant', 'code'));
    for (const name of ['format', 'rows', 'columns', 'batch', 'threads']) cell(read(name));
    const figure = kernel.seconds, known = Number.isFinite(figure.value) && figure.source !== 'unavailable';
    const shown = make('span', known ? show('seconds', figure.value) : `unavailable: ${figure.reason || 'no reason was recorded'}`, { 'data-source': known ? figure.source : 'unavailable', 'data-at': 'seconds', ...(known ? {} : { class: 'unavailable' }) });
    const range = known ? showRange('seconds', figure.low, figure.high) : '';
    if (range) shown.append(' ', make('span', range, { class: 'range' }));
    if (known && figure.source === 'measured' && figure.n > 0) shown.append(' ', make('span', `n ${figure.n}`, { class: 'range' }));
    cell(shown);
    if (tracing()) row.querySelectorAll('[data-at]').forEach(one => reachable(one, true));
    fresh.append(row);
  }
  table.tBodies[0].append(fresh);
}

function rooflineOption(theme) {
  const roof = data.roofline;
  if (!roof.peaks.length || !roof.bandwidths.length) return nothingToDraw(theme, 'The profile lacks peaks or reading rates, so there is no roof.');
  const seen = new Set(), operations = [];
  for (const [first, explanation] of data.explanations.entries()) for (const [second, operation] of explanation.operations.entries()) {
    const place = { operations_per_byte: operation.flops / operation.bytes, operations_per_second: operation.flops / operation.seconds };
    const key = `${place.operations_per_byte}/${place.operations_per_second}`;
    if (!(place.operations_per_byte > 0 && place.operations_per_second > 0) || seen.has(key)) continue;
    seen.add(key);
    operations.push({ place, label: `${operation.name}, ${explanation.phase}`, bound: operation.bound, path: `/explanations/${first}/operations/${second}` });
  }
  const highest = Math.max(...roof.peaks.map(peak => peak.operations_per_second));
  const rates = roof.bandwidths.map(([, rate]) => rate), slowest = Math.min(...rates), fastest = Math.max(...rates);
  const kernels = roof.kernels.map(kernel => ({ ...kernel, label: kernelWords(data.profile.kernels[kernel.index]) }));
  const all = kernels.concat(operations);
  const rangeX = extent(all.map(item => item.place.operations_per_byte).concat([0.25, 4 * highest / slowest]), true);
  const rangeY = extent(all.map(item => item.place.operations_per_second).concat([highest * 1.4, slowest * 0.25]), true);
  const across = axis(theme, 'Operations per byte', rangeX, true, digits);
  const up = axis(theme, 'Operations per second', rangeY, true, at => show('ops_per_s', at), true);
  const at = place => [across.place(place.operations_per_byte), up.place(place.operations_per_second)];
  const line = (from, to, colour, label, position) => ({
    type: 'line', silent: true, symbol: 'none', lineStyle: { color: colour, width: 2 },
    data: [from, to].map(([x, y]) => [across.place(x), up.place(y)]),
    endLabel: { show: false },
    markPoint: { silent: true, symbolSize: 0, data: [{ coord: (position === 'end' ? to : from).map((number, index) => (index ? up : across).place(number)), label: { formatter: label, color: theme.muted, position: position === 'end' ? 'left' : 'right', offset: position === 'end' ? [0, -9] : [16, 6], fontSize: 12, textBorderColor: theme.surface, textBorderWidth: 3 } }] },
  });
  const series = roof.bandwidths.map(([label, rate]) => {
    const start = Math.max(rangeX[0], rangeY[0] / rate);
    return line([start, start * rate], [highest / rate, highest], theme.muted, label, 'start');
  });
  for (const peak of roof.peaks) series.push(line([peak.operations_per_second / fastest, peak.operations_per_second], [rangeX[1], peak.operations_per_second], theme.ink, peak.label, 'end'));
  series.push({ type: 'scatter', name: 'kernels, measured', symbolSize: 8, itemStyle: { color: theme.memory, opacity: 0.85 }, data: kernels.map(kernel => ({ value: at(kernel.place), item: kernel, source: 'measured', path: `/profile/kernels/${kernel.index}` })), z: 4 });
  series.push({ type: 'scatter', name: 'picks’ operations, predicted', symbolSize: 9, itemStyle: { color: 'transparent', borderColor: theme.compute, borderWidth: 1.5 }, data: operations.map(operation => ({ value: at(operation.place), item: operation, source: 'predicted', path: operation.path })), z: 3 });
  return {
    grid: { ...grid(), top: 40 }, xAxis: across.option, yAxis: up.option, series,
    legend: { top: 0, data: ['kernels, measured'].concat(operations.length ? ['picks’ operations, predicted'] : []), textStyle: { color: theme.ink }, selectedMode: true },
    tooltip: tooltip(theme, item => {
      const found = item.data && item.data.item;
      if (!found) return '';
      return `<b>${escaped(found.label)}</b><br>${show('ops_per_s', found.place.operations_per_second)}, ${digits(found.place.operations_per_byte)} operations per byte<br>${item.data.source}${found.bound ? `; ${escaped(found.bound)} binds` : ''}`;
    }),
  };
}

/** Pairs of one phase: from the verification, else from the models that were run. */
function agreementPairs(phase) {
  if (data.verification) {
    return data.verification.rows.map((row, place) => ({ row, place })).filter(({ row }) => row.phase === phase).map(({ row, place }) => ({ path: `/verification/rows/${place}`, id: row.id, threads: row.threads, predicted: row.predicted, measured: row.measured, retest: row.retest ?? row.measured }));
  }
  const name = { decode: 'tpot_seconds', prefill: 'ttft_seconds', memory: 'peak_memory_bytes' }[phase];
  return data.measurements.map((run, place) => ({ run, place })).filter(({ run }) => finite(run.predicted[name]) && finite(run.measured[name]))
    .map(({ run, place }) => ({ path: `/measurements/${place}`, id: run.name || run.id, threads: run.threads, predicted: run.predicted[name], measured: run.measured[name].value, retest: run.measured[name].value }));
}

function agreementOption(theme) {
  const phase = element('agreement-phase').value, unit = phase === 'memory' ? 'bytes' : 'seconds';
  const pairs = agreementPairs(phase).filter(pair => [pair.predicted.value, pair.measured, pair.retest].every(number => Number.isFinite(number) && number > 0));
  if (!pairs.length) return nothingToDraw(theme, 'Nothing was run for this.');
  const range = extent(pairs.flatMap(pair => [pair.predicted.value, pair.measured, pair.retest]), true);
  const label = at => show(unit, at);
  const across = axis(theme, 'Predicted', range, true, label, false, unit === 'bytes'), up = axis(theme, 'Measured', range, true, label, true, unit === 'bytes');
  const place = across.place, clamp = number => Math.min(Math.max(number, range[0]), range[1]);
  const diagonal = (factor, style) => ({ type: 'line', silent: true, symbol: 'none', lineStyle: style, data: [[place(Math.max(range[0], range[0] / factor)), place(Math.max(range[0], range[0] * factor))], [place(Math.min(range[1], range[1] / factor)), place(Math.min(range[1], range[1] * factor))]] });
  return {
    grid: grid(), xAxis: across.option, yAxis: up.option,
    series: [
      diagonal(1, { color: theme.muted, width: 2 }),
      diagonal(0.9, { color: theme.muted, width: 1, type: 'dashed' }),
      diagonal(1.1, { color: theme.muted, width: 1, type: 'dashed' }),
      {
        type: 'custom', silent: true, encode: { x: [2, 3], y: [1, 4] }, z: 2,
        data: pairs.map(pair => [pair.predicted.value, pair.measured, clamp(pair.predicted.low), clamp(pair.predicted.high), pair.retest].map(place)),
        renderItem: (_, api) => {
          const [x, y, low, high, again] = [0, 1, 2, 3, 4].map(index => api.value(index));
          const bar = (from, to) => ({ type: 'line', shape: { x1: from[0], y1: from[1], x2: to[0], y2: to[1] }, style: { stroke: theme.memory, lineWidth: 1.5, opacity: 0.55 } });
          return { type: 'group', children: [bar(api.coord([low, y]), api.coord([high, y])), bar(api.coord([x, y]), api.coord([x, again]))] };
        },
      },
      { type: 'scatter', symbolSize: 10, itemStyle: { color: theme.memory, opacity: 0.9 }, data: pairs.map(pair => ({ value: [place(pair.predicted.value), place(pair.measured)], pair: { ...pair, shown: `predicted ${show(unit, pair.predicted.value)}, measured ${show(unit, pair.measured)}` } })), z: 3 },
    ],
    tooltip: tooltip(theme, item => {
      const pair = item.data && item.data.pair;
      if (!pair) return '';
      return `<b>${escaped(pair.id)}</b>, threads ${pair.threads}<br>predicted <i>${show(unit, pair.predicted.value)}</i> <small>${showRange(unit, pair.predicted.low, pair.predicted.high)}</small><br>measured ${show(unit, pair.measured)}, again ${show(unit, pair.retest)}`;
    }),
  };
}

/** A click on a mark of a chart opens its record, as one on a figure does. */
function traceMarks(entry, recordOf) {
  if (!entry) return;
  entry.ready = instance => instance.on('click', item => {
    const record = item.data && typeof item.data === 'object' && recordOf(item.data);
    if (record) openTrace({ shown: record.shown, source: record.source, paths: [record.path], figure: null });
  });
}

function startDevice() {
  const kernels = element('kernel-table');
  if (kernels) kernels.closest('details').addEventListener('toggle', writeKernels, { once: true });
  if (data.profile) {
    traceMarks(chart(element('bandwidth-chart'), bandwidthOption), ({ record, index }) => record && { path: `/profile/bandwidth/${index}`, source: record.bytes_per_s.source, shown: show('bytes_per_s', record.bytes_per_s.value) });
    traceMarks(chart(element('roofline-chart'), rooflineOption), ({ item, path }) => item && { path, source: path.startsWith('/profile') ? 'measured' : 'modelled', shown: `${item.label}: ${show('ops_per_s', item.place.operations_per_second)}` });
  }
  const agreement = chart(element('agreement-chart'), agreementOption);
  traceMarks(agreement, ({ pair }) => pair && { path: pair.path, source: 'measured', shown: `${pair.id}: ${pair.shown}` });
  if (agreement) element('agreement-phase').addEventListener('change', () => agreement.redraw());
}
