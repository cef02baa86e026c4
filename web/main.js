// The page: the lobby with its two sections, and the call.

import { Call } from "./call.js";
import { byId, paintIcons } from "./dom.js";
import { listenToKeys, showHelp } from "./keys.js";
import { Lobby } from "./lobby.js";
import { RecordingList } from "./recordings.js";

let call = null;
let list = null;

const inCall = () => call !== null;
const inLobby = () => call === null && !byId("view-join").hidden;
const shortcuts = [
  { key: "M", text: "Microphone on or off", isActive: () => true, run: () => (inCall() ? call.toggleMicrophone() : byId("preview-microphone").click()) },
  { key: "V", text: "Camera on or off", isActive: () => true, run: () => (inCall() ? call.toggleCamera() : byId("preview-camera").click()) },
  { key: "S", text: "Share your screen", isActive: inCall, run: () => call.toggleScreen() },
  { key: "R", text: "Start or stop recording", isActive: inCall, run: () => call.toggleRecording() },
  { key: "C", text: "Chat", isActive: inCall, run: () => call.togglePanel("chat") },
  { key: "L", text: "Recordings of this channel", isActive: inCall, run: () => call.togglePanel("recordings") },
  { key: "D", text: "Pick devices", isActive: inCall, run: () => call.showDevices(call.buttons.devices) },
  { key: "ESCAPE", shown: "Esc", text: "Close the panel", isActive: () => inCall() && call.panel !== null, run: () => call.togglePanel(null) },
  { key: "?", text: "This list", isActive: () => inCall() || inLobby(), run: () => showHelp(shortcuts) },
];

const lobby = new Lobby(async ({ seat, channel, camera, microphone }) => {
  const next = new Call(channel, ended, () => showHelp(shortcuts));
  await next.start(seat, camera, microphone);
  call = next;
  lobby.close();
  const address = new URL(location.href);
  address.searchParams.set("channel", channel);
  history.replaceState(null, "", address);
});

function ended(sentence) {
  call = null;
  lobby.open(sentence);
  showSection();
}

/** `#recordings` shows the list, everything else the form. */
function showSection() {
  const isList = location.hash === "#recordings";
  byId("view-recordings").hidden = !isList;
  byId("view-join").hidden = isList;
  for (const [id, isHere] of [["tab-join", !isList], ["tab-recordings", isList]]) {
    if (isHere) byId(id).setAttribute("aria-current", "page");
    else byId(id).removeAttribute("aria-current");
  }
  list?.close();
  list = isList && !inCall() ? new RecordingList(byId("all-recordings")) : null;
}

paintIcons();
addEventListener("hashchange", showSection);
listenToKeys(shortcuts);
globalThis.LivekitClient.setLogLevel("warn");
showSection();
lobby.open();
