// Synthetic camera and microphone. One clock for both: the AudioContext's, so that flash and beep coincide.

import { paint } from './marks.js';

const BEEP_HZ = 3000;
const BEEP_SECONDS = 0.1;
const FLASH_SECONDS = 0.2;
const TONE_LEVEL = 0.2;
const BEEP_LEVEL = 0.4;

export class Camera {
  constructor(audio, width, height, fps) {
    this.audio = audio;
    this.fps = fps;
    this.canvas = Object.assign(document.createElement('canvas'), { width, height });
    // Without `alpha: false` encoders are handed transparent pictures.
    this.context = this.canvas.getContext('2d', { alpha: false });
    this.captured = 0;
    this.lateSeconds = 0;
    this.startedAtSeconds = performance.now() / 1000;
    this.startedAtUnix = Date.now() / 1000;
    paint(this.context, width, height, 0, false);
    [this.track] = this.canvas.captureStream(0).getVideoTracks();
    this.schedule();
  }

  schedule() {
    const due = this.startedAtSeconds + this.captured / this.fps;
    const wait = due - performance.now() / 1000;
    this.lateSeconds = Math.max(this.lateSeconds, -wait);
    // Late pictures are caught up with slowly: of two that come close together the encoder leaves one out.
    this.timer = setTimeout(() => this.capture(), Math.max(wait, 0.8 / this.fps) * 1000);
  }

  capture() {
    const { width, height } = this.canvas;
    paint(this.context, width, height, this.captured, this.audio.currentTime % 1 < FLASH_SECONDS);
    this.track.requestFrame();
    this.captured += 1;
    this.schedule();
  }

  stop() {
    clearTimeout(this.timer);
  }
}

export class Microphone {
  constructor(audio, hz) {
    this.audio = audio;
    const second = audio.createBuffer(1, audio.sampleRate, audio.sampleRate);
    const samples = second.getChannelData(0);
    for (let n = 0; n < samples.length; n += 1) {
      const seconds = n / audio.sampleRate;
      samples[n] = TONE_LEVEL * Math.sin(2 * Math.PI * hz * seconds);
      if (seconds < BEEP_SECONDS) samples[n] += BEEP_LEVEL * Math.sin(2 * Math.PI * BEEP_HZ * seconds);
    }
    this.output = audio.createMediaStreamDestination();
    this.output.channelCount = 1;
    this.source = new AudioBufferSourceNode(audio, { buffer: second, loop: true });
    this.source.connect(this.output);
    this.begin = Math.floor(audio.currentTime) + 1;
    this.source.start(this.begin);
    this.startedAtSeconds = performance.now() / 1000 + this.begin - audio.currentTime;
    this.startedAtUnix = Date.now() / 1000 + this.begin - audio.currentTime;
    this.lateSeconds = 0;
    [this.track] = this.output.stream.getAudioTracks();
  }

  // In frames of 10 ms, as the Python participant counts.
  get captured() {
    const end = this.stopped ?? this.audio.currentTime;
    return Math.max(0, Math.round((end - this.begin) * 100));
  }

  stop() {
    this.stopped = this.audio.currentTime;
    this.source.stop();
  }
}
