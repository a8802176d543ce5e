/**
 * Connections that carry whole frames between nodes. Frames arrive complete, in order and at most once on one
 * connection; nothing is promised across connections. How frames are delimited and checked is the implementation's
 * business (docs/protocol/peer.md).
 */
export interface Network {
  /** Accepts connections at `address` (`host:port`); port 0 picks one. */
  listen(address: string, onConnection: (connection: Connection) => void): Promise<Listener>;
  /**
   * Starts to connect and returns at once; frames that are sent before the connection is up wait for it.
   * Failure shows as `onClose`.
   */
  connect(address: string): Connection;
}

export interface Listener {
  /** The address with the port that was really taken. */
  readonly address: string;
  /** Accepts no more, and closes the accepted connections. */
  close(): Promise<void>;
}

export interface Connection {
  /** For messages to people: the other side's address. */
  readonly remote: string;
  /** Bytes that were sent here and not yet handed to the operating system. Bounded by the sender, who looks at it. */
  readonly queuedBytes: number;
  /** Bytes that have arrived from the other side so far, also those of frames that are not complete. */
  readonly receivedBytes: number;
  /** Sets who gets frames and who learns of the end. Called once, in the turn in which the connection was got. */
  start(handler: ConnectionHandler): void;
  /** Takes ownership of `frame`. No effect when closed. The first one is a greeting, of at most 64 KiB. */
  send(frame: Uint8Array): void;
  /** Closes both directions; `onClose` follows unless it came already. */
  close(): void;
}

export interface ConnectionHandler {
  /** `frame` may be a view of a larger buffer: copy what outlives the call. */
  onFrame(frame: Uint8Array): void;
  /** Once, at the end of the connection. `error` is set unless either side closed it in order. */
  onClose(error: Error | undefined): void;
}
