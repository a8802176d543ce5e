import type { QuorateError } from '../../base/errors.js';
import type { NodeId } from '../../base/ids.js';
import type { PeerResponse, RequestFrame, ShardMessage } from '../../rpc/peer-messages.js';

/** What the connections to other nodes tell their own node. */
export interface PeerHandler {
  /** Throws ProtocolError for what no correct node sends. */
  onRaft(from: NodeId, messages: readonly ShardMessage[]): void;
  /** Answers through `respond`, once, at any time. */
  onRequest(from: NodeId, request: RequestFrame, respond: (response: PeerResponse) => void): void;
  /** The connection to `node` broke, or an attempt failed: messages to it are lost until it is reached. */
  onUnreachable(node: NodeId): void;
  /** The connection to `node` is up, and its hello was accepted. */
  onReachable(node: NodeId): void;
  /** Another node says that this one must not run: its data directory is not the one that joined under its id. */
  onRefused(error: QuorateError): void;
  /** A frame could not be handled, and that is not the fault of the node that sent it: this one must stop. */
  onFailure(error: unknown): void;
}
