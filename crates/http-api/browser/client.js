/**
 * A client of msgserver for web pages: one module, without dependencies and without a build step.
 *
 *     import { connect } from "https://push.example.org/client.js";
 *
 *     const connection = connect("https://push.example.org", {
 *       user: "ada",
 *       device: "tab",
 *       onmessage: (message) => { show(message.content); message.ack(); },
 *     });
 *
 * It speaks WebSocket, and Server-Sent Events where a proxy lets no WebSocket through. It comes back by itself, and
 * when the server asks it to. Each kept message is handed to `onmessage` once while the page lives; what it has not
 * acknowledged when it is closed comes to the next page of the same device, and nothing else does.
 *
 * @typedef {object} Message
 * @property {string} id the message's id
 * @property {number} [seq] its number in the user's inbox; none if it is not kept
 * @property {any} content what it says
 * @property {string} [topic] the topic that it was published to
 * @property {string} sent_at when it was accepted, as RFC 3339 has it
 * @property {boolean} [redelivered] whether this device may have seen it before
 * @property {() => void} ack says that this message, and all before it, is safe here
 *
 * @typedef {object} Options
 * @property {string} [user] who this is
 * @property {string} [device] which of the user's devices this is; each open page needs one of its own
 * @property {string | (() => string | Promise<string>)} [token] the proof, or where to get a fresh one
 * @property {string[]} [topics] what to follow
 * @property {(message: Message) => void} [onmessage] gets each message
 * @property {(state: State, detail?: string) => void} [onstate] gets each change of state, and why
 * @property {"websocket" | "sse"} [transport] one alone; both unless said
 * @property {Storage | null} [storage] where the number of the last acknowledgement is kept; `localStorage` unless
 *   said, and nowhere if it is `null`
 *
 * @typedef {"connecting" | "online" | "waiting" | "closed"} State
 */

/** The first wait before a new connection, and the longest, in milliseconds. */
const FIRST_WAIT = 200;
const LAST_WAIT = 30_000;
/** How long a connection may take to come online. */
const PATIENCE = 15_000;
/** After so many WebSockets that did not come online the other transport has a turn. */
const TRIES = 2;
/** Why there is no use in coming back. */
const FINAL = new Set(["replaced", "bad_frame"]);

/**
 * Connects, and stays connected until `close`.
 *
 * @param {string | URL} url where the server's HTTP door is
 * @param {Options} [options]
 * @returns {Connection}
 */
export function connect(url, options = {}) {
  return new Connection(url, options);
}

/** A connection that comes back by itself. */
export class Connection {
  #url;
  #options;
  #line = null;
  #timer = 0;
  #wait = FIRST_WAIT;
  #failed = 0;
  /** The last message that was handed over, and the last that is acknowledged. */
  #seen;
  #acked;
  #welcomed = false;
  /** @type {State} */
  state = "connecting";
  /** The server's `welcome`: who this is taken for. */
  welcome = null;

  /**
   * @param {string | URL} url
   * @param {Options} options
   */
  constructor(url, options) {
    this.#url = new URL(url, globalThis.location?.href);
    this.#options = options;
    this.#seen = this.#acked = this.#remembered();
    globalThis.addEventListener?.("online", this.#awake);
    this.#open();
  }

  /** Ends it. What was not acknowledged comes again to the next connection. @param {string} [detail] why */
  close(detail) {
    globalThis.removeEventListener?.("online", this.#awake);
    clearTimeout(this.#timer);
    this.#drop();
    this.#enter("closed", detail);
  }

  /** Follows a topic. Only over WebSocket. @param {string} topic */
  subscribe(topic) {
    this.#line?.say({ type: "subscribe", topic });
  }

  /** Follows a topic no more. Only over WebSocket. @param {string} topic */
  unsubscribe(topic) {
    this.#line?.say({ type: "unsubscribe", topic });
  }

  /** Whether another token may be had. */
  get #mayProve() {
    return typeof this.#options.token === "function";
  }

  get #place() {
    const { user = "", device = "" } = this.#options;
    return `msgserver ${this.#url.origin} ${user} ${device}`;
  }

  #storage() {
    if (this.#options.storage !== undefined) return this.#options.storage;
    try {
      return globalThis.localStorage ?? null;
    } catch {
      return null; // a page that may keep nothing
    }
  }

  #remembered() {
    return Number(this.#storage()?.getItem(this.#place) ?? 0) || 0;
  }

  #remember(acked) {
    this.#acked = acked;
    try {
      this.#storage()?.setItem(this.#place, String(acked));
    } catch {
      // Full: within this page it is known all the same.
    }
  }

  #enter(state, detail) {
    this.state = state;
    this.#options.onstate?.(state, detail);
  }

  #drop() {
    const line = this.#line;
    this.#line = null;
    line?.close();
  }

  /** The network is back: there is no use in waiting on. */
  #awake = () => {
    if (this.state !== "waiting") return;
    clearTimeout(this.#timer);
    this.#open();
  };

  async #open() {
    this.#enter("connecting");
    this.#welcomed = false;
    const { transport, token } = this.#options;
    const sse = transport ? transport === "sse" : this.#failed >= TRIES && this.#failed % 2 === 0;
    let proof;
    try {
      proof = typeof token === "function" ? await token() : token;
    } catch (fault) {
      return this.#lost(`no token: ${fault}`);
    }
    if (this.state === "closed") return;
    const Line = sse ? Events : Socket;
    const who = { ...this.#options, token: proof, after: this.#acked };
    const hear = (frame) => this.#line === line && this.#hear(frame);
    const lost = (detail) => this.#line === line && this.#lost(detail);
    let line;
    try {
      line = new Line(this.#url, who, hear, lost);
    } catch (fault) {
      return this.#lost(String(fault));
    }
    this.#line = line;
    this.#timer = setTimeout(() => this.#lost("the server did not answer in time"), PATIENCE);
  }

  #lost(detail, wait) {
    clearTimeout(this.#timer);
    this.#drop();
    if (!this.#welcomed) this.#failed += 1;
    // Jitter: a server that comes back is not met by all its clients at once. A time that it has named is spread.
    const pause = wait ?? this.#wait * (0.5 + Math.random() / 2);
    this.#wait = Math.min(this.#wait * 2, LAST_WAIT);
    this.#enter("waiting", detail);
    this.#timer = setTimeout(() => this.#open(), pause);
  }

  #hear(frame) {
    switch (frame.type) {
      case "welcome":
        clearTimeout(this.#timer);
        this.#welcomed = true;
        this.#wait = FIRST_WAIT;
        this.#failed = 0;
        this.welcome = frame;
        if (!frame.resumed) {
          // A server that does not know the device counts anew.
          this.#remember(0);
          this.#seen = 0;
        }
        this.#line.keep(frame.heartbeat_ms);
        // The last acknowledgement may have been lost with the last connection.
        if (this.#acked > 0) this.#line.ack(this.#acked);
        this.#enter("online");
        break;
      case "message":
        this.#receive(frame);
        break;
      case "bye":
        if (FINAL.has(frame.code) || (frame.code === "unauthorized" && !this.#mayProve)) {
          this.close(frame.detail);
        } else {
          this.#lost(frame.detail, frame.retry_after_ms);
        }
        break;
      default:
        break;
    }
  }

  #receive(message) {
    const { seq } = message;
    if (seq === undefined) {
      this.#options.onmessage?.({ ...message, ack() {} });
      return;
    }
    if (seq <= this.#seen) {
      // It was handed over. If it is acknowledged as well, that has not reached the server.
      if (seq <= this.#acked) this.#line?.ack(this.#acked);
      return;
    }
    this.#seen = seq;
    const ack = () => {
      if (seq <= this.#acked) return;
      this.#remember(seq);
      this.#line?.ack(seq);
    };
    this.#options.onmessage?.({ ...message, ack });
  }
}

/** The server's address of a path, with what a client says of itself. */
function address(url, path, { user, device, token, topics, after }) {
  const at = new URL(path, url);
  if (user !== undefined) at.searchParams.set("user", user);
  if (device !== undefined) at.searchParams.set("device", device);
  if (token !== undefined) at.searchParams.set("token", token);
  if (after > 0) at.searchParams.set("after", after);
  if (topics?.length) at.searchParams.set("topics", topics.join(","));
  return at;
}

/** One WebSocket. */
class Socket {
  #socket;
  #lost;
  #beat = 0;
  #heard = true;

  constructor(url, { user, device, token, topics }, hear, lost) {
    const at = new URL("/v1/ws", url);
    at.protocol = at.protocol === "http:" ? "ws:" : "wss:";
    this.#lost = lost;
    this.#socket = new WebSocket(at, "msgserver.v1.json");
    // In `hello` and not in the address, which proxies write into their logs.
    this.#socket.onopen = () => this.say({ type: "hello", user, device, token, topics });
    this.#socket.onmessage = (event) => {
      this.#heard = true;
      hear(JSON.parse(event.data));
    };
    this.#socket.onclose = (event) => lost(event.reason || `the connection ended (${event.code})`);
  }

  say(frame) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  ack(seq) {
    this.say({ type: "ack", seq });
  }

  /** Finds out that the server is gone: what is sent into a dead network comes back as nothing for minutes. */
  keep(heartbeat) {
    this.#beat = setInterval(() => {
      if (!this.#heard) return this.#lost("the server does not answer");
      this.#heard = false;
      this.say({ type: "ping" });
    }, heartbeat / 2);
  }

  close() {
    clearInterval(this.#beat);
    this.#socket.onclose = null;
    this.#socket.close();
  }
}

/** One stream of Server-Sent Events, and what is said beside it. */
class Events {
  #source;
  #url;
  #who;

  constructor(url, who, hear, lost) {
    this.#url = url;
    this.#who = who;
    const at = address(url, "/v1/sse", who);
    this.#source = new EventSource(at);
    const heard = (event) => hear(JSON.parse(event.data));
    for (const name of ["message", "welcome", "bye"]) this.#source.addEventListener(name, heard);
    // Coming back is this module's: it knows when the server wants it.
    this.#source.onerror = () => lost("the stream ended");
  }

  say() {}

  async ack(seq) {
    const { user, device, token } = this.#who;
    try {
      // A text, so that a page of another host need not ask first.
      await fetch(new URL("/v1/ack", this.#url), {
        method: "POST",
        body: JSON.stringify({ user, device, token, seq }),
        keepalive: true,
      });
    } catch {
      // The next acknowledgement, or the next connection, says it again.
    }
  }

  keep() {}

  close() {
    this.#source.close();
  }
}
