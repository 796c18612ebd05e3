/** A client of msgserver for web pages. */

/** A message that has arrived. */
export interface Message {
  /** The message's id. */
  readonly id: string;
  /** Its number in the user's inbox; none if it is not kept. */
  readonly seq?: number;
  /** What it says: any JSON value. */
  readonly content: any;
  /** The topic that it was published to. */
  readonly topic?: string;
  /** When it was accepted, as RFC 3339 has it. */
  readonly sent_at: string;
  /** Whether this device may have seen it before. */
  readonly redelivered?: boolean;
  /** Says that this message, and all before it, is safe here. */
  ack(): void;
}

export type State = "connecting" | "online" | "waiting" | "closed";

/** The server's first word: who this is taken for. */
export interface Welcome {
  readonly session: number;
  readonly user: string;
  readonly device: string;
  /** How often the client has to be heard, in milliseconds. */
  readonly heartbeat_ms: number;
  /** Whether the device was known, and goes on where it was. */
  readonly resumed: boolean;
}

export interface Options {
  /** Who this is. */
  user?: string;
  /** Which of the user's devices this is; each open page needs one of its own. */
  device?: string;
  /** The proof, or where to get a fresh one. */
  token?: string | (() => string | Promise<string>);
  /** What to follow. */
  topics?: string[];
  /** Gets each message, once and in order. */
  onmessage?: (message: Message) => void;
  /** Gets each change of state, and why. */
  onstate?: (state: State, detail?: string) => void;
  /** One alone; both unless said. */
  transport?: "websocket" | "sse";
  /** Where the number of the last acknowledgement is kept: `localStorage` unless said, and nowhere if it is `null`. */
  storage?: Pick<Storage, "getItem" | "setItem"> | null;
}

/** Connects, and stays connected until `close`. `url` is where the server's HTTP door is. */
export function connect(url: string | URL, options?: Options): Connection;

/** A connection that comes back by itself. */
export class Connection {
  constructor(url: string | URL, options: Options);
  readonly state: State;
  /** Null until it has been online. */
  readonly welcome: Welcome | null;
  /** Ends it. What was not acknowledged comes again to the next connection. */
  close(detail?: string): void;
  /** Follows a topic. Only over WebSocket. */
  subscribe(topic: string): void;
  /** Follows a topic no more. Only over WebSocket. */
  unsubscribe(topic: string): void;
}
