// The counter and the flash of testbed/picture.py, painted on a canvas and read back from one.

const COUNTER_BITS = 16;
const DARK = 'rgb(40,40,40)';
const BRIGHT = 'rgb(215,215,215)';
const MIN_CELL_CONTRAST = 48;
// A read picture is scaled to 4 x 4 pixels a cell: only the two upper rows of cells are looked at.
const READ_WIDTH = 4 * COUNTER_BITS;
const READ_HEIGHT = 8;

export function paint(context, width, height, counter, flash) {
  context.fillStyle = 'rgb(110,110,110)';
  context.fillRect(0, 0, width, height);
  const left = width / 4 + ((counter * width) / 80) % (width - width / 4 - width / 16);
  context.fillStyle = 'rgb(190,190,190)';
  context.fillRect(left, height / 3, width / 16, height / 2);
  for (let bit = 0; bit < COUNTER_BITS; bit += 1) {
    const isSet = (counter >> bit) & 1;
    const x = Math.floor((bit * width) / COUNTER_BITS);
    const end = Math.floor(((bit + 1) * width) / COUNTER_BITS);
    const row = Math.floor(height / 8);
    context.fillStyle = isSet ? BRIGHT : DARK;
    context.fillRect(x, 0, end - x, row);
    context.fillStyle = isSet ? DARK : BRIGHT;
    context.fillRect(x, row, end - x, Math.floor(height / 4) - row);
  }
  context.fillStyle = flash ? BRIGHT : DARK;
  context.fillRect(0, height / 2, width / 4, height / 2);
}

export class Reader {
  constructor() {
    const canvas = Object.assign(document.createElement('canvas'), { width: READ_WIDTH, height: READ_HEIGHT });
    this.context = canvas.getContext('2d', { willReadFrequently: true });
  }

  // The counter that a <video> shows, or null.
  read(video) {
    const { videoWidth: width, videoHeight: height } = video;
    this.context.drawImage(video, 0, 0, width, height / 4, 0, 0, READ_WIDTH, READ_HEIGHT);
    const { data } = this.context.getImageData(0, 0, READ_WIDTH, READ_HEIGHT);
    let counter = 0;
    for (let bit = 0; bit < COUNTER_BITS; bit += 1) {
      const contrast = center(data, bit, 0) - center(data, bit, 1);
      if (Math.abs(contrast) < MIN_CELL_CONTRAST) return null;
      if (contrast > 0) counter |= 1 << bit;
    }
    return counter;
  }
}

// Green stands for brightness: the pictures are grey.
function center(data, bit, row) {
  let sum = 0;
  for (const y of [4 * row + 1, 4 * row + 2]) {
    for (const x of [4 * bit + 1, 4 * bit + 2]) sum += data[4 * (y * READ_WIDTH + x) + 1];
  }
  return sum / 4;
}
