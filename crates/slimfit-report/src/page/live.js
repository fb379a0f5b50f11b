// A page that `slimfit serve` answers with: asks how far the search is, and shows what the study has newly.

const PAUSE = 1000, LONG_PAUSE = 5000;

function tell(words) {
  const node = element('live');
  if (node.textContent !== words) node.textContent = words;
}

async function fetched(path) {
  const answer = await fetch(path, { cache: 'no-store' });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

async function ask() {
  let pause = document.hidden ? LONG_PAUSE : PAUSE;
  const node = element('live');
  try {
    const { revision, running } = await fetched('running.json');
    if (revision !== node.dataset.revision) {
      const parts = await fetched('parts.json');
      showParts(parts);
      node.dataset.revision = parts.revision;
    }
    showRunning(running);
    tell(running && running.at_work ? 'Live: a search is at work' : 'Live: waiting for something new');
    if (!running) pause = Math.max(pause, 2 * PAUSE);
  } catch {
    tell('Not live: the server has gone or cannot read the study');
    pause = LONG_PAUSE;
  }
  setTimeout(ask, pause);
}

ask();
