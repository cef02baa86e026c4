// The Record button, and the mark that everybody sees while the channel is being recorded.

import { api } from "./api.js";
import { byId } from "./dom.js";
import { notice, trouble } from "./notices.js";
import { clockText } from "./words.js";

const LOOK_AGAIN_MS = 3000;

export class Recorder {
  /** `changed` is called when the button has something new to say, `watch` when the user wants to see what was recorded. */
  constructor(room, channel, changed, watch) {
    this.room = room;
    this.channel = channel;
    this.changed = changed;
    this.watch = watch;
    this.modes = ["individual"];
    this.current = null;
    this.sinceMs = 0;
    this.isBusy = false;
    this.wasOn = false;
    this.lookedAtMs = Date.now();
    this.timer = setInterval(() => this.tick(), 500);
  }

  async open() {
    this.modes = (await api.service().catch(() => null))?.modes ?? this.modes;
    await this.look();
  }

  /** The room says that a recorder is there, or the service says it is recording: either counts. */
  get isOn() {
    return this.room.isRecording || Boolean(this.current);
  }

  get canStop() {
    return Boolean(this.current?.can_stop);
  }

  get elapsed() {
    return this.isOn && this.sinceMs ? (Date.now() - this.sinceMs) / 1000 : 0;
  }

  /** After the room said that recording began or ended. */
  async look() {
    this.lookedAtMs = Date.now();
    const found = await api.recordings({ channel: this.channel, limit: 5 }).catch(() => null);
    if (found) this.take(found.recordings.find((one) => one.state === "recording") ?? null);
  }

  take(recording) {
    this.current = recording;
    if (recording) this.sinceMs = Date.now() - recording.duration * 1000;
    else if (!this.room.isRecording) this.sinceMs = 0;
    else if (!this.sinceMs) this.sinceMs = Date.now();
    this.show();
  }

  async start(mode) {
    await this.busy(async () => this.take(await api.startRecording(this.channel, mode)), "already_recording");
  }

  async stop() {
    if (!this.canStop) {
      trouble("This recording was started elsewhere and has to be stopped there.");
      return;
    }
    await this.busy(async () => {
      const id = this.current.id;
      await api.stopRecording(id);
      this.wasOn = this.room.isRecording;
      this.take(null);
      notice("The recording is saved.", { action: { text: "Watch", run: () => this.watch(id) } });
    });
  }

  async busy(work, harmless = "") {
    if (this.isBusy) return;
    this.isBusy = true;
    this.changed();
    try {
      await work();
    } catch (error) {
      if (error.reason !== harmless) trouble(error.message);
      await this.look();
    } finally {
      this.isBusy = false;
      this.changed();
    }
  }

  show() {
    if (this.isOn !== this.wasOn && !this.isBusy) notice(this.isOn ? "This call is being recorded." : "Recording has ended.");
    this.wasOn = this.isOn;
    byId("rec-mark").hidden = !this.isOn;
    byId("call").toggleAttribute("data-recording", this.isOn);
    this.tick();
    this.changed();
  }

  tick() {
    const text = this.isOn && this.sinceMs ? clockText(this.elapsed) : "";
    for (const place of document.querySelectorAll(".rec-time")) if (place.textContent !== text) place.textContent = text;
    // The room and the service tell of the end one after the other, and only the room does so unasked.
    if (this.isOn && !this.isBusy && Date.now() - this.lookedAtMs > LOOK_AGAIN_MS) this.look();
  }

  close() {
    clearInterval(this.timer);
    byId("rec-mark").hidden = true;
    byId("call").removeAttribute("data-recording");
  }
}
