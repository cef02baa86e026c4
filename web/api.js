// The service's HTTP API.

import { PlainError } from "./words.js";

/** What the service refused, in its own words. `reason` is the word for programs. */
export class ApiError extends PlainError {
  constructor(status, problem) {
    super(sentence(problem.detail ?? `The server answered with status ${status}`));
    this.status = status;
    this.reason = problem.reason ?? "";
  }
}

async function call(method, path, body) {
  const request = { method, headers: {} };
  if (method !== "GET") {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body ?? {});
  }
  let answer;
  try {
    answer = await fetch(path, request);
  } catch {
    throw new PlainError("The server cannot be reached. Is it running?");
  }
  const content = answer.status === 204 ? null : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(answer.status, content ?? {});
  return content;
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/u.test(text) ? "" : ".");
}

export const api = {
  service: () => call("GET", "/api/service"),
  login: (password) => call("POST", "/api/login", { password }),
  openSession: (name, channel, takeOver) => call("POST", "/api/session", { name, channel, take_over: takeOver }),
  startRecording: (channel, mode) => call("POST", "/api/recordings", { channel, mode, idle_limit_sec: 60 }),
  stopRecording: (id) => call("POST", `/api/recordings/${id}/stop`),
  recordings: ({ channel, before = "", limit = 20 }) => call("GET", `/api/recordings?${query({ channel, before, limit })}`),
  recording: (id) => call("GET", `/api/recordings/${id}`),
  files: (id) => call("GET", `/api/recordings/${id}/files`),
};

function query(values) {
  return new URLSearchParams(Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== ""));
}
