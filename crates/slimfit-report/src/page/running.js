// A search that is not finished: the points that it has so far.

let running = data.running;

function runningOption(theme) {
  if (!running || running.points.length === 0) return nothingToDraw(theme, 'No points yet.');
  const [first, second] = running.objectives;
  const other = second === undefined ? 0 : 1;
  const [x, y] = [other, 0].map(place => running.points.map(point => point[place]));
  const log = values => values.every(value => value > 0) && Math.max(...values.slice(0, 5000)) / Math.min(...values.slice(0, 5000)) > 5;
  const [logX, logY] = [log(x), log(y)];
  const [rangeX, rangeY] = [extent(x, logX), extent(y, logY)];
  if (!rangeX || !rangeY) return nothingToDraw(theme, 'No point has finite values yet.');
  const unit = name => (running.units || {})[name] || 'plain';
  const label = name => (running.labels || {})[name] || name;
  const text = name => at => unit(name) === 'plain' ? digits(at) : show(unit(name), at);
  const horizontal = second === undefined ? first : second;
  const across = axis(theme, label(horizontal), rangeX, logX, text(horizontal), false, unit(horizontal) === 'bytes');
  const up = axis(theme, label(first), rangeY, logY, text(first), true, unit(first) === 'bytes');
  return {
    grid: grid(), xAxis: across.option, yAxis: up.option,
    series: [{
      type: 'scatter', symbolSize: 4, large: true, itemStyle: { color: theme.frontMid || LINES[0] },
      data: running.points.map((point, index) => [across.place(x[index]), up.place(y[index])]),
    }],
  };
}

const runningChart = chart(element('running-chart'), runningOption);

/** A whole number to its last digit, in groups of three. */
function grouped(count) { return String(count).replace(/\B(?=(\d{3})+$)/g, '\u202f'); }

/** Shows another state of the search; `null` where none is unfinished. */
function showRunning(next) {
  running = next;
  element('running').hidden = !running;
  if (!running) return;
  const settled = running.size ? `${grouped(running.settled)} of ${grouped(running.size)}` : grouped(running.settled);
  const objectives = running.objectives.map(name => ((running.labels || {})[name] || name).toLowerCase()).join(', ');
  element('running-words').textContent =
    `Search ${running.id} of ${running.space || 'a space'} for ${objectives}, begun ${running.began}: ${settled} points settled` + (running.passes > 1 ? ` in pass ${running.passes}` : '') +
    `, ${grouped(running.known)} kept, after ${show('duration', running.seconds)} of work. ` +
    (running.at_work ? 'It is at work.' : 'No process is at work on it: the same command takes it up where it is.');
  runningChart.redraw();
}
