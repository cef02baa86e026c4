// How loud a microphone is, many times a second.

/** Calls `show` with a level from 0 to 1 until `stop` is called. */
export class Meter {
  constructor(show) {
    this.show = show;
    this.frame = 0;
  }

  start(mediaStreamTrack) {
    this.stop();
    this.context = new AudioContext();
    this.analyser = new AnalyserNode(this.context, { fftSize: 512, smoothingTimeConstant: 0 });
    this.source = this.context.createMediaStreamSource(new MediaStream([mediaStreamTrack]));
    this.source.connect(this.analyser);
    this.samples = new Float32Array(this.analyser.fftSize);
    // Browsers let sound run only after the user did something on the page.
    if (this.context.state === "suspended") {
      document.addEventListener("pointerdown", () => this.context?.resume(), { once: true });
    }
    this.level = 0;
    this.step();
  }

  step() {
    this.analyser.getFloatTimeDomainData(this.samples);
    const power = this.samples.reduce((sum, sample) => sum + sample * sample, 0) / this.samples.length;
    const decibels = 10 * Math.log10(power + 1e-10);
    const now = Math.min(1, Math.max(0, (decibels + 60) / 55));
    this.level = Math.max(now, this.level * 0.9);
    this.show(this.level);
    this.frame = requestAnimationFrame(() => this.step());
  }

  stop() {
    cancelAnimationFrame(this.frame);
    this.source?.disconnect();
    this.context?.close();
    this.context = this.source = this.analyser = undefined;
    this.show(0);
  }
}
