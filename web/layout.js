// How large the tiles of a call are: arithmetic only.

const WIDEST = 16 / 9;
/** Cameras are wide: where there is room beside a picture its sides are not cut off. */
const NARROWEST = { landscape: 4 / 3, portrait: 3 / 4 };
export const LEAST_WIDTH = 130;

/** The columns, rows and size of `count` equal tiles that fill the space best. Below LEAST_WIDTH they scroll instead. */
export function fit(count, width, height, gap) {
  const narrowest = width > height ? NARROWEST.landscape : NARROWEST.portrait;
  let best = null;
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const tile = shape((width - gap * (columns - 1)) / columns, (height - gap * (rows - 1)) / rows, narrowest);
    const area = tile.width * tile.height;
    if (tile.width > 0 && tile.height > 0 && (!best || area > best.area)) best = { columns, rows, area, ...tile };
  }
  return best && best.width >= LEAST_WIDTH ? best : scrolling(count, width, gap);
}

function shape(width, height, narrowest) {
  return { width: Math.floor(Math.min(width, height * WIDEST)), height: Math.floor(Math.min(height, width / narrowest)) };
}

function scrolling(count, width, gap) {
  const columns = Math.max(1, Math.floor((width + gap) / (LEAST_WIDTH + gap)));
  const tile = Math.floor((width - gap * (columns - 1)) / columns);
  return { columns, rows: Math.ceil(count / columns), width: tile, height: Math.floor((tile * 3) / 4), area: 0 };
}
