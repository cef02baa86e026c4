// Watches a room: reads the counters of pictures and the tones of what is received. Tells what testbed/view.py reads.

import { Reader } from './marks.js';

const BEEP_HZ = 3000;
const AUDIBLE = 0.05;
const FFT_SIZE = 8192;
// What a full-scale tone measures with the analyser's Blackman window.
const WINDOW_GAIN = 0.42 / 2;
const MAX_MESSAGES = 500;
const TEXT_TOPICS = ['lk.chat', 'chat', 'notes'];
const EVENTS = {
  participantConnected: 'joined',
  participantDisconnected: 'left',
  trackPublished: 'published',
  trackUnpublished: 'unpublished',
  trackSubscribed: 'subscribed',
  trackUnsubscribed: 'unsubscribed',
  trackMuted: 'muted',
  trackUnmuted: 'unmuted',
  reconnecting: 'reconnecting',
  signalReconnecting: 'reconnecting',
  reconnected: 'reconnected',
  disconnected: 'disconnected',
  encryptionError: 'encryption_error',
};

class SeenPictures {
  constructor(track, onPicture) {
    this.onPicture = onPicture;
    this.reader = new Reader();
    this.video = Object.assign(track.attach(), { muted: true });
    document.body.append(this.video);
    this.forget();
    this.await();
  }

  forget() {
    Object.assign(this, { count: 0, unreadable: 0, skipped: 0, repeated: 0, counter: null, last: null, pause: 0 });
  }

  await() {
    this.request = this.video.requestVideoFrameCallback(() => {
      this.show(this.reader.read(this.video));
      this.await();
    });
  }

  show(counter) {
    this.onPicture();
    const now = performance.now() / 1000;
    if (this.last !== null) this.pause = Math.max(this.pause, now - this.last);
    this.last = now;
    this.count += 1;
    if (counter === null) {
      this.unreadable += 1;
      return;
    }
    if (this.counter !== null) {
      this.repeated += counter <= this.counter ? 1 : 0;
      this.skipped += Math.max(0, counter - this.counter - 1);
    }
    this.counter = counter;
  }

  told() {
    return {
      pictures: this.count,
      unreadable: this.unreadable,
      counter: this.counter,
      skipped: this.skipped,
      repeated: this.repeated,
      longest_pause_seconds: this.pause,
      width: this.video.videoWidth,
      height: this.video.videoHeight,
      tone_hz: 0,
    };
  }

  stop() {
    this.video.cancelVideoFrameCallback(this.request);
    this.video.remove();
  }
}

class HeardSound {
  constructor(track, audio) {
    // Chromium plays nothing of a received track into Web Audio that no element plays.
    this.element = Object.assign(track.attach(), { muted: true });
    this.analyser = new AnalyserNode(audio, { fftSize: FFT_SIZE, smoothingTimeConstant: 0 });
    this.source = audio.createMediaStreamSource(new MediaStream([track.mediaStreamTrack]));
    this.source.connect(this.analyser);
    this.levels = new Float32Array(this.analyser.frequencyBinCount);
  }

  told() {
    return { ...NOTHING_SEEN, tone_hz: this.toneHz() };
  }

  toneHz() {
    this.analyser.getFloatFrequencyData(this.levels);
    const spacing = this.analyser.context.sampleRate / FFT_SIZE;
    let loudest = Math.round(100 / spacing);
    for (let bin = loudest; bin < BEEP_HZ / 2 / spacing; bin += 1) {
      if (this.levels[bin] > this.levels[loudest]) loudest = bin;
    }
    return 10 ** (this.levels[loudest] / 20) / WINDOW_GAIN > AUDIBLE ? loudest * spacing : 0;
  }

  forget() {}

  stop() {
    this.source.disconnect();
    this.element.remove();
  }
}

const NOTHING_SEEN = {
  pictures: 0,
  unreadable: 0,
  counter: null,
  skipped: 0,
  repeated: 0,
  longest_pause_seconds: 0,
  width: 0,
  height: 0,
  tone_hz: 0,
};

export class Viewer {
  constructor(room, audio) {
    this.room = room;
    this.audio = audio;
    this.seen = new Map();
    this.messages = [];
    this.joinedIn = 0;
    this.firstPictureIn = null;
    this.events = [];
    for (const [event, word] of Object.entries(EVENTS)) room.on(event, (...told) => this.note(word, told));
    room.on('trackSubscribed', (track, publication) => this.see(track, publication));
    room.on('trackUnsubscribed', (track, publication) => this.lose(publication));
    room.on('dataReceived', (payload, participant, kind, topic) => {
      const text = new TextDecoder().decode(payload);
      this.hear(participant?.identity ?? '', 'data', topic ?? '', text, kind === LivekitClient.DataPacket_Kind.RELIABLE);
    });
    for (const name of TEXT_TOPICS) {
      // Newer versions keep the chat's for themselves, and tell of it by an event.
      try {
        room.registerTextStreamHandler(name, async (reader, { identity }) => {
          this.hear(identity, 'text', reader.info.topic, await reader.readAll(), true);
        });
      } catch (error) {
        room.on('chatMessage', (message, participant) => this.hear(participant.identity, 'text', name, message.message, true));
      }
    }
  }

  noteJoining() {
    this.joiningAt = performance.now();
  }

  noteJoined() {
    this.joinedIn = (performance.now() - this.joiningAt) / 1000;
  }

  notePicture() {
    this.firstPictureIn ??= (performance.now() - this.joiningAt) / 1000;
  }

  // Participants by identity, publications by source, the rest as it prints.
  note(word, told) {
    const people = told.filter((one) => one?.identity);
    const tracks = told.filter((one) => one?.trackSid);
    const words = told.filter((one) => ['number', 'string'].includes(typeof one));
    const named = words.map((one) => (typeof one === 'number' ? LivekitClient.DisconnectReason[one] : one));
    this.events.push([word, ...people.map((one) => one.identity), ...tracks.map((one) => one.source), ...named].join(' '));
  }

  see(track, publication) {
    this.lose(publication);
    const seen = track.kind === 'video' ? new SeenPictures(track, () => this.notePicture()) : new HeardSound(track, this.audio);
    this.seen.set(publication.trackSid, seen);
  }

  lose(publication) {
    this.seen.get(publication.trackSid)?.stop();
    this.seen.delete(publication.trackSid);
  }

  hear(sender, kind, topic, text, reliable) {
    this.messages.push({ sender, kind, topic, text, reliable });
    if (this.messages.length > MAX_MESSAGES) this.messages.shift();
  }

  forget() {
    for (const seen of this.seen.values()) seen.forget();
  }

  publication(identity, source) {
    const person = this.room.remoteParticipants.get(identity);
    return [...person.trackPublications.values()].find((one) => one.source === source);
  }

  told() {
    const people = [...this.room.remoteParticipants.values()];
    return {
      identity: this.room.localParticipant.identity,
      sid: this.room.localParticipant.sid,
      is_connected: this.room.state === 'connected',
      joined_in_seconds: this.joinedIn,
      first_picture_in_seconds: this.firstPictureIn,
      is_recorded: this.room.isRecording,
      people: Object.fromEntries(people.map((one) => [one.identity, this.person(one)])),
      messages: this.messages,
      events: this.events,
    };
  }

  person(person) {
    const { identity, sid, attributes, connectionQuality: quality } = person;
    const tracks = [...person.trackPublications.values()].map((one) => [one.source, this.track(one)]);
    return {
      identity,
      sid,
      quality,
      name: person.name ?? '',
      metadata: person.metadata ?? '',
      attributes: { ...attributes },
      speaking: person.isSpeaking,
      tracks: Object.fromEntries(tracks),
    };
  }

  track(publication) {
    return {
      sid: publication.trackSid,
      muted: publication.isMuted,
      subscribed: publication.isSubscribed,
      mime_type: (publication.mimeType ?? '').toLowerCase(),
      encrypted: publication.isEncrypted,
      ...(this.seen.get(publication.trackSid)?.told() ?? NOTHING_SEEN),
    };
  }
}
