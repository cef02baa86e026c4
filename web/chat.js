// Messages to everybody, as LiveKit's own components send and read them.

import { byId, h } from "./dom.js";
import { trouble } from "./notices.js";
import { timeText } from "./words.js";

const TOPIC = "lk.chat";
const MAX_CHARACTERS = 4000;
const MAX_MESSAGES = 500;

export class Chat {
  /** `arrived` is called for each message of somebody else, with the sender's name and the text. */
  constructor(room, arrived) {
    this.room = room;
    this.arrived = arrived;
    byId("messages").replaceChildren();
    byId("chat-empty").hidden = false;
    room.registerTextStreamHandler(TOPIC, (reader, sender) => this.receive(reader, sender.identity));
    byId("chat-form").onsubmit = (event) => { event.preventDefault(); this.send(); };
    byId("chat-text").onkeydown = (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send();
    };
  }

  async receive(reader, identity) {
    // What is longer than anybody types is cut, not collected.
    let text = "";
    for await (const part of reader) {
      text += part;
      if (text.length > MAX_CHARACTERS) break;
    }
    if (!text.trim()) return;
    const name = this.room.remoteParticipants.get(identity)?.name || identity;
    this.show(name, text.slice(0, MAX_CHARACTERS), false);
    this.arrived(name, text);
  }

  async send() {
    const field = byId("chat-text");
    const text = field.value.trim();
    if (!text) return;
    field.value = "";
    try {
      await this.room.localParticipant.sendText(text, { topic: TOPIC });
      this.show("You", text, true);
    } catch {
      field.value = text;
      trouble("The message was not sent. Try again.");
    }
  }

  show(name, text, isOwn) {
    const list = byId("messages");
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
    list.append(h("li", { class: isOwn ? "message own" : "message" }, h("header", {}, h("strong", {}, name), h("time", {}, timeText(new Date()))), h("p", {}, text)));
    if (list.children.length > MAX_MESSAGES) list.firstElementChild.remove();
    byId("chat-empty").hidden = true;
    if (atEnd || isOwn) list.scrollTop = list.scrollHeight;
  }
}
