// An open page of a study that has just begun takes the records of a later moment, which `browser.rs` puts in `testParts`.
(async () => {
  const seen = { errors: window.testErrors };
  const wait = milliseconds => new Promise(done => setTimeout(done, milliseconds));
  const rows = () => document.querySelectorAll('#front-table tr[data-id]').length;
  try {
    await wait(200);
    seen.before = rows();
    const [first, second] = window.testParts;
    window.slimfit.show(first);
    await wait(300);
    seen.first = rows();
    const slider = document.querySelector('input[name=max_memory]');
    slider.value = (Number(slider.min) + Number(slider.max)) / 2;
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    document.getElementById('log-y').click();
    document.querySelector('#front-table tbody tr[tabindex="0"]').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
    const kept = () => [document.querySelector('input[name=max_memory]').value, document.getElementById('log-y').checked, document.querySelector('#chosen h3').textContent];
    const before = kept();
    window.slimfit.show(second);
    await wait(1500);
    seen.second = rows();
    seen.kept = [before, kept()];
    seen.greyed = document.querySelectorAll('#front-table tr.out').length;
    seen.charts = ['pareto-chart', 'bandwidth-chart'].map(id => document.querySelectorAll(`#${id} canvas`).length);
    seen.figures = figureFaults().faults;
  } catch (error) {
    seen.errors.push(`the driver stopped: ${error.stack || error}`);
  }
  const result = document.createElement('pre');
  result.id = 'test-result';
  result.textContent = encodeURIComponent(JSON.stringify(seen));
  document.body.append(result);
})();
