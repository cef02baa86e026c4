// A call: the room of the official SDK on one side, the page on the other.

import { listDevices, remember } from "./devices.js";
import { byId, h, label, tell } from "./dom.js";
import { icon } from "./icons.js";
import { openMenu } from "./menu.js";
import { dismiss, notice, trouble } from "./notices.js";
import { Chat } from "./chat.js";
import { Recorder } from "./recorder.js";
import { RecordingList } from "./recordings.js";
import { Stage } from "./tiles.js";
import { countText, deviceSentence, endSentence } from "./words.js";

const MODE_WORDS = {
  individual: ["A file for each person", "Camera and microphone together, in step"],
  composite: ["One file of everybody", "As it looks and sounds here"],
};

export class Call {
  /** `ended` is called with a sentence, empty if the user left. */
  constructor(channel, ended, showHelp) {
    this.channel = channel;
    this.ended = ended;
    this.showHelp = showHelp;
    this.unread = 0;
    this.panel = null;
    this.updateIsDue = false;
    this.buttons = {};
  }

  /** Rejects if the channel cannot be joined. */
  async start(seat, camera, microphone) {
    const { Room } = globalThis.LivekitClient;
    this.room = new Room({ adaptiveStream: true, dynacast: true });
    this.sounds = h("div", { hidden: true });
    this.listen();
    try {
      await this.room.connect(ownScheme(seat.url), seat.token);
    } catch (error) {
      for (const track of [camera, microphone]) track?.stop();
      throw error;
    }
    this.open();
    for (const track of [microphone, camera]) if (track) this.publish(track);
    await this.recorder.open();
  }

  async publish(track) {
    try {
      await this.room.localParticipant.publishTrack(track);
    } catch (error) {
      track.stop();
      trouble(`Your ${track.kind === "video" ? "camera" : "microphone"} could not be sent: ${error.message}`);
    }
    this.updateSoon();
  }

  listen() {
    const { RoomEvent } = globalThis.LivekitClient;
    const structure = [
      "ParticipantConnected", "ParticipantDisconnected", "TrackSubscribed", "TrackUnsubscribed", "TrackPublished", "TrackUnpublished", "TrackMuted",
      "TrackUnmuted", "LocalTrackPublished", "LocalTrackUnpublished", "ParticipantNameChanged", "Reconnected", "Moved",
    ];
    for (const name of structure) this.room.on(RoomEvent[name], () => this.updateSoon());
    this.room
      .on(RoomEvent.TrackSubscribed, (track) => { if (track.kind === "audio") this.sounds.append(track.attach()); })
      .on(RoomEvent.TrackUnsubscribed, (track) => { if (track.kind === "audio") for (const sound of track.detach()) sound.remove(); })
      .on(RoomEvent.ParticipantConnected, (one) => this.say(`${one.name || one.identity} joined`))
      .on(RoomEvent.ParticipantDisconnected, (one) => this.say(`${one.name || one.identity} left`))
      .on(RoomEvent.ActiveSpeakersChanged, () => this.stage?.updateSpeakers())
      .on(RoomEvent.ConnectionQualityChanged, () => this.stage?.updateBadges())
      .on(RoomEvent.RecordingStatusChanged, () => this.recorder?.look())
      .on(RoomEvent.AudioPlaybackStatusChanged, () => this.showBanner())
      .on(RoomEvent.SignalReconnecting, () => this.reconnecting(true))
      .on(RoomEvent.Reconnecting, () => this.reconnecting(true))
      .on(RoomEvent.Reconnected, () => this.reconnecting(false))
      .on(RoomEvent.MediaDevicesError, (error, kind) => trouble(deviceSentence(error, kind === "videoinput" ? "camera" : "microphone")))
      .on(RoomEvent.TrackSubscriptionFailed, () => trouble("Somebody's sound or picture could not be received."))
      .on(RoomEvent.Disconnected, (reason) => this.finish(reason));
  }

  // The page

  open() {
    byId("call").hidden = false;
    byId("call").append(this.sounds);
    byId("call-channel").textContent = this.channel;
    document.title = `${this.channel} – Channel Recorder`;
    this.chat = new Chat(this.room, (name, text) => this.messageArrived(name, text));
    this.recorder = new Recorder(this.room, this.channel, () => this.updateButtons(), (id) => this.togglePanel("recordings", id));
    this.stage = new Stage(this.room, () => this.toggleScreen());
    label(byId("panel-close"), { icon: "close", text: "Close" });
    byId("panel-close").onclick = () => this.togglePanel(null);
    label(byId("chat-send"), { icon: "send", text: "Send" });
    byId("copy-link").onclick = () => this.copyLink();
    this.makeButtons();
    this.update();
    this.buttons.microphone.focus({ focusVisible: false });
  }

  updateSoon() {
    if (this.updateIsDue || !this.stage) return;
    this.updateIsDue = true;
    queueMicrotask(() => { this.updateIsDue = false; if (this.stage) this.update(); });
  }

  update() {
    this.stage.update();
    byId("call-count").textContent = countText(this.room.remoteParticipants.size + 1, "person", "people");
    this.updateButtons();
  }

  say(text) {
    if (this.stage) notice(text);
  }

  reconnecting(isLost) {
    this.isLost = isLost;
    this.showBanner();
    if (!isLost) notice("The connection is back.");
  }

  showBanner() {
    const isSilent = this.room.canPlaybackAudio === false;
    tell(byId("banner"), this.isLost ? "The connection was lost. Reconnecting…" : isSilent ? "The browser holds back the sound. " : "");
    if (!this.isLost && isSilent) byId("banner").append(h("button", { type: "button", class: "secondary", onclick: () => this.room.startAudio() }, "Let me hear"));
  }

  async copyLink() {
    const link = `${location.origin}/?channel=${encodeURIComponent(this.channel)}`;
    try {
      await navigator.clipboard.writeText(link);
      notice("The link is copied.");
    } catch {
      notice(link);
    }
  }

  // Buttons

  makeButtons() {
    const button = (name, kind, run) => (this.buttons[name] = h("button", { type: "button", class: `control ${kind}`, onclick: run }));
    const canShare = Boolean(navigator.mediaDevices?.getDisplayMedia);
    byId("controls").replaceChildren(
      button("microphone", "", () => this.toggleMicrophone()),
      button("camera", "", () => this.toggleCamera()),
      ...(canShare ? [button("screen", "wide", () => this.toggleScreen())] : []),
      button("record", "record", () => this.toggleRecording()),
      h("span", { class: "spacer" }),
      button("chat", "", () => this.togglePanel("chat")),
      button("recordings", "wide", () => this.togglePanel("recordings")),
      button("devices", "wide", () => this.showDevices(this.buttons.devices)),
      button("help", "wide", () => this.showHelp()),
      button("more", "narrow", () => this.showMore(canShare)),
      button("leave", "leave", () => this.leave()),
    );
  }

  updateButtons() {
    const { localParticipant: me } = this.room;
    const toggle = (name, isOn, on, off, hint) => this.paint(name, isOn ? name : `${name}Off`, isOn ? on : off, { text: name === "camera" ? "Camera" : "Mic", hint, off: !isOn });
    toggle("microphone", me.isMicrophoneEnabled, "Turn microphone off", "Turn microphone on", "M");
    toggle("camera", me.isCameraEnabled, "Turn camera off", "Turn camera on", "V");
    const isSharing = me.isScreenShareEnabled;
    this.paint("screen", "screen", isSharing ? "Stop sharing your screen" : "Share your screen", { text: "Share", hint: "S", pressed: isSharing });
    this.paint("chat", "chat", this.unread ? `Chat, ${countText(this.unread, "new message")}` : "Chat", { text: "Chat", hint: "C", pressed: this.panel === "chat", badge: this.unread });
    this.paint("recordings", "recordings", "Recordings of this channel", { text: "Recordings", hint: "L", pressed: this.panel === "recordings" });
    this.paint("devices", "sliders", "Pick devices", { text: "Devices", hint: "D" });
    this.paint("help", "keyboard", "Keyboard shortcuts", { text: "Keys", hint: "?" });
    this.paint("more", "more", "More", { text: "More" });
    this.paint("leave", "leave", "Leave the call", { text: "Leave" });
    this.updateRecord();
  }

  updateRecord() {
    const { isOn, isBusy, canStop } = this.recorder;
    const text = isBusy ? (isOn ? "Saving…" : "Starting…") : isOn ? "Stop" : "Record";
    this.paint("record", isOn ? "stop" : "record", isOn ? "Stop recording" : "Record everybody", { text, hint: "R", on: isOn });
    this.buttons.record.disabled = isBusy || (isOn && !canStop);
  }

  paint(name, iconName, sentence, { text, hint, pressed = null, off = false, on = false, badge = 0 }) {
    const button = this.buttons[name];
    if (!button) return;
    label(button, { text: sentence, hint, pressed });
    button.classList.toggle("off", off);
    button.classList.toggle("on", on);
    button.replaceChildren(icon(iconName), h("span", {}, text), ...(badge ? [h("span", { class: "badge", "aria-hidden": "true" }, badge > 9 ? "9+" : badge)] : []));
  }

  async toggleMicrophone() {
    await this.attempt("microphone", (me) => me.setMicrophoneEnabled(!me.isMicrophoneEnabled));
  }

  async toggleCamera() {
    await this.attempt("camera", (me) => me.setCameraEnabled(!me.isCameraEnabled));
  }

  async toggleScreen() {
    try {
      const { localParticipant: me } = this.room;
      await me.setScreenShareEnabled(!me.isScreenShareEnabled, { audio: true, selfBrowserSurface: "exclude" });
    } catch (error) {
      // Closing the browser's own picker is no trouble.
      if (error.name !== "NotAllowedError") trouble(`The screen cannot be shared: ${error.message}`);
    }
    this.updateSoon();
  }

  async attempt(what, work) {
    const button = this.buttons[what];
    if (button.disabled) return;
    button.disabled = true;
    try {
      await work(this.room.localParticipant);
    } catch (error) {
      trouble(deviceSentence(error, what));
    } finally {
      button.disabled = false;
      this.updateSoon();
    }
  }

  toggleRecording() {
    const { recorder } = this;
    if (recorder.isBusy) return;
    if (recorder.isOn) recorder.stop();
    else if (recorder.modes.length > 1) this.askMode();
    else recorder.start(recorder.modes[0]);
  }

  askMode() {
    const items = this.recorder.modes.map((mode) => {
      const [text, detail] = MODE_WORDS[mode] ?? [mode, ""];
      return { text, detail, run: () => this.recorder.start(mode) };
    });
    openMenu(this.buttons.record, [{ title: "Record", items }], "Kind of recording");
  }

  async showDevices(button) {
    const group = async (title, kind) => ({ title, items: (await listDevices(kind)).map((device, number) => this.deviceItem(device, kind, number)) });
    const groups = await Promise.all([group("Microphone", "audioinput"), group("Speaker", "audiooutput"), group("Camera", "videoinput")]);
    const found = groups.filter((one) => one.items.length);
    if (found.length) openMenu(button, found, "Devices");
    else trouble("The browser shows no devices. Turn the camera or the microphone on first.");
  }

  deviceItem(device, kind, number) {
    const what = { audioinput: "microphone", audiooutput: "speaker", videoinput: "camera" }[kind];
    const run = async () => {
      try {
        await this.room.switchActiveDevice(kind, device.deviceId);
        remember({ [what]: device.deviceId });
      } catch (error) {
        trouble(deviceSentence(error, what));
      }
    };
    return { text: device.label || `${what} ${number + 1}`, checked: this.room.getActiveDevice(kind) === device.deviceId, run };
  }

  showMore(canShare) {
    const { more } = this.buttons;
    const items = [
      canShare && { text: "Share your screen", icon: "screen", run: () => this.toggleScreen() },
      { text: "Recordings of this channel", icon: "recordings", run: () => this.togglePanel("recordings") },
      { text: "Pick devices", icon: "sliders", run: () => this.showDevices(more) },
      { text: "Copy the link", icon: "link", run: () => this.copyLink() },
    ].filter(Boolean);
    openMenu(more, [{ items }], "More");
  }

  // The panel

  /** `what`: "chat", "recordings" or null; the one that is open closes it. `id` is a recording to unfold. */
  togglePanel(what, id = null) {
    this.panel = this.panel === what && !id ? null : what;
    byId("panel").hidden = !this.panel;
    byId("chat").hidden = this.panel !== "chat";
    byId("call-recordings").hidden = this.panel !== "recordings";
    byId("panel-title").textContent = this.panel === "chat" ? "Chat" : "Recordings";
    if (this.panel === "chat") {
      this.unread = 0;
      dismiss("chat");
    }
    this.showRecordings(id);
    this.updateButtons();
    this.focusPanel();
  }

  focusPanel() {
    if (this.panel === "chat") byId("chat-text").focus();
    else if (this.panel) byId("panel-close").focus({ focusVisible: false });
    else this.buttons.chat.focus({ focusVisible: false });
  }

  showRecordings(id) {
    this.list?.close();
    this.list = null;
    if (this.panel === "recordings") this.list = new RecordingList(byId("call-recordings"), { channel: this.channel, unfold: id });
  }

  messageArrived(name, text) {
    if (this.panel === "chat") return;
    this.unread += 1;
    this.updateButtons();
    notice(`${name}: ${text.length > 90 ? `${text.slice(0, 90)}…` : text}`, { kind: "chat", action: { text: "Answer", run: () => { if (this.panel !== "chat") this.togglePanel("chat"); } } });
  }

  // The end

  leave() {
    this.hasLeft = true;
    this.room.disconnect();
  }

  finish(reason) {
    if (!this.stage) return;
    this.recorder.close();
    this.stage.close();
    this.list?.close();
    this.stage = null;
    this.sounds.remove();
    tell(byId("banner"), "");
    byId("panel").hidden = true;
    byId("call").hidden = true;
    document.title = "Channel Recorder";
    this.ended(this.hasLeft ? "" : endSentence(reason));
  }
}

/** A page that came over https may not open ws; behind a proxy the service may not know that there is one. */
function ownScheme(url) {
  const parsed = new URL(url);
  if (location.protocol === "https:" && parsed.host === location.host) parsed.protocol = "wss:";
  return parsed.href.replace(/\/$/u, "");
}
