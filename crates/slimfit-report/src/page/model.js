// The picks: one panel at a time, and for each a bar of predicted time per layer.

const BOUNDS = { memory: 'memory binds', compute: 'instructions bind', overhead: 'hand-over and dispatch bind' };

/** The rows of a layer chart: operations outside the layers each by itself, layers in order. */
function layerRows(explanation) {
  const before = [], after = [], layers = new Map();
  for (const operation of explanation.operations) {
    if (!operation.layers) { (layers.size ? after : before).push({ name: operation.name, operations: [operation] }); continue; }
    for (const layer of operation.layers) {
      if (!layers.has(layer)) layers.set(layer, { name: `layer ${layer}`, operations: [] });
      layers.get(layer).operations.push(operation);
    }
  }
  return before.concat([...layers.keys()].sort((a, b) => a - b).map(layer => layers.get(layer)), after);
}

function layerOption(explanation) {
  const rows = layerRows(explanation);
  const longest = Math.max(...rows.map(row => row.operations.length));
  return theme => {
    const series = [];
    for (let index = 0; index < longest; index++) {
      series.push({
        type: 'bar', stack: 'time', barWidth: '78%', emphasis: { focus: 'self' },
        data: rows.map(row => {
          const operation = row.operations[index];
          if (!operation) return { value: 0 };
          return { value: operation.seconds, operation, row: row.name, itemStyle: { color: theme[operation.bound] || theme.overhead, borderColor: theme.surface, borderWidth: operation.bound === 'overhead' ? 0 : 1 } };
        }),
      });
    }
    const narrow = window.innerWidth < 640;
    return {
      grid: { left: narrow ? 78 : 92, right: narrow ? 20 : 32, top: 8, bottom: 44 },
      xAxis: { type: 'value', name: 'Predicted time', nameLocation: 'middle', nameGap: 28, nameTextStyle: { color: theme.ink }, splitNumber: narrow ? 3 : 6, axisLabel: { color: theme.muted, formatter: at => show('seconds', at).replace(/^0 ns$/, '0'), hideOverlap: true }, splitLine: { lineStyle: { color: theme.line } } },
      yAxis: { type: 'category', inverse: true, data: rows.map(row => row.name), axisLabel: { color: theme.muted, fontSize: 11 }, axisTick: { show: false }, axisLine: { lineStyle: { color: theme.muted } } },
      series,
      tooltip: tooltip(theme, item => {
        const operation = item.data && item.data.operation;
        if (!operation) return '';
        const parts = [['memory alone', operation.memory_seconds], ['instructions alone', operation.compute_seconds], ['hand-over', operation.overhead_seconds]];
        return `<b>${escaped(item.data.row)}: ${escaped(operation.name)}</b><br><i>${show('seconds', operation.seconds)}</i>, ${escaped(BOUNDS[operation.bound] || operation.bound)}<br>${parts.map(([name, seconds]) => `${name} <i>${show('seconds', seconds)}</i>`).join('<br>')}<br>${show('bytes', operation.bytes)}, ${show('count', operation.flops)} operations`;
      }),
    };
  };
}

function choosePick(id) {
  for (const tab of document.querySelectorAll('.tabs [role=tab]')) {
    const chosen = tab.dataset.pick === id;
    tab.setAttribute('aria-selected', String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
  }
  for (const panel of document.querySelectorAll('.panel')) panel.hidden = panel.dataset.model !== id;
  redraw(drawn.filter(entry => entry.node.closest('.panel:not([hidden])')));
}

function startModel() {
  for (const node of document.querySelectorAll('.layer-chart')) {
    const place = data.explanations.findIndex(found => found.id === node.dataset.model && found.phase === node.dataset.phase);
    if (place < 0) continue;
    const explanation = data.explanations[place];
    node.style.height = `${Math.max(180, 64 + layerRows(explanation).length * 15)}px`;
    traceMarks(chart(node, layerOption(explanation)), ({ operation }) => operation && { path: `/explanations/${place}/operations/${explanation.operations.indexOf(operation)}`, source: 'modelled', shown: `${operation.name}: ${show('seconds', operation.seconds)}` });
  }
  const tabs = [...document.querySelectorAll('.tabs [role=tab]')];
  tabs.forEach((tab, index) => {
    tab.addEventListener('click', () => choosePick(tab.dataset.pick));
    tab.addEventListener('keydown', event => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(index + step + tabs.length) % tabs.length];
      choosePick(next.dataset.pick);
      next.focus();
      event.preventDefault();
    });
  });
  if (tabs.length) choosePick(tabs[0].dataset.pick);
  for (const link of document.querySelectorAll('.card[data-pick] a')) link.addEventListener('click', () => choosePick(link.closest('.card').dataset.pick));
  for (const button of document.querySelectorAll('.copy')) {
    button.addEventListener('click', async () => said(button, await copyText(element(button.dataset.copy).textContent), 'Copy'));
  }
}
