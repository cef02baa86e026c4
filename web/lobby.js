// Before the call: devices with preview and level, name and channel, the password if there is one.

import { api } from "./api.js";
import { LocalDevice } from "./devices.js";
import { byId, h, label, tell } from "./dom.js";
import { Meter } from "./meter.js";
import { devicesSentence, joinSentence } from "./words.js";

const NAME_KEY = "channel-recorder.name";

export class Lobby {
  /** `join({ seat, channel, camera, microphone })` holds the call; it rejects if there was none. */
  constructor(join) {
    this.join = join;
    this.camera = new LocalDevice("camera", () => this.show());
    this.microphone = new LocalDevice("microphone", () => this.show());
    this.meter = new Meter((level) => this.showLevel(level));
    this.service = null;
    this.bind();
  }

  bind() {
    byId("preview-camera").addEventListener("click", () => this.camera.turn(!this.camera.isOn));
    byId("preview-microphone").addEventListener("click", () => this.microphone.turn(!this.microphone.isOn));
    byId("camera-select").addEventListener("change", (event) => this.camera.pick(event.target.value));
    byId("microphone-select").addEventListener("change", (event) => this.microphone.pick(event.target.value));
    byId("join-form").addEventListener("submit", (event) => { event.preventDefault(); this.submit(false); });
    byId("take-over").addEventListener("click", () => this.submit(true));
    byId("name").value = remembered(NAME_KEY);
    byId("channel").value = new URLSearchParams(location.search).get("channel") ?? "";
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.listDevices());
  }

  async open(sentence = "") {
    byId("lobby").hidden = false;
    tell(byId("join-trouble"), sentence);
    byId("take-over").hidden = true;
    (byId("name").value && !byId("channel").value ? byId("channel") : byId("name")).focus();
    this.show();
    await Promise.all([this.askService(), ...[this.camera, this.microphone].filter((device) => device.wanted).map((device) => device.open())]);
    await this.listDevices();
  }

  close() {
    byId("lobby").hidden = true;
    this.camera.close();
    this.microphone.close();
  }

  async askService() {
    try {
      this.service = await api.service();
      byId("password-row").hidden = !this.needsPassword;
      if (this.service.is_page_closed) {
        tell(byId("join-trouble"), "This page is closed: the server can be reached from other machines, so whoever runs it has to set a page password.");
      }
    } catch (error) {
      tell(byId("join-trouble"), error.message);
    }
  }

  get needsPassword() {
    return Boolean(this.service?.needs_password && !this.service.is_signed_in);
  }

  async submit(takeOver) {
    const [name, channel] = [byId("name").value.trim(), byId("channel").value.trim()];
    if (!name || !channel) return;
    remember(NAME_KEY, name);
    tell(byId("join-trouble"), "");
    this.setBusy(true);
    try {
      await this.signIn();
      const seat = await api.openSession(name, channel, takeOver);
      await this.join({ seat, channel, camera: this.camera.handOver(), microphone: this.microphone.handOver() });
    } catch (error) {
      this.refused(error);
    } finally {
      this.setBusy(false);
    }
  }

  async signIn() {
    if (!this.needsPassword) return;
    await api.login(byId("password").value);
    byId("password").value = "";
    await this.askService();
  }

  refused(error) {
    tell(byId("join-trouble"), joinSentence(error));
    byId("take-over").hidden = error.reason !== "name_taken";
    if (error.reason === "password_needed") this.askService();
    // The call that failed has stopped what it was handed.
    for (const device of [this.camera, this.microphone]) if (device.wanted && !device.isOn) device.open();
    const field = { name_taken: "name", wrong_password: "password", password_needed: "password", invalid_channel: "channel" }[error.reason];
    byId(field ?? "join-button").focus();
  }

  setBusy(isBusy) {
    byId("join-button").disabled = isBusy;
    byId("join-button").textContent = isBusy ? "Joining…" : "Join";
  }

  // What is shown

  show() {
    const { camera, microphone } = this;
    this.showButton(byId("preview-camera"), camera, "camera");
    this.showButton(byId("preview-microphone"), microphone, "microphone");
    const video = byId("preview-video");
    video.hidden = !camera.isOn;
    if (camera.isOn) camera.track.attach(video);
    tell(byId("preview-note"), camera.isOn ? "" : camera.isBusy ? "Starting the camera…" : "Your camera is off");
    tell(byId("device-trouble"), devicesSentence(camera.error, microphone.error));
    if (microphone.track !== this.metered) {
      this.metered = microphone.track;
      if (microphone.isOn) this.meter.start(microphone.track.mediaStreamTrack);
      else this.meter.stop();
    }
    this.listDevices();
  }

  showButton(button, device, icon) {
    const text = device.isOn ? `Turn ${device.what} off` : `Turn ${device.what} on`;
    label(button, { icon: device.isOn ? icon : `${icon}Off`, text, hint: device.what === "camera" ? "V" : "M", pressed: device.isOn });
    button.disabled = device.isBusy;
  }

  showLevel(level) {
    const bar = byId("level");
    bar.style.setProperty("--level", level.toFixed(3));
    bar.setAttribute("aria-valuenow", Math.round(level * 100));
  }

  async listDevices() {
    await Promise.all([
      fill(byId("camera-select"), await this.camera.list(), this.camera),
      fill(byId("microphone-select"), await this.microphone.list(), this.microphone),
    ]);
  }
}

function fill(select, devices, device) {
  const current = device.track?.mediaStreamTrack.getSettings().deviceId ?? device.deviceId;
  const options = devices.map((one, number) => h("option", { value: one.deviceId, selected: one.deviceId === current }, one.label || `${device.what} ${number + 1}`));
  select.disabled = options.length === 0;
  select.replaceChildren(...(options.length ? options : [h("option", {}, `No ${device.what} yet`)]));
}

function remembered(key) {
  try {
    return localStorage.getItem(key) ?? "";
  } catch {
    return "";
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Private windows may refuse; nothing depends on it.
  }
}
