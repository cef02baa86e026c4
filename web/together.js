// Plays all files of a recording at once, each where it belongs in time: the call as it was.

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { isAudio } from "./recordings.js";
import { clockText, countText } from "./words.js";

const STEP_MS = 200;
const DRIFT_SECONDS = 0.15;

export class Together {
  constructor(files) {
    const starts = files.map((file) => Date.parse(file.started_at) / 1000);
    const zero = Math.min(...starts);
    this.parts = files.map((file, number) => ({ file, start: starts[number] - zero }));
    this.open = h("button", { type: "button", class: "primary", onclick: () => this.begin() }, icon("play"), `Play all ${countText(files.length, "file")} together`);
    this.element = h("div", { class: "together" }, h("div", { class: "recording-actions" }, this.open));
    this.isPlaying = false;
    this.position = 0;
  }

  get length() {
    return Math.max(0.1, ...this.parts.map((part) => part.start + (part.media?.duration || part.file.duration || 0)).filter(Number.isFinite));
  }

  begin() {
    const figures = this.parts.map((part) => this.figure(part));
    const pictures = this.parts.filter((part) => !isAudio(part.file)).length;
    const stage = h("div", { class: "together-stage", style: { "--columns": Math.max(1, Math.ceil(Math.sqrt(pictures))) } }, figures);
    this.toggleButton = h("button", { type: "button", class: "icon accent", onclick: () => (this.isPlaying ? this.pause() : this.play()) });
    this.slider = h("input", { type: "range", min: 0, max: 1000, step: 1, value: 0, "aria-label": "Position", oninput: () => this.seek((this.slider.value / 1000) * this.length) });
    this.time = h("time", {});
    this.element.replaceChildren(stage, h("div", { class: "together-bar" }, this.toggleButton, this.slider, this.time));
    this.play();
    this.toggleButton.focus({ focusVisible: false });
  }

  figure(part) {
    const sound = isAudio(part.file);
    part.media = h(sound ? "audio" : "video", { src: part.file.url, playsinline: true, preload: "auto" });
    part.element = h("figure", { class: part.file.source === "screen_share" ? "screen-file" : "", hidden: sound }, part.media, h("figcaption", {}, part.file.account || `User ${part.file.uid}`));
    return part.element;
  }

  play() {
    if (this.position >= this.length - 0.05) this.position = 0;
    this.isPlaying = true;
    this.steppedAt = performance.now();
    this.timer = setInterval(() => this.step(), STEP_MS);
    this.step();
  }

  pause() {
    this.isPlaying = false;
    clearInterval(this.timer);
    for (const part of this.parts) part.media?.pause();
    this.show();
  }

  seek(position) {
    this.position = position;
    for (const part of this.parts) this.place(part, 0);
    this.show();
  }

  /** The page's clock leads; each file follows, and all wait for one that has to load. */
  step() {
    const now = performance.now();
    const isWaiting = this.parts.some((part) => this.isDue(part) && part.media.readyState < HTMLMediaElement.HAVE_FUTURE_DATA && !part.media.ended && !part.media.error);
    if (!isWaiting) this.position += (now - this.steppedAt) / 1000;
    this.steppedAt = now;
    if (this.position >= this.length) {
      this.position = this.length;
      this.pause();
      return;
    }
    for (const part of this.parts) this.follow(part, isWaiting);
    this.show();
  }

  follow(part, isWaiting) {
    const isDue = this.isDue(part);
    part.element.classList.toggle("away", !isDue);
    if (!isDue || isWaiting) {
      part.media.pause();
      if (isDue) this.place(part, DRIFT_SECONDS);
      return;
    }
    this.place(part, DRIFT_SECONDS);
    if (part.media.paused && !part.media.ended) part.media.play().catch(() => {});
  }

  place(part, allowed) {
    const wanted = this.position - part.start;
    if (wanted >= 0 && Math.abs(part.media.currentTime - wanted) > allowed) part.media.currentTime = wanted;
  }

  isDue(part) {
    const at = this.position - part.start;
    const length = part.file.duration ?? part.media.duration;
    return at >= 0 && !(at >= length);
  }

  show() {
    this.toggleButton.replaceChildren(icon(this.isPlaying ? "pause" : "play"));
    this.toggleButton.setAttribute("aria-label", this.isPlaying ? "Pause" : "Play");
    this.slider.value = Math.round((this.position / this.length) * 1000);
    this.slider.setAttribute("aria-valuetext", clockText(this.position));
    this.time.textContent = `${clockText(this.position)} / ${clockText(this.length)}`;
  }

  close() {
    clearInterval(this.timer);
    for (const part of this.parts) {
      part.media?.pause();
      part.media?.removeAttribute("src");
      part.media?.load();
    }
    this.element.remove();
  }
}
