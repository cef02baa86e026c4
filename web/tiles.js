// Everybody's picture, name and state; and the screens that are shared.

import { byId, h } from "./dom.js";
import { icon } from "./icons.js";
import { fit } from "./layout.js";
import { hue, initials } from "./words.js";

const STRIP_WIDTH = 228;
const STRIP_HEIGHT = 112;
const SMALL_WIDTH = 200;

/** One participant. */
class Tile {
  constructor(participant) {
    this.participant = participant;
    this.track = null;
    this.video = h("video", { playsinline: true, autoplay: true, muted: true });
    this.video.muted = true;
    this.face = h("span", {});
    this.badges = h("span", { class: "badges" });
    this.name = h("span", { class: "name" });
    this.element = h("article", { class: "tile", "data-identity": participant.identity },
      h("div", { class: "face", "aria-hidden": "true" }, this.face), this.video,
      h("div", { class: "who" }, this.badges, this.name));
  }

  update() {
    const { participant } = this;
    const { Track } = globalThis.LivekitClient;
    const name = participant.name || participant.identity;
    const camera = participant.getTrackPublication(Track.Source.Camera);
    this.show(camera && !camera.isMuted ? camera.videoTrack : null);
    this.name.textContent = participant.isLocal ? `${name} (you)` : name;
    this.face.textContent = initials(name);
    this.element.style.setProperty("--hue", hue(name));
    this.element.toggleAttribute("data-mirrored", participant.isLocal);
    this.updateBadges();
    this.updateSpeaking();
  }

  updateBadges() {
    const { ConnectionQuality } = globalThis.LivekitClient;
    const isMuted = !this.participant.isMicrophoneEnabled;
    const isWeak = [ConnectionQuality.Poor, ConnectionQuality.Lost].includes(this.participant.connectionQuality);
    this.badges.replaceChildren(...[isMuted && badge("microphoneOff", "muted", "Microphone off"), isWeak && badge("weak", "weak", "Weak connection")].filter(Boolean));
    this.badges.hidden = !isMuted && !isWeak;
  }

  updateSpeaking() {
    this.element.toggleAttribute("data-speaking", this.participant.isSpeaking && this.participant.isMicrophoneEnabled);
  }

  show(track) {
    this.element.toggleAttribute("data-picture", Boolean(track));
    if (track === this.track) return;
    this.track?.detach(this.video);
    this.track = track ?? null;
    track?.attach(this.video);
  }

  remove() {
    this.show(null);
    this.element.remove();
  }
}

function badge(name, kind, text) {
  return h("span", { class: kind, title: text, role: "img", "aria-label": text }, icon(name));
}

/** A screen that somebody shares. Of one's own there is only a note: a mirror of mirrors helps nobody. */
class Screen {
  constructor(participant, stopSharing) {
    this.participant = participant;
    this.track = null;
    this.video = h("video", { playsinline: true, autoplay: true });
    this.video.muted = true;
    const name = participant.name || participant.identity;
    this.element = h("article", { class: "screen", "aria-label": `Screen of ${name}` },
      participant.isLocal ? sharingNote(stopSharing) : [this.video, h("div", { class: "who" }, icon("screen"), h("span", { class: "name" }, name)), this.fullScreenButton()]);
  }

  fullScreenButton() {
    if (!document.fullscreenEnabled) return null;
    const toggle = () => (document.fullscreenElement ? document.exitFullscreen() : this.element.requestFullscreen());
    return h("button", { type: "button", class: "icon", "aria-label": "Full screen", title: "Full screen", onclick: toggle }, icon("expand"));
  }

  update(publication) {
    if (this.participant.isLocal || publication.videoTrack === this.track) return;
    this.track?.detach(this.video);
    this.track = publication.videoTrack ?? null;
    this.track?.attach(this.video);
  }

  remove() {
    this.track?.detach(this.video);
    this.element.remove();
  }
}

function sharingNote(stopSharing) {
  return h("div", { class: "sharing" }, icon("screen"), h("p", {}, "You are sharing your screen."), h("button", { type: "button", class: "secondary", onclick: stopSharing }, "Stop sharing"));
}

/** The stage: brings tiles and screens in line with the room whenever `update` is called. */
export class Stage {
  constructor(room, stopSharing) {
    this.room = room;
    this.stopSharing = stopSharing;
    this.tiles = new Map();
    this.screens = new Map();
    this.observer = new ResizeObserver(() => this.arrange());
    this.observer.observe(byId("stage"));
  }

  /** Others in the order they came, oneself last. */
  people() {
    const others = [...this.room.remoteParticipants.values()].sort((one, two) => (one.joinedAt ?? 0) - (two.joinedAt ?? 0));
    return [...others, this.room.localParticipant];
  }

  update() {
    const { Track } = globalThis.LivekitClient;
    const people = this.people();
    sync(this.tiles, people, byId("tiles"), (participant) => new Tile(participant), (tile) => tile.update());
    const sharing = people.filter((one) => hasScreen(one, Track));
    sync(this.screens, sharing, byId("screens"), (participant) => new Screen(participant, this.stopSharing), (screen, one) => screen.update(one.getTrackPublication(Track.Source.ScreenShare)));
    byId("screens").hidden = sharing.length === 0;
    byId("stage").toggleAttribute("data-screens", sharing.length > 0);
    byId("alone").hidden = people.length > 1 || sharing.length > 0;
    this.arrange();
  }

  updateSpeakers() {
    for (const tile of this.tiles.values()) tile.updateSpeaking();
  }

  updateBadges() {
    for (const tile of this.tiles.values()) tile.updateBadges();
  }

  arrange() {
    const place = byId("tiles");
    const size = this.screens.size ? this.strip(place) : this.grid(place);
    if (!size) return;
    place.style.setProperty("--tile-width", `${size.width}px`);
    place.style.setProperty("--tile-height", `${size.height}px`);
    for (const tile of this.tiles.values()) tile.element.classList.toggle("small", size.width < SMALL_WIDTH);
  }

  grid(place) {
    const gap = Number.parseFloat(getComputedStyle(place).columnGap) || 0;
    return fit(this.tiles.size, place.clientWidth, place.clientHeight, gap);
  }

  /** Beside a screen: a column, or a row on a phone. */
  strip(place) {
    const isRow = getComputedStyle(byId("stage")).flexDirection === "column";
    return isRow ? { width: Math.round((STRIP_HEIGHT * 4) / 3), height: STRIP_HEIGHT } : { width: place.clientWidth || STRIP_WIDTH, height: Math.round((STRIP_WIDTH * 9) / 16) };
  }

  close() {
    this.observer.disconnect();
    for (const one of [...this.tiles.values(), ...this.screens.values()]) one.remove();
    this.tiles.clear();
    this.screens.clear();
  }
}

function hasScreen(participant, Track) {
  const publication = participant.getTrackPublication(Track.Source.ScreenShare);
  return Boolean(publication && !publication.isMuted && (participant.isLocal || publication.videoTrack));
}

/** Adds what is new, removes what is gone, updates all and keeps the order; elements that stay in place are not touched. */
function sync(shown, people, place, make, update) {
  for (const [sid, one] of shown) {
    if (people.some((person) => key(person) === sid)) continue;
    one.remove();
    shown.delete(sid);
  }
  people.forEach((person, position) => {
    const one = shown.get(key(person)) ?? make(person);
    shown.set(key(person), one);
    update(one, person);
    if (place.children[position] !== one.element) place.insertBefore(one.element, place.children[position] ?? null);
  });
}

/** A participant that comes back is another one under the same identity. */
const key = (participant) => `${participant.identity} ${participant.sid}`;
