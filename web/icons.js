// Line icons on a 24 by 24 grid, drawn for this page. "F" before a path: filled.

const SVG = "http://www.w3.org/2000/svg";

const PATHS = {
  reels: ["M6.8 7.5a4.3 4.3 0 1 1 0 8.6 4.3 4.3 0 0 1 0-8.6z", "M17.2 7.5a4.3 4.3 0 1 1 0 8.6 4.3 4.3 0 0 1 0-8.6z", "M6.8 16.1h10.4"],
  microphone: ["M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3z", "M5.5 11.5a6.5 6.5 0 0 0 13 0", "M12 18v3"],
  microphoneOff: ["M9 6a3 3 0 0 1 6 0v5", "M14.2 13.1A3 3 0 0 1 9 11V9.3", "M5.5 11.5a6.5 6.5 0 0 0 10.8 4.9", "M18.2 13.4c.2-.6.3-1.2.3-1.9", "M12 18v3", "M4 4l16 16"],
  camera: ["M5.5 6.5h7A2.5 2.5 0 0 1 15 9v6a2.5 2.5 0 0 1-2.5 2.5h-7A2.5 2.5 0 0 1 3 15V9a2.5 2.5 0 0 1 2.5-2.5z", "M15 10.8l5-3v8.4l-5-3"],
  cameraOff: ["M10.5 6.5h2A2.5 2.5 0 0 1 15 9v1.8l5-3v8.4", "M14.6 16.4a2.5 2.5 0 0 1-2.1 1.1h-7A2.5 2.5 0 0 1 3 15V9c0-1 .6-1.9 1.5-2.3", "M4 4l16 16"],
  screen: ["M5 4.5h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-8a2 2 0 0 1 2-2z", "M8.5 20h7", "M12 13.5V8", "M9.5 10.2L12 7.7l2.5 2.5"],
  record: ["M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16z", "FM12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8z"],
  stop: ["M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16z", "FM9.2 9.2h5.6v5.6H9.2z"],
  chat: ["M6 4.5h12a2 2 0 0 1 2 2V14a2 2 0 0 1-2 2h-5.5L8 20v-4H6a2 2 0 0 1-2-2V6.5a2 2 0 0 1 2-2z"],
  leave: ["M3.4 14.3C2.7 11.2 6.6 8.5 12 8.5s9.3 2.7 8.6 5.8l-.3 1.3c-.2.7-.8 1.1-1.5 1l-2.6-.5c-.6-.1-1.1-.6-1.2-1.2l-.3-1.9a11 11 0 0 0-5.4 0L9 14.9c-.1.6-.6 1.1-1.2 1.2l-2.6.5c-.7.1-1.3-.3-1.5-1z"],
  sliders: ["M4 7.5h8", "M18 7.5h2", "M15 5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5z", "M4 16.5h2", "M12 16.5h8", "M9 14a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5z"],
  recordings: ["M5.5 5h13A2.5 2.5 0 0 1 21 7.5v9a2.5 2.5 0 0 1-2.5 2.5h-13A2.5 2.5 0 0 1 3 16.5v-9A2.5 2.5 0 0 1 5.5 5z", "FM10 8.8l5.2 3.2-5.2 3.2z"],
  download: ["M12 4v11", "M7.5 11l4.5 4.5 4.5-4.5", "M5 20h14"],
  play: ["FM8 5.5l11 6.5-11 6.5z"],
  pause: ["M8.5 5.5v13", "M15.5 5.5v13"],
  chevron: ["M6 9.5l6 6 6-6"],
  close: ["M6 6l12 12", "M18 6L6 18"],
  send: ["M4 12l16-7.5-5 15.5-4-6.5z", "M11 13.5l4-4"],
  link: ["M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1", "M14 10a4 4 0 0 0-5.7 0l-3 3A4 4 0 0 0 11 18.7l1-1"],
  more: ["FM6 10.5a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3z", "FM12 10.5a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3z", "FM18 10.5a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3z"],
  keyboard: ["M4.5 6h15A1.5 1.5 0 0 1 21 7.5v9a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 16.5v-9A1.5 1.5 0 0 1 4.5 6z", "M7 10h.01", "M10.3 10h.01", "M13.7 10h.01", "M17 10h.01", "M8.5 14h7"],
  weak: ["M5 18v-3", "M10 18v-6", "M15 18v.01", "M20 18v.01"],
  expand: ["M9 4H4v5", "M15 4h5v5", "M9 20H4v-5", "M15 20h5v-5"],
};

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const common = { viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": "1.8", "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true", focusable: "false" };
  for (const [key, value] of Object.entries(common)) svg.setAttribute(key, value);
  svg.append(...PATHS[name].map(path));
  return svg;
}

function path(text) {
  const element = document.createElementNS(SVG, "path");
  const isFilled = text.startsWith("F");
  element.setAttribute("d", isFilled ? text.slice(1) : text);
  if (isFilled) element.setAttribute("fill", "currentColor");
  return element;
}
