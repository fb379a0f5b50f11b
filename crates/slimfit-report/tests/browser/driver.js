/** Checks that find nothing prove nothing, so each is shown one fault of its kind; those that it does not see. */
async function blindSpots() {
  const holder = document.createElement('div');
  holder.innerHTML = '<p style="position:absolute;top:300px;left:40px">one text</p><p style="position:absolute;top:302px;left:44px">another text</p><p style="overflow:hidden;width:40px;white-space:nowrap">a text that is cut off</p><img src="data:,"><span data-source="read" data-at="/version">12345.678</span>';
  document.querySelector('main').prepend(holder);
  const layout = layoutFaults(), access = await accessFaults(holder), figures = figureFaults(holder).faults;
  holder.remove();
  return [
    ['overlap', layout.some(fault => fault.startsWith('overlap') && fault.includes('another text'))],
    ['cut off', layout.some(fault => fault.startsWith('cut off'))],
    ['no alternative', access.some(fault => fault.startsWith('image-alt'))],
    ['wrong figure', figures.some(fault => fault.startsWith('12345.678 is not'))],
  ].filter(([, found]) => !found).map(([name]) => name);
}

// Uses a report as a reader would and writes what it saw into `pre#test-result`, for `browser.rs` to judge.
(async () => {
  const seen = { errors: window.testErrors, steps: {} };
  const wait = milliseconds => new Promise(done => setTimeout(done, milliseconds));
  const all = selector => [...document.querySelectorAll(selector)];
  const data = JSON.parse(document.getElementById('slimfit-data').textContent);
  try {
    // A page without charts draws none.
    const charts = all('[role=img]').length > 0;
    for (let tries = 0; charts && tries < 200 && !performance.getEntriesByName('slimfit-drawn').length; tries++) await wait(50);
    await wait(300);
    seen.width = window.innerWidth;
    seen.overflow = document.documentElement.scrollWidth - window.innerWidth;
    seen.resources = performance.getEntriesByType('resource').map(entry => entry.name);
    seen.dark = matchMedia('(prefers-color-scheme: dark)').matches;
    seen.background = getComputedStyle(document.body).backgroundColor;
    seen.charts = {};
    for (const id of ['pareto-chart', 'bandwidth-chart', 'roofline-chart', 'agreement-chart']) {
      const canvas = document.querySelector(`#${id} canvas`);
      if (!canvas) { seen.charts[id] = 0; continue; }
      const pixels = new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer);
      seen.charts[id] = new Set(pixels).size;
    }
    seen.layerCharts = all('.panel:not([hidden]) .layer-chart canvas').length;
    seen.rows = all('#front-table tr[data-id]').length;

    const stashed = window.testRows || [];
    seen.steps.rowsAgree = stashed.map(text => {
      const holder = document.createElement('tbody');
      holder.innerHTML = text;
      const known = holder.firstElementChild, again = document.querySelector(`#front-table tr[data-id="${known.dataset.id}"]`);
      const plain = row => [...row.cells].map(cell => [...cell.querySelectorAll('[data-source]')].map(part => part.dataset.source + ':' + part.textContent).join('|')).join(' ; ');
      return [plain(known), again ? plain(again) : 'the row is missing'];
    }).filter(([known, again]) => known !== again);

    seen.layout = layoutFaults();
    if (!window.testBrief) {
      seen.blind = await blindSpots();
      all('details').forEach(part => { part.open = true; });
      await wait(50);
      seen.figures = figureFaults();
      all('details').forEach(part => { part.open = false; });
      seen.access = await accessFaults();
    }

    const slider = document.querySelector('input[name=max_tpot]');
    if (slider && !slider.disabled) {
      const expected = limit => data.front.points.filter(point => !(point.objectives.tpot_seconds <= limit)).length;
      const middle = (Number(slider.min) + Number(slider.max)) / 2;
      slider.value = middle;
      slider.dispatchEvent(new Event('input', { bubbles: true }));
      await wait(200);
      seen.steps.greyed = all('#front-table tr.out').length;
      seen.steps.greyedExpected = expected(Number(slider.value)) + (data.front.more ? NaN : 0);
      seen.steps.fitText = document.getElementById('fit-count').textContent;
      seen.steps.recommendation = document.getElementById('recommendation').textContent;
      const fitting = data.front.points.filter(point => point.objectives.tpot_seconds <= Number(slider.value) && Number.isFinite(point.objectives.loss));
      const best = fitting.reduce((found, point) => !found || point.objectives.loss < found.objectives.loss ? point : found, null);
      seen.steps.recommended = [document.querySelector('#recommendation [data-choose]')?.dataset.choose, best && best.id];
      seen.steps.publicAnswer = document.getElementById('public-answer').textContent;
      seen.steps.figuresUnderBudget = figureFaults(document.querySelector('.sliders')).faults;
      slider.value = slider.max;
      slider.dispatchEvent(new Event('input', { bubbles: true }));
      seen.steps.greyedAfter = all('#front-table tr.out').length;
    }

    const header = document.querySelector('th[data-key=tpot_seconds]');
    if (header) {
      const column = all('#front-table th[data-key]').indexOf(header);
      const values = () => all('#front-table tbody tr').map(row => row.cells[column].dataset.value).filter(text => text !== '').map(Number);
      const rising = list => list.every((value, index) => index === 0 || list[index - 1] <= value);
      header.querySelector('button').click();
      seen.steps.sortedUp = rising(values()) && header.getAttribute('aria-sort') === 'ascending';
      header.querySelector('button').click();
      seen.steps.sortedDown = rising(values().reverse()) && header.getAttribute('aria-sort') === 'descending';
    }

    const chart = document.getElementById('pareto-chart') && echarts.getInstanceByDom(document.getElementById('pareto-chart'));
    if (chart) {
      const series = chart.getOption().series.findIndex(one => one.name === 'front');
      const canvas = document.querySelector('#pareto-chart canvas');
      const frame = canvas.getBoundingClientRect();
      // The pointer rests on the last point, which is no pick.
      const places = chart.getModel().getSeriesByIndex(series).getData();
      if (places.count()) {
        const [left, top] = chart.convertToPixel({ xAxisIndex: 0, yAxisIndex: 0 }, [places.get('x', places.count() - 1), places.get('y', places.count() - 1)]);
        for (let tries = 0; tries < 40 && !seen.steps.tooltip; tries++) {
          canvas.dispatchEvent(new MouseEvent('mousemove', { bubbles: true, clientX: frame.left + left + tries % 2, clientY: frame.top + top }));
          await wait(100);
          seen.steps.tooltip = document.getElementById('pareto-chart').textContent;
        }
      }
      const press = (type, [x, y]) => canvas.dispatchEvent(new MouseEvent(type, { bubbles: true, cancelable: true, clientX: frame.left + x * frame.width, clientY: frame.top + y * frame.height, button: 0, buttons: type === 'mouseup' ? 0 : 1, which: 1 }));
      const listed = () => all('#front-table tbody tr:not([hidden])').length;
      seen.steps.listed = listed();
      document.getElementById('select-box').click();
      for (const [type, place] of [['mousemove', [0.3, 0.2]], ['mousedown', [0.3, 0.2]], ['mousemove', [0.5, 0.5]], ['mousemove', [0.7, 0.8]], ['mouseup', [0.7, 0.8]]]) { press(type, place); await wait(50); }
      await wait(300);
      seen.steps.region = [document.getElementById('region-words').textContent, all('#front-table tbody tr:not([hidden])').length];
      document.getElementById('region-zoom').click();
      document.getElementById('region-clear').click();
      document.getElementById('zoom-reset').click();
      seen.steps.unregion = listed();
      for (const id of ['axis-x', 'axis-y', 'axis-colour']) {
        const select = document.getElementById(id);
        select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
        select.dispatchEvent(new Event('change'));
      }
      for (const id of ['log-x', 'log-y', 'show-intervals', 'show-references', 'show-ties']) {
        const box = document.getElementById(id);
        if (box) box.click();
      }
      await wait(100);
      seen.steps.visibleRows = all('#front-table tr[data-id]:not([hidden])').length;
    }

    const phase = document.getElementById('agreement-phase');
    if (phase) for (const value of ['prefill', 'memory', 'decode']) { phase.value = value; phase.dispatchEvent(new Event('change')); }

    const tabs = all('.tabs [role=tab]');
    if (tabs.length > 1) {
      tabs[1].click();
      await wait(100);
      seen.steps.panel = all('.panel:not([hidden])').map(panel => panel.dataset.model);
      seen.steps.panelExpected = [tabs[1].dataset.pick];
    }
    const copy = document.querySelector('.panel:not([hidden]) .copy');
    if (copy) {
      copy.click();
      await wait(300);
      seen.steps.copied = [copy.textContent, window.testCopied];
    }

    const pair = document.getElementById('pair-first');
    if (pair) {
      const cells = () => all('#pair-table tbody tr').map(row => [...row.cells].map(cell => cell.textContent));
      seen.steps.pair = { ids: ['pair-first', 'pair-second'].map(id => document.getElementById(id).value), rows: cells(), told: document.getElementById('pair-told').textContent };
      const before = pair.value;
      pair.value = 'no such id';
      pair.dispatchEvent(new Event('input', { bubbles: true }));
      seen.steps.pairUnknown = [document.getElementById('pair-table').hidden, document.getElementById('pair-told').textContent];
      pair.value = before;
      pair.dispatchEvent(new Event('input', { bubbles: true }));
      seen.steps.pairBack = cells().length;
    }

    const row = document.querySelector('#front-table tbody tr[tabindex="0"]');
    if (row) {
      const key = (node, name) => node.dispatchEvent(new KeyboardEvent('keydown', { key: name, bubbles: true, cancelable: true }));
      row.focus();
      key(row, 'ArrowDown');
      key(document.activeElement, 'Enter');
      seen.steps.chosen = [document.activeElement.dataset.id, document.querySelector('#chosen h3')?.textContent.split(' ')[0]];
      document.getElementById('tracing').click();
      const figure = document.querySelector('#chosen [data-at]');
      figure.focus();
      key(figure, 'Enter');
      seen.steps.traced = [!document.getElementById('trace').hidden, document.activeElement.id];
      key(document.activeElement, 'Escape');
      seen.steps.untraced = [document.getElementById('trace').hidden, document.activeElement === figure];
      key(figure, 'Enter');
    }
    all('details').forEach(part => { part.open = true; });
    await wait(200);
    seen.layoutOpen = layoutFaults();
    if (!window.testBrief) seen.accessOpen = await accessFaults();
    seen.tables = all('.scroll table').filter(table => table.tBodies[0].rows.length).map(table => {
      const label = table.closest('.scroll').getAttribute('aria-label'), shown = [...table.tBodies[0].rows].filter(line => !line.hidden).length;
      const csv = window.slimfit.tableText(table, 'CSV'), records = JSON.parse(window.slimfit.tableText(table, 'JSON')), markdown = window.slimfit.tableText(table, 'Markdown');
      const bar = table.closest('.scroll').nextElementSibling;
      return [label, records.length === shown && markdown.trim().split('\n').length === shown + 2 && csv.trim().split('\n').length >= shown + 1 && bar.classList.contains('exports')];
    });
    const blobs = [];
    URL.createObjectURL = blob => { blobs.push(blob); return 'data:,'; };
    HTMLAnchorElement.prototype.click = () => {};
    const bars = all('figure.chart .exports').filter(bar => bar.checkVisibility());
    bars.forEach(bar => bar.querySelectorAll('button').forEach(button => button.click()));
    seen.saved = await Promise.all(blobs.map(async blob => [blob.type, blob.size > 5000, (await blob.text()).slice(1, 4)]));
    seen.pictures = all('figure.chart .exports').filter(bar => bar.checkVisibility()).length;

    const theme = document.getElementById('theme');
    seen.steps.themes = [];
    for (let turn = 0; turn < 3; turn++) {
      theme.click();
      await wait(60);
      seen.steps.themes.push([theme.textContent, getComputedStyle(document.body).backgroundColor]);
    }
    await wait(100);
  } catch (error) {
    seen.errors.push(`the driver stopped: ${error.stack || error}`);
  }
  const result = document.createElement('pre');
  result.id = 'test-result';
  result.textContent = encodeURIComponent(JSON.stringify(seen));
  document.body.append(result);
  if (window.parent !== window) window.parent.postMessage(result.textContent, '*');
})();
