// Sentences and figures for people.

export class PlainError extends Error {}

/** Why a device cannot be used, and what to do. `what` is "camera" or "microphone". */
export function deviceSentence(error, what) {
  switch (deviceFault(error)) {
    case "refused":
      return `The browser may not use your ${what}. Allow it in the address bar, or join without.`;
    case "missing":
      return `No ${what} was found. Plug one in, or join without.`;
    case "busy":
      return `The ${what} is in use by another program, or does not answer. Close that program and try again.`;
    case "gone":
      return `The ${what} that was picked is not there any more. Pick another one.`;
    case "insecure":
      return "Browsers give camera and microphone only to pages on https or on localhost. You can still join, watch and listen.";
    default:
      return `The ${what} cannot be used: ${error?.message || "no reason was given"}.`;
  }
}

/** The same of both at once, if the fault is the same. */
export function devicesSentence(cameraError, microphoneError) {
  const [one, two] = [cameraError, microphoneError].map(deviceFault);
  if (one === "refused" && two === "refused") return "The browser may not use your camera and microphone. Allow them in the address bar, or join without.";
  if (one === "missing" && two === "missing") return "No camera and no microphone were found. Plug them in, or join without.";
  const told = [cameraError && deviceSentence(cameraError, "camera"), microphoneError && deviceSentence(microphoneError, "microphone")];
  return [...new Set(told.filter(Boolean))].join(" ");
}

function deviceFault(error) {
  const faults = {
    NotAllowedError: "refused", SecurityError: "refused", NotFoundError: "missing", DevicesNotFoundError: "missing", NotReadableError: "busy",
    TrackStartError: "busy", AbortError: "busy", OverconstrainedError: "gone", InsecureError: "insecure",
  };
  return faults[error?.name] ?? "";
}

/** Why a call could not be joined. */
export function joinSentence(error) {
  if (error instanceof PlainError) return error.message;
  const reason = error?.reasonName;
  if (reason === "NotAllowed") return "The channel server did not let you in. Reload the page and try again.";
  if (reason === "Timeout") return "The channel server did not answer in time. Is your network blocking it?";
  if (reason === "ServerUnreachable" || reason === "WebSocket") return "The channel server cannot be reached. Is it running?";
  if (reason === "InternalError") return "The channel server answered, but media could not be exchanged with it. A firewall may block UDP.";
  return `Joining failed: ${error?.message || "no reason was given"}.`;
}

/** Why a call ended that nobody here wanted to end; by LiveKit's DisconnectReason. */
export function endSentence(reason) {
  const { DisconnectReason } = globalThis.LivekitClient;
  const sentences = {
    [DisconnectReason.DUPLICATE_IDENTITY]: "You joined with the same name from somewhere else, so this page left the call.",
    [DisconnectReason.PARTICIPANT_REMOVED]: "You were removed from the call.",
    [DisconnectReason.ROOM_DELETED]: "The call was ended.",
    [DisconnectReason.ROOM_CLOSED]: "The call was ended.",
    [DisconnectReason.SERVER_SHUTDOWN]: "The channel server was shut down.",
  };
  return sentences[reason] ?? "The connection to the channel server was lost and did not come back.";
}

export function clockText(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

export function lengthText(seconds) {
  if (seconds === null || seconds === undefined) return "length unknown";
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  return clockText(Math.round(seconds));
}

export function sizeText(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  const step = Math.min(units.length, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** step;
  return `${value.toFixed(value < 10 ? 1 : 0)} ${units[step - 1]}`;
}

export function dayText(date, today = new Date()) {
  const days = Math.round((midnight(today) - midnight(date)) / 86_400_000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  const sameYear = date.getFullYear() === today.getFullYear();
  return date.toLocaleDateString(undefined, { weekday: "long", day: "numeric", month: "long", year: sameYear ? undefined : "numeric" });
}

export function timeText(date) {
  return date.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
}

export function listText(names) {
  if (names.length < 2) return names[0] ?? "nobody";
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

export function countText(number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`;
}

/** One or two letters for the picture of somebody without a camera. */
export function initials(name) {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  const first = (word) => [...word][0] ?? "";
  const letters = words.length > 1 ? first(words[0]) + first(words.at(-1)) : first(words[0] ?? "?");
  return letters.toUpperCase();
}

/** The same hue for the same name, on every machine. */
export function hue(name) {
  let sum = 7;
  for (const character of name) sum = (sum * 31 + character.codePointAt(0)) % 3600;
  return sum / 10;
}

function midnight(date) {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}
