// Where the names of marks stand, so that none covers another.

let measuring = null;

function textWidth(text, font) {
  measuring ||= document.createElement('canvas').getContext('2d');
  measuring.font = font;
  return measuring.measureText(text).width;
}

const overlaps = (a, b) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

/**
 * For each mark `{ x, y, text, size, font, must }` in pixels the side its name stands on and how far from the mark, or
 * nothing where there is no room within the box. Marks come in the order of their importance; the name of one that `must`
 * be named may stand further off, and covers something only where all else fails.
 */
function placedLabels(marks, { left, right, top, bottom }) {
  const taken = marks.map(({ x, y, size }) => ({ x: x - size / 2, y: y - size / 2, width: size, height: size }));
  return marks.map((mark, index) => {
    const wide = textWidth(mark.text, mark.font) + 4, high = 16;
    const places = (mark.must ? [5, 20, 36, 52] : [5]).flatMap(distance => {
      const gap = mark.size / 2 + distance;
      return [
        { side: 'right', distance, x: mark.x + gap, y: mark.y - high / 2 },
        { side: 'left', distance, x: mark.x - gap - wide, y: mark.y - high / 2 },
        { side: 'top', distance, x: mark.x - wide / 2, y: mark.y - gap - high },
        { side: 'bottom', distance, x: mark.x - wide / 2, y: mark.y + gap },
      ];
    }).map(place => ({ ...place, width: wide, height: high }));
    const inSight = box => box.x >= left && box.y >= top && box.x + wide <= right && box.y + high <= bottom;
    const free = box => inSight(box) && taken.every((other, place) => place === index || !overlaps(box, other));
    const found = places.find(free) || (mark.must ? places.find(inSight) : undefined);
    if (found) taken.push(found);
    return found;
  });
}
