// A synthetic participant of the official JavaScript SDK. Its methods are those of testbed/participant.py.

import { Camera, Microphone } from './devices.js';
import { Viewer } from './viewer.js';

const RAW_KEY = 'base64:';
const ANSWERED_METHOD = 'backwards';
const QUALITIES = { low: 'LOW', medium: 'MEDIUM', high: 'HIGH' };

export class Participant {
  constructor(version) {
    this.version = version;
    this.audio = new AudioContext({ sampleRate: 48000 });
    this.published = new Map();
  }

  async do(method, argument) {
    return (await this[method](argument)) ?? null;
  }

  async join({ url, token, subscribes, single_peer: singlePeerConnection, encryption_key: key }) {
    const options = { singlePeerConnection, stopLocalTrackOnUnpublish: false };
    if (key) options.encryption = await this.encryption(key);
    this.room = new LivekitClient.Room(options);
    this.room.registerRpcMethod(ANSWERED_METHOD, async ({ payload }) => [...payload].reverse().join(''));
    this.viewer = new Viewer(this.room, this.audio);
    await this.audio.resume();
    // Before the join, as applications do: what is published at once must be encrypted.
    if (key) await this.room.setE2EEEnabled(true);
    this.viewer.noteJoining();
    await this.room.connect(url, token, { autoSubscribe: subscribes });
    this.viewer.noteJoined();
    return this.room.localParticipant.sid;
  }

  async encryption(key) {
    const keyProvider = new LivekitClient.ExternalE2EEKeyProvider();
    // A passphrase, or bytes as applications make them with createE2EEKey().
    const raw = key.startsWith(RAW_KEY) && Uint8Array.from(atob(key.slice(RAW_KEY.length)), (c) => c.charCodeAt(0));
    await keyProvider.setKey(raw ? raw.buffer : key);
    return { keyProvider, worker: new Worker(`/client/${this.version}/livekit-client.e2ee.worker.js`) };
  }

  async leave() {
    const reports = {};
    for (const source of [...this.published.keys()]) reports[source] = await this.unpublish({ source });
    await this.room.disconnect();
    return reports;
  }

  async publish_video({ source, codec, width, height, fps, simulcast, max_bitrate: maxBitrate, scalability_mode: mode }) {
    const camera = new Camera(this.audio, width, height, fps);
    const options = {
      source,
      simulcast,
      videoCodec: codec,
      backupCodec: false,
      videoEncoding: { maxBitrate, maxFramerate: fps },
      screenShareEncoding: { maxBitrate, maxFramerate: fps },
      // Its default adapts the size to a busy machine, which a test must not depend on.
      degradationPreference: 'maintain-resolution',
    };
    if (mode) options.scalabilityMode = mode;
    return this.publish(source, camera, options);
  }

  async publish_audio({ source, hz, dtx, red }) {
    return this.publish(source, new Microphone(this.audio, hz), { source, dtx, red });
  }

  async publish(source, device, options) {
    const publication = await this.room.localParticipant.publishTrack(device.track, options);
    this.published.set(source, device);
    return publication.trackSid;
  }

  // Another one after a reconnection.
  publication(source) {
    return this.room.localParticipant.getTrackPublication(source);
  }

  async mute({ source }) {
    await this.publication(source).mute();
  }

  async unmute({ source }) {
    await this.publication(source).unmute();
  }

  async unpublish({ source }) {
    const device = this.published.get(source);
    this.published.delete(source);
    device.stop();
    await new Promise((resolve) => setTimeout(resolve, 200));
    const report = await this.reported(device, source);
    await this.room.localParticipant.unpublishTrack(device.track);
    return report;
  }

  async report({ source }) {
    return this.reported(this.published.get(source), source);
  }

  async reported(device, source) {
    const stats = await this.publication(source)?.track?.sender?.getStats();
    const layers = [...(stats?.values() ?? [])].filter((one) => one.type === 'outbound-rtp');
    return {
      captured: device.captured,
      encoded: Math.max(0, ...layers.map((one) => one.framesEncoded ?? 0)),
      started_at_unix: device.startedAtUnix,
      started_at_seconds: device.startedAtSeconds,
      late_seconds: device.lateSeconds,
      sizes: device.canvas ? [[device.canvas.width, device.canvas.height]] : [],
    };
  }

  async send_data({ payload, topic, reliable, to }) {
    const options = { topic, reliable };
    if (to.length) options.destinationIdentities = to;
    await this.room.localParticipant.publishData(new TextEncoder().encode(payload), options);
  }

  async send_text({ text, topic }) {
    await this.room.localParticipant.sendText(text, { topic });
  }

  async call({ identity, payload }) {
    return this.room.localParticipant.performRpc({ destinationIdentity: identity, method: ANSWERED_METHOD, payload });
  }

  async set_metadata({ metadata }) {
    await this.room.localParticipant.setMetadata(metadata);
  }

  async set_name({ name }) {
    await this.room.localParticipant.setName(name);
  }

  async set_attributes({ attributes }) {
    await this.room.localParticipant.setAttributes(attributes);
  }

  async subscribe({ identity, source, wanted }) {
    this.viewer.publication(identity, source).setSubscribed(wanted);
  }

  async set_quality({ identity, source, quality }) {
    this.viewer.publication(identity, source).setVideoQuality(LivekitClient.VideoQuality[QUALITIES[quality]]);
  }

  async set_enabled({ identity, source, enabled }) {
    this.viewer.publication(identity, source).setEnabled(enabled);
  }

  async forget() {
    this.viewer.forget();
  }

  async look() {
    return this.viewer.told();
  }
}
