/** SETTINGS (RFC 9113 §6.5.2; RFC 8441 §3; RFC 9218 §2.1): what each may be, and what a peer has said. */
import { FLOW_CONTROL_ERROR, NO_ERROR, PROTOCOL_ERROR } from './error-codes.ts';
import { DEFAULT_FRAME_SIZE, MAX_FRAME_SIZE } from './frame-types.ts';
import { DEFAULT_WINDOW, MAX_WINDOW } from './windows.ts';

const SETTING_HEADER_TABLE_SIZE = 0x1;
export const SETTING_ENABLE_PUSH = 0x2;
export const SETTING_MAX_CONCURRENT_STREAMS = 0x3;
export const SETTING_INITIAL_WINDOW_SIZE = 0x4;
const SETTING_MAX_FRAME_SIZE = 0x5;
export const SETTING_MAX_HEADER_LIST_SIZE = 0x6;
export const SETTING_ENABLE_CONNECT_PROTOCOL = 0x8;
export const SETTING_NO_RFC7540_PRIORITIES = 0x9;

export const DEFAULT_TABLE_SIZE = 4096;

/** @returns the error of the connection that this value is, or NO_ERROR. Unknown settings are ignored: any value will do. */
export function errorOfSetting(id: number, value: number): number {
  switch (id) {
    case SETTING_ENABLE_PUSH:
    case SETTING_ENABLE_CONNECT_PROTOCOL:
    case SETTING_NO_RFC7540_PRIORITIES:
      return value > 1 ? PROTOCOL_ERROR : NO_ERROR;
    case SETTING_INITIAL_WINDOW_SIZE:
      return value > MAX_WINDOW ? FLOW_CONTROL_ERROR : NO_ERROR;
    case SETTING_MAX_FRAME_SIZE:
      return value < DEFAULT_FRAME_SIZE || value > MAX_FRAME_SIZE ? PROTOCOL_ERROR : NO_ERROR;
    default:
      return NO_ERROR;
  }
}

/** What the peer wants of us; what it has not said is by default. */
export class PeerSettings {
  headerTableSize = DEFAULT_TABLE_SIZE;
  maxConcurrentStreams = Number.POSITIVE_INFINITY;
  /** Of its streams' windows. A change concerns the open ones too: `SendWindow.shift` by the difference. */
  initialWindowSize = DEFAULT_WINDOW;
  maxFrameSize = DEFAULT_FRAME_SIZE;
  maxHeaderListSize = Number.POSITIVE_INFINITY;
  /** RFC 8441: a server that takes extended CONNECT. */
  enableConnectProtocol = false;

  /** @param value one that `errorOfSetting` has nothing against: the frame reader has asked. */
  set(id: number, value: number): void {
    switch (id) {
      case SETTING_HEADER_TABLE_SIZE:
        this.headerTableSize = value;
        break;
      case SETTING_MAX_CONCURRENT_STREAMS:
        this.maxConcurrentStreams = value;
        break;
      case SETTING_INITIAL_WINDOW_SIZE:
        this.initialWindowSize = value;
        break;
      case SETTING_MAX_FRAME_SIZE:
        this.maxFrameSize = value;
        break;
      case SETTING_MAX_HEADER_LIST_SIZE:
        this.maxHeaderListSize = value;
        break;
      case SETTING_ENABLE_CONNECT_PROTOCOL:
        this.enableConnectProtocol = value === 1;
        break;
      default:
    }
  }
}
