// A search that is not finished: the points that it has so far.

let runningChart = null;

function runningOption(theme) {
  const { running } = data;
  if (!running || running.points.length === 0) return nothingToDraw(theme, 'No points yet.');
  const [first, second = first] = running.objectives;
  const place = second === first ? 0 : 1;
  const [x, y] = [place, 0].map(column => running.points.map(point => point[column]));
  const log = values => { const range = extent(values, true); return values.every(value => value > 0) && range !== null && range[1] / range[0] > 5; };
  const [logX, logY] = [log(x), log(y)];
  const [rangeX, rangeY] = [extent(x, logX), extent(y, logY)];
  if (!rangeX || !rangeY) return nothingToDraw(theme, 'No point has finite values yet.');
  const unit = name => running.units[name], label = name => running.labels[name];
  const text = name => at => unit(name) === 'plain' ? digits(at) : show(unit(name), at);
  const across = axis(theme, label(second), rangeX, logX, text(second), false, unit(second) === 'bytes');
  const up = axis(theme, label(first), rangeY, logY, text(first), true, unit(first) === 'bytes');
  return {
    grid: grid(), xAxis: across.option, yAxis: up.option,
    series: [{
      type: 'scatter', symbolSize: 4, large: true, itemStyle: { color: LINES[0] },
      data: running.points.map((point, index) => [across.place(x[index]), up.place(y[index])]),
    }],
  };
}

/** A whole number to its last digit, in groups of three. */
function grouped(count) { return String(count).replace(/\B(?=(\d{3})+$)/g, '\u202f'); }

/** Shows another state of the search; `null` where none is unfinished. */
function showRunning(next) {
  data.running = next;
  element('running').hidden = !next;
  if (!next) return;
  const figure = (path, text, source = 'measured') => figureNode(source, `/running/${path}`, text);
  const objectives = next.objectives.map(name => next.labels[name].toLowerCase()).join(', ');
  element('running-words').replaceChildren(
    'Search ', figure('id', String(next.id), 'read'), ' of ', figure('space', next.space || 'a space', 'read'), ` for ${objectives}, begun `, figure('began', next.began, 'read'), ': ',
    figure('settled', grouped(next.settled)), ...(next.size ? [' of ', figure('size', grouped(next.size), 'read')] : []), ' points settled',
    ...(next.passes > 1 ? [' in pass ', figure('passes', String(next.passes), 'read')] : []), ', ', figure('known', grouped(next.known)), ' kept, after ',
    figure('seconds', show('duration', next.seconds)), ' of work. ', next.at_work ? 'It is at work.' : 'No process is at work on it: the same command takes it up where it is.',
  );
  if (runningChart) runningChart.redraw();
}

function startRunning() { runningChart = chart(element('running-chart'), runningOption); }
