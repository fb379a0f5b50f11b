// What a reader's eye would stumble over: text that is cut off, leaves the page, or lies on other text.

/** Faults in sight, each with the words it is about. */
function layoutFaults() {
  const faults = [], boxes = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const styles = new Map();
  const styleOf = node => { if (!styles.has(node)) styles.set(node, getComputedStyle(node)); return styles.get(node); };
  const scrolls = new Map();
  /** Boxes that scroll or cut around an element, and whether it lies in a layer above the page. */
  const around = node => {
    if (!node || node === document.documentElement) return { cuts: [], floats: false };
    if (scrolls.has(node)) return scrolls.get(node);
    const above = around(node.parentElement), style = styleOf(node);
    const cuts = node !== document.body && style.overflowX !== 'visible' ? [...above.cuts, node] : above.cuts;
    const found = { cuts, floats: above.floats || style.position === 'fixed' || style.position === 'sticky' };
    scrolls.set(node, found);
    return found;
  };
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.nodeValue.trim(), holder = node.parentElement;
    if (!text || holder.closest('script, style, noscript, option, [hidden], canvas')) continue;
    if (!holder.checkVisibility({ visibilityProperty: true })) continue;
    const { cuts, floats } = around(holder);
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width < 1 || box.height < 1) continue;
      const hidden = cuts.some(cut => { const frame = cut.getBoundingClientRect(); return box.right <= frame.left || box.left >= frame.right || box.bottom <= frame.top || box.top >= frame.bottom; });
      if (hidden || box.right < 0) continue;
      const silent = cuts.find(cut => ['hidden', 'clip'].includes(styleOf(cut).overflowX) && box.right > cut.getBoundingClientRect().right + 1);
      if (silent) faults.push(`cut off: ${text.slice(0, 60)}`);
      if (!cuts.length && (box.right > innerWidth + 1 || box.left < -1)) faults.push(`leaves the page: ${text.slice(0, 60)}`);
      if (!floats) boxes.push({ box, text, holder });
    }
  }
  for (const node of document.querySelectorAll('button, select, label, th, td, dd, dt, .card, legend')) {
    if (!node.checkVisibility() || node.clientWidth === 0) continue;
    if (node.scrollWidth > node.clientWidth + 1 && styleOf(node).overflowX === 'visible' && styleOf(node).display !== 'inline' && !['TH', 'TD'].includes(node.tagName)) faults.push(`wider than its box by ${node.scrollWidth - node.clientWidth}: ${node.textContent.trim().slice(0, 60)}`);
  }
  boxes.sort((one, other) => one.box.top - other.box.top);
  boxes.forEach(({ box, text, holder }, index) => {
    for (let next = index + 1; next < boxes.length && boxes[next].box.top < box.bottom - 3; next++) {
      const other = boxes[next];
      const across = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left);
      const down = Math.min(box.bottom, other.box.bottom) - Math.max(box.top, other.box.top);
      // Line boxes of different sizes touch; letters do not until a good part of the height is shared.
      if (across > 2 && down > 0.45 * Math.min(box.height, other.box.height) && !holder.contains(other.holder) && !other.holder.contains(holder)) faults.push(`overlap: "${text.slice(0, 40)}" and "${other.text.slice(0, 40)}"`);
    }
  });
  return [...new Set(faults)].slice(0, 20);
}
