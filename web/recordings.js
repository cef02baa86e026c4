// The list of recordings: what was recorded when and of whom, with files that play here.

import { api } from "./api.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { Together } from "./together.js";
import { countText, dayText, lengthText, listText, sizeText, timeText } from "./words.js";

const REFRESH_MS = 4000;
const SOURCES = { microphone: "Sound only", screen_share: "Screen", screen_share_audio: "Sound of the screen" };
const REASONS = {
  connection_failed: "The connection to the channel was lost for good.",
  storage_failed: "The disk was full or gone.",
};

/** A list in `root`, newest first, of one channel or of all; runs until `close`. */
export class RecordingList {
  constructor(root, { channel = null, unfold = null } = {}) {
    this.root = root;
    this.channel = channel;
    this.cards = new Map();
    this.next = null;
    this.unfold = unfold;
    this.list = h("div", { class: "recordings" });
    this.more = h("button", { type: "button", class: "secondary", hidden: true, onclick: () => this.loadMore() }, "Show older ones");
    this.sentence = h("p", { class: "trouble", role: "alert", hidden: true });
    root.replaceChildren(this.sentence, this.list, this.more);
    this.timer = setInterval(() => this.refresh(), REFRESH_MS);
    this.load();
  }

  async load() {
    await this.ask("", (page) => {
      this.show(page);
      if (!this.cards.size) this.list.replaceChildren(this.nothing());
      this.next = page.next;
      this.more.hidden = !page.next;
    });
  }

  async loadMore() {
    await this.ask(this.next, (page) => {
      this.show(page);
      this.next = page.next;
      this.more.hidden = !page.next;
    });
  }

  /** New ones, and those that run. */
  async refresh() {
    if (document.hidden || !this.root.isConnected || this.root.closest("[hidden]") || this.list.querySelector("form")) return;
    await this.ask("", (page) => this.show(page));
  }

  async ask(before, take) {
    try {
      const page = await api.recordings({ channel: this.channel, before });
      this.sentence.hidden = true;
      if (this.timer) take(page);
    } catch (error) {
      this.sentence.textContent = error.message;
      this.sentence.hidden = false;
      if (error.reason === "password_needed") this.askPassword();
    }
  }

  /** The list goes on by itself once the password was right. */
  askPassword() {
    if (this.list.querySelector("form")) return;
    const field = h("input", { type: "password", autocomplete: "current-password", maxlength: 1024, required: true, "aria-label": "Page password" });
    const submit = async (event) => {
      event.preventDefault();
      try {
        await api.login(field.value);
        this.list.replaceChildren();
        await this.load();
      } catch (error) {
        this.sentence.textContent = error.message;
        field.select();
      }
    };
    this.list.replaceChildren(h("form", { class: "password", onsubmit: submit }, h("div", { class: "field" }, field), h("button", { class: "primary" }, "Show recordings")));
    field.focus();
  }

  show(page) {
    for (const recording of page.recordings) {
      const card = this.cards.get(recording.id);
      if (card) card.update(recording);
      else this.cards.set(recording.id, new Card(recording, { withChannel: !this.channel }));
    }
    if (this.cards.size) this.arrange();
    if (this.unfold && this.cards.has(this.unfold)) this.cards.get(this.unfold).toggle(true);
    this.unfold = null;
  }

  /** By day. Only moved if something new came: a video that plays would stop. */
  arrange() {
    const ids = [...this.cards.keys()].sort().reverse();
    if (ids.join() === this.order) return;
    this.order = ids.join();
    let day = "";
    const elements = ids.flatMap((id) => {
      const card = this.cards.get(id);
      const text = dayText(card.date);
      const heading = text === day ? [] : [h("h3", { class: "day" }, text)];
      day = text;
      return [...heading, card.element];
    });
    for (const old of [...this.list.children]) if (!elements.includes(old)) old.remove();
    elements.forEach((element, position) => {
      if (this.list.children[position] !== element) this.list.insertBefore(element, this.list.children[position] ?? null);
    });
  }

  nothing() {
    return h("div", { class: "none" }, icon("recordings"), h("p", {}, this.channel ? "Nothing was recorded in this channel yet." : "Nothing was recorded yet. Join a channel and press Record."));
  }

  close() {
    clearInterval(this.timer);
    this.timer = null;
    for (const card of this.cards.values()) card.close();
    this.root.replaceChildren();
  }
}

/** One recording; its files are asked for when it is unfolded. */
class Card {
  constructor(recording, { withChannel }) {
    this.withChannel = withChannel;
    this.date = new Date(recording.started_at);
    this.title = h("span", {}, withChannel ? recording.channel : timeText(this.date));
    this.chip = h("span", { class: "chip" });
    this.facts = h("span", { class: "recording-facts" });
    this.length = h("span", { class: "recording-length" });
    this.body = h("div", { class: "recording-body", id: `body-${recording.id}`, hidden: true });
    this.head = h("button", { type: "button", class: "recording-head", "aria-expanded": "false", "aria-controls": this.body.id, onclick: () => this.toggle() },
      h("span", { class: "recording-title" }, this.title, this.chip), this.facts, this.length, icon("chevron"));
    this.element = h("article", { class: "recording", "data-id": recording.id }, this.head, this.body);
    this.files = new Map();
    this.update(recording);
  }

  update(recording) {
    const before = this.recording;
    this.recording = recording;
    const [word, kind] = { recording: ["Recording", "red"], stopping: ["Saving", "red"], interrupted: ["Interrupted", ""], finished: ["", ""] }[recording.state];
    this.chip.textContent = word;
    this.chip.className = `chip ${kind}`;
    this.chip.hidden = !word;
    const who = recording.users.length ? listText(recording.users.map(userText)) : "Nobody was recorded";
    const when = this.withChannel ? `${timeText(this.date)} · ` : "";
    this.facts.textContent = `${when}${who} · ${sizeText(recording.bytes)}`;
    this.length.textContent = lengthText(recording.duration);
    if (!this.body.hidden && changed(before, recording)) this.loadFiles();
  }

  toggle(open = this.body.hidden) {
    this.body.hidden = !open;
    this.head.setAttribute("aria-expanded", String(open));
    if (open) this.loadFiles();
    else this.stopPlaying();
    if (open) this.element.scrollIntoView({ block: "nearest" });
  }

  async loadFiles() {
    try {
      this.showFiles((await api.files(this.recording.id)).files);
    } catch (error) {
      this.body.replaceChildren(h("p", { class: "trouble" }, error.message));
    }
  }

  showFiles(files) {
    const media = files.filter((file) => file.kind === "media");
    const logs = files.filter((file) => file.kind === "log");
    const rows = media.map((file) => this.row(file));
    const problems = [...this.recording.problems, REASONS[this.recording.reason]].filter(Boolean);
    const parts = [
      problems.length && h("div", { class: "problems" }, problems.map((text) => h("p", {}, text))),
      media.length > 1 && this.togetherElement(media),
      ...rows,
      !media.length && h("p", { class: "recording-facts" }, "There is no sound or picture in it."),
      logs.length && this.logsElement(logs),
    ].filter(Boolean);
    // What plays stays where it is: moving it would stop it.
    for (const old of [...this.body.children]) if (!parts.includes(old)) old.remove();
    parts.forEach((part, position) => {
      if (this.body.children[position] !== part) this.body.insertBefore(part, this.body.children[position] ?? null);
    });
  }

  row(file) {
    const row = this.files.get(file.name) ?? new FileRow(file);
    this.files.set(file.name, row);
    row.update(file);
    return row.element;
  }

  togetherElement(media) {
    const key = media.map((file) => `${file.name} ${file.is_complete}`).join();
    if (key !== this.togetherKey) {
      this.together?.close();
      this.together = new Together(media);
      this.togetherKey = key;
    }
    return this.together.element;
  }

  logsElement(logs) {
    const rows = logs.map((file) => h("li", {}, h("a", { href: file.url, target: "_blank", rel: "noopener" }, file.name), h("span", { class: "numbers" }, sizeText(file.bytes))));
    const isOpen = this.body.querySelector(".logs")?.open ?? false;
    return h("details", { class: "logs", open: isOpen }, h("summary", {}, `Journal and logs (${logs.length})`), h("ul", {}, rows));
  }

  stopPlaying() {
    this.together?.close();
    this.together = null;
    this.togetherKey = "";
    for (const row of this.files.values()) row.toggle(false);
    this.body.replaceChildren();
  }

  close() {
    this.stopPlaying();
  }
}

/** One file. */
class FileRow {
  constructor(file) {
    const who = file.uid === 0 ? "Everybody" : file.account || `User ${file.uid}`;
    this.play = h("button", { type: "button", class: "icon play", "aria-expanded": "false", "aria-label": `Play ${who}`, title: "Play", onclick: () => this.toggle() }, icon("play"));
    this.facts = h("p", { class: "file-facts" });
    this.player = h("div", { class: "file-player", hidden: true });
    const download = h("a", { class: "icon", href: `${file.url}?download=1`, download: file.name, "aria-label": `Download ${file.name}`, title: "Download" }, icon("download"));
    this.element = h("div", { class: "file", "data-name": file.name }, this.play, h("div", {}, h("p", { class: "file-who" }, who), this.facts), download, this.player);
  }

  update(file) {
    this.file = file;
    const picture = file.streams.find((stream) => stream.height);
    const length = file.duration === null ? (file.is_complete ? null : "still growing") : lengthText(file.duration);
    this.facts.textContent = [length, sizeText(file.bytes), sourceText(file), picture && `${picture.width}×${picture.height}`].filter(Boolean).join(" · ");
    this.facts.title = [file.name, ...file.streams.map((stream) => stream.codec)].join(" · ");
  }

  toggle(open = this.player.hidden) {
    this.player.hidden = !open;
    this.play.setAttribute("aria-expanded", String(open));
    this.play.replaceChildren(icon(open ? "close" : "play"));
    if (open) this.start();
    else this.stop();
  }

  start() {
    const tag = isAudio(this.file) ? "audio" : "video";
    this.media = h(tag, { src: this.file.url, controls: true, playsinline: true, preload: "metadata" });
    this.media.addEventListener("error", () => this.player.replaceChildren(h("p", { class: "trouble" }, "This browser cannot play the file. Download it and play it with another program.")));
    this.player.replaceChildren(this.media);
    this.media.play().catch(() => {});
  }

  stop() {
    this.media?.pause();
    this.media?.removeAttribute("src");
    this.media?.load();
    this.media = null;
    this.player.replaceChildren();
  }
}

export function isAudio(file) {
  const hasPicture = file.streams.some((stream) => stream.kind === "video");
  return file.content_type.startsWith("audio/") || (file.streams.length > 0 && !hasPicture);
}

function sourceText(file) {
  if (file.uid === 0) return "Composite";
  return isAudio(file) ? SOURCES.microphone : SOURCES[file.source] ?? null;
}

function userText(user) {
  return user.account || `user ${user.uid}`;
}

function changed(before, now) {
  return !before || before.state !== now.state || before.file_count !== now.file_count || before.bytes !== now.bytes || before.problems.length !== now.problems.length;
}
