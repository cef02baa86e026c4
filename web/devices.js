// The camera and the microphone before the call: opened, previewed, swapped and handed over.

const KINDS = { camera: "videoinput", microphone: "audioinput" };
const KEY = "channel-recorder.devices";

export const hasDevices = () => Boolean(navigator.mediaDevices?.getUserMedia);

/** What the user picked last time; per browser. */
export function remembered() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

export function remember(changes) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...remembered(), ...changes }));
  } catch {
    // Private windows may refuse; nothing depends on it.
  }
}

/** Those of a kind that have a name; browsers hide names until they may be used. */
export async function listDevices(kind) {
  if (!navigator.mediaDevices?.enumerateDevices) return [];
  const all = await navigator.mediaDevices.enumerateDevices();
  return all.filter((device) => device.kind === kind && device.deviceId);
}

/** One local device. `changed` is called with it whenever there is something new to show. */
export class LocalDevice {
  constructor(what, changed) {
    this.what = what;
    this.changed = changed;
    this.track = null;
    this.error = null;
    this.isBusy = false;
    this.wanted = remembered()[`${what}On`] ?? true;
    this.deviceId = remembered()[what] ?? "";
  }

  get isOn() {
    return this.track !== null;
  }

  async list() {
    return listDevices(KINDS[this.what]);
  }

  async turn(on) {
    this.wanted = on;
    remember({ [`${this.what}On`]: on });
    if (on) await this.open();
    else this.close();
  }

  async pick(deviceId) {
    this.deviceId = deviceId;
    remember({ [this.what]: deviceId });
    if (this.isOn) await this.open();
  }

  async open() {
    this.close(false);
    this.isBusy = true;
    this.error = null;
    this.changed(this);
    try {
      await this.create();
    } catch (error) {
      this.error = error;
    }
    this.isBusy = false;
    this.changed(this);
  }

  async create() {
    if (!hasDevices()) throw Object.assign(new Error(), { name: "InsecureError" });
    const { createLocalVideoTrack, createLocalAudioTrack, VideoPresets } = globalThis.LivekitClient;
    const deviceId = this.deviceId ? { ideal: this.deviceId } : undefined;
    const track = this.what === "camera"
      ? await createLocalVideoTrack({ deviceId, resolution: VideoPresets.h720.resolution })
      : await createLocalAudioTrack({ deviceId, echoCancellation: true, noiseSuppression: true, autoGainControl: true });
    if (!this.wanted) {
      track.stop();
      return;
    }
    this.track = track;
    track.once("ended", () => this.lost(track));
  }

  lost(track) {
    if (this.track !== track) return;
    this.track = null;
    this.error = Object.assign(new Error(), { name: "OverconstrainedError" });
    this.changed(this);
  }

  close(tell = true) {
    this.track?.stop();
    this.track = null;
    if (tell) {
      this.error = null;
      this.changed(this);
    }
  }

  /** The open track, which is the caller's from now on. */
  handOver() {
    const track = this.track;
    track?.removeAllListeners("ended");
    this.track = null;
    return track;
  }
}
